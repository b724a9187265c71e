"""A connection's protocol side: states, STARTTLS, ENABLE, raw lines, APPEND."""

from __future__ import annotations

import pytest

from postroom.wire.imap.capability import EXTENSIONS, Offer, capabilities, describe
from postroom.wire.imap.commands import Append, AppendMessage, Command, Flags, Select
from postroom.wire.imap.events import AppendData, AppendEnd, AppendStart, Continue, RawLine, Refused
from postroom.wire.imap.session import Session, SessionLimits, row_of
from postroom.wire.imap.table import State

BEFORE_TLS = Offer(starttls=True, login=False, mechanisms=())
TLS = Offer(mechanisms=("SCRAM-SHA-256", "PLAIN"), append_limit=1000)


def send(session: Session, text: bytes) -> list[object]:
    session.feed(text)
    events: list[object] = []
    while (event := session.next_event()) is not None:
        events.append(event)
        if isinstance(event, AppendStart):
            break
    return events


def logged_in() -> Session:
    session = Session(TLS)
    session.logged_in()
    return session


def refusals(events: list[object]) -> list[tuple[bytes, bytes, bytes]]:
    return [(event.tag, event.status, event.code) for event in events if isinstance(event, Refused)]


def test_before_tls() -> None:
    session = Session(BEFORE_TLS)
    told = session.capabilities()
    assert {"IMAP4rev2", "IMAP4rev1", "STARTTLS", "LOGINDISABLED", "LITERAL+"} <= set(told)
    assert not any(name.startswith("AUTH=") for name in told)
    assert refusals(send(session, b"a LOGIN x y\r\nb AUTHENTICATE PLAIN\r\n")) == [
        (b"a", b"NO", b"PRIVACYREQUIRED"),
        (b"b", b"NO", b"PRIVACYREQUIRED"),
    ]


def test_starttls_forgets_injected_commands() -> None:
    session = Session(BEFORE_TLS)
    session.feed(b"a STARTTLS\r\nb LOGIN x y\r\n")
    assert session.next_event() == Command(b"a", "STARTTLS")
    session.secured(TLS)
    assert session.next_event() is None
    assert session.capabilities()[-2:] == ("AUTH=SCRAM-SHA-256", "AUTH=PLAIN")
    assert refusals(send(session, b"c STARTTLS\r\n")) == [(b"c", b"BAD", b"")]


def test_states() -> None:
    session = Session(TLS)
    assert refusals(send(session, b"a SELECT x\r\nb FETCH 1 FLAGS\r\nc NOOP\r\n")) == [
        (b"a", b"BAD", b""),
        (b"b", b"BAD", b""),
    ]
    session.logged_in()
    assert send(session, b"a SELECT x\r\n") == [Command(b"a", "SELECT", Select("x"))]
    assert refusals(send(session, b"b FETCH 1 FLAGS\r\nc LOGIN x y\r\n")) == [(b"b", b"BAD", b""), (b"c", b"BAD", b"")]
    session.selected()
    (command,) = send(session, b"b FETCH 1 FLAGS\r\n")
    assert isinstance(command, Command)
    assert not row_of(command).expunge_ok
    session.unselected()
    assert session.state is State.AUTHENTICATED
    session.closing()
    assert send(session, b"c NOOP\r\n") == []


def test_literal_before_login_is_small() -> None:
    session = Session(TLS, SessionLimits(login_literal=10))
    assert refusals(send(session, b"a LOGIN {11}\r\n")) == [(b"a", b"BAD", b"TOOBIG")]
    assert send(session, b"a LOGIN {10}\r\n") == [Continue(10)]
    send(session, b"0123456789 x\r\n")
    session.logged_in()
    assert send(session, b"a SELECT {11}\r\n") == [Continue(11)]


def test_append_before_login() -> None:
    session = Session(TLS)
    session.feed(b"a APPEND x {5000000+}\r\n")
    assert session.next_event() == Refused(b"a", "APPEND: log in first", pending=5000000)
    session.feed(b"z" * 5000000 + b"\r\n")
    assert send(session, b"b NOOP\r\n") == [Command(b"b", "NOOP")]


def test_append() -> None:
    session = logged_in()
    message = AppendMessage(Flags(), None, 3)
    assert send(session, b"a APPEND x {3}\r\n") == [AppendStart(b"a", "x", 0, message, True)]
    assert session.accept() == b"+ OK\r\n"
    assert send(session, b"abc\r\n") == [
        AppendData(b"abc"),
        AppendEnd(0),
        Command(b"a", "APPEND", Append("x", (message,))),
    ]
    send(session, b"a APPEND x {3+}\r\nabc\r\n")
    assert session.accept() == b""
    assert len(send(session, b"")) == 3
    send(session, b"a APPEND x {3+}\r\nabc\r\nb NOOP\r\n")
    session.refuse()
    assert send(session, b"") == [Command(b"b", "NOOP")]


def test_idle_and_authenticate_lines() -> None:
    session = logged_in()
    session.feed(b"a IDLE\r\nDONE\r\nb NOOP\r\n")
    assert session.next_event() == Command(b"a", "IDLE")
    session.read_raw()
    assert session.next_event() == RawLine(b"DONE")
    session.read_commands()
    assert session.next_event() == Command(b"b", "NOOP")


def test_enable() -> None:
    session = logged_in()
    assert session.enable(("X-FOO", "QRESYNC", "UTF8=ACCEPT")) == ("QRESYNC", "UTF8=ACCEPT")
    assert session.condstore
    assert session.qresync
    assert session.utf8
    assert not session.rev2
    assert session.enable(("QRESYNC", "IMAP4REV2", "CONDSTORE", "IDLE")) == ("IMAP4rev2",)
    assert session.rev2
    assert send(session, 'a SELECT "ü&"\r\n'.encode()) == [Command(b"a", "SELECT", Select("ü&"))]
    assert send(session, 'a APPEND "ü&" {3}\r\n'.encode())[0] == AppendStart(
        b"a", "ü&", 0, AppendMessage(Flags(), None, 3), True
    )


def test_switched_off_capabilities() -> None:
    session = Session(Offer(without=frozenset({"QRESYNC", "BINARY"})))
    session.logged_in()
    assert session.enable(("QRESYNC",)) == ()
    assert not {"QRESYNC", "BINARY"} & set(session.capabilities())


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT x (CONDSTORE)",
        b"SELECT x (QRESYNC (1 1))",
        b"STATUS x (HIGHESTMODSEQ)",
        b"FETCH 1 MODSEQ",
        b"FETCH 1 FLAGS (CHANGEDSINCE 1)",
        b"STORE 1 (UNCHANGEDSINCE 1) FLAGS (a)",
        b"UID SEARCH MODSEQ 1",
    ],
)
def test_rfc7162_3_1_condstore_enabling_commands(text: bytes) -> None:
    session = logged_in()
    session.selected()
    for harmless in (b"SELECT x", b"FETCH 1 FLAGS", b"STORE 1 FLAGS (a)", b"SEARCH ALL", b"STATUS x (SIZE)", b"NOOP"):
        (command,) = send(session, b"a " + harmless + b"\r\n")
        assert isinstance(command, Command)
        assert not session.notice(command)
    (command,) = send(session, b"a " + text + b"\r\n")
    assert isinstance(command, Command)
    assert session.notice(command)
    assert session.condstore
    assert not session.notice(command)


def test_bad_charset_and_bad_name() -> None:
    session = logged_in()
    session.selected()
    assert refusals(send(session, b"a SEARCH CHARSET x-klingon ALL\r\nb SELECT a&b\r\nc FOO\r\n")) == [
        (b"a", b"NO", b"BADCHARSET (US-ASCII UTF-8)"),
        (b"b", b"NO", b"CANNOT"),
        (b"c", b"BAD", b""),
    ]


def test_capability_line() -> None:
    after = capabilities(TLS, True)
    assert "APPENDLIMIT=1000" in after
    assert not {"STARTTLS", "LOGINDISABLED"} & set(after)
    assert not any(name.startswith("AUTH=") for name in after)
    assert "APPENDLIMIT" not in " ".join(capabilities(Offer(), True))
    minus = capabilities(Offer(literal_minus=True), True)
    assert "LITERAL-" in minus  # RFC 7888 5: never both
    assert "LITERAL+" not in minus
    assert (
        len(set(after)) == len(after) == len(EXTENSIONS) - 4
    )  # there is no JMAP, no limit on messages, no ManageSieve


def test_literal_minus_in_a_session() -> None:
    session = Session(Offer(literal_minus=True))
    session.logged_in()
    assert refusals(send(session, b"a SELECT {5000+}\r\n")) == [(b"a", b"BAD", b"TOOBIG")]


def test_describe() -> None:
    assert ("CONDSTORE", "RFC 7162 3.1", "Changes since a point, safe STORE") in describe()
