"""The dialog of ManageSieve: what may be said when, and what is answered, however the octets are cut."""

from __future__ import annotations

import base64
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.wire.managesieve import (
    Authenticate,
    AuthResponse,
    CheckScript,
    DeleteScript,
    Event,
    GetScript,
    HaveSpace,
    ListScripts,
    ManageSieveOptions,
    ManageSieveSession,
    PutScript,
    RenameScript,
    SetActive,
    StartTls,
    Unauthenticate,
)
from postroom.wire.managesieve.framer import MOST_SKIPPED, Framer
from postroom.wire.managesieve.session import string

OPTIONS = ManageSieveOptions(implementation="Test", extensions=("fileinto", "vacation"), script_size=1000, errors=3)


def session(*, secure: bool = True, starttls: bool = True, login: str = "") -> ManageSieveSession:
    new = ManageSieveSession(OPTIONS, secure=secure, starttls=starttls, mechanisms=("PLAIN",) if secure else ())
    new.greet()
    new.data_to_send()
    if login:
        new.feed(b'AUTHENTICATE "PLAIN" ""\r\n')
        assert isinstance(new.next_event(), Authenticate)
        new.logged(login)
        new.data_to_send()
    return new


def said(one: ManageSieveSession, data: bytes) -> tuple[list[Event], bytes]:
    """Events and what was answered; each event is answered with OK."""
    one.feed(data)
    events = []
    while (event := one.next_event()) is not None:
        events.append(event)
        one.ok()
    return events, one.data_to_send()


def test_greeting_before_and_after_tls() -> None:
    one = ManageSieveSession(OPTIONS, secure=False, starttls=True, mechanisms=())
    one.greet()
    assert one.data_to_send() == (
        b'"IMPLEMENTATION" "Test"\r\n"SASL" ""\r\n"SIEVE" "fileinto vacation"\r\n"NOTIFY" "mailto"\r\n'
        b'"MAXREDIRECTS" "4"\r\n"UNAUTHENTICATE"\r\n"STARTTLS"\r\n"VERSION" "1.0"\r\nOK\r\n'
    )
    one.feed(b'AUTHENTICATE "PLAIN" "AGEAYg=="\r\n')
    assert one.next_event() is None and one.data_to_send().startswith(b"NO (ENCRYPT-NEEDED)")
    one.feed(b"StartTLS\r\nLOGOUT\r\n")
    assert isinstance(one.next_event(), StartTls)
    assert one.data_to_send().startswith(b"OK")
    one.feed(b"NOOP\r\n")  # sent in the clear behind STARTTLS: never done
    assert one.next_event() is None
    one.secured(("SCRAM-SHA-256", "PLAIN"))
    told = one.data_to_send()
    assert b'"SASL" "SCRAM-SHA-256 PLAIN"\r\n' in told and b"STARTTLS" not in told and told.endswith(b"OK\r\n")
    assert one.next_event() is None and one.data_to_send() == b""
    one.feed(b"STARTTLS\r\n")
    assert one.next_event() is None and one.data_to_send().startswith(b"NO")


def test_login_with_challenges() -> None:
    one = session()
    one.feed(b'AUTHENTICATE "plain" {4+}\r\nAGEA\r\n')
    assert one.next_event() == Authenticate("PLAIN", b"\0a\0")
    one.challenge(b"more")
    assert one.data_to_send() == b'"%b"\r\n' % base64.b64encode(b"more")
    one.feed(b'"YW5k"\r\n')
    assert one.next_event() == AuthResponse(b"and")
    one.challenge(b"")
    assert one.data_to_send() == b'""\r\n'
    one.feed(b'"*"\r\n')
    assert one.next_event() is None and one.data_to_send() == b'NO "Given up"\r\n'
    one.feed(b'AUTHENTICATE "CRAM-MD5"\r\n')
    assert one.next_event() is None and b"no such mechanism" in one.data_to_send()
    one.feed(b'AUTHENTICATE "PLAIN" "!"\r\n')
    assert one.next_event() is None and b"no base64" in one.data_to_send()


def test_what_is_allowed_when() -> None:
    one = session()
    assert said(one, b"LISTSCRIPTS\r\n") == ([], b'NO "Log in first"\r\n')
    one = session(login="ann@here.test")
    assert said(one, b'AUTHENTICATE "PLAIN"\r\n') == ([], b'NO "You are logged in already"\r\n')
    assert b'"OWNER" "ann@here.test"\r\n' in said(one, b"CAPABILITY\r\n")[1]
    assert said(one, b"UNAUTHENTICATE\r\n")[0] == [Unauthenticate()]
    one.forgotten(("PLAIN",))
    one.data_to_send()
    assert said(one, b"LISTSCRIPTS\r\n")[1] == b'NO "Log in first"\r\n'


COMMANDS = (
    b'HAVESPACE "a" 100\r\nPUTSCRIPT "a b" {5+}\r\nkeep;\r\nputscript {3+}\r\na"b "stop;"\r\n'
    b'CHECKSCRIPT "x\\"y\\\\"\r\n'
    b'LISTSCRIPTS\r\nSETACTIVE ""\r\nGETSCRIPT "\xc3\xa4"\r\nDELETESCRIPT "a"\r\nRENAMESCRIPT "a" "b"\r\n\r\n'
    b'CHECKSCRIPT {0+}\r\n\r\nPUTSCRIPT "s" {6}\r\nif\r\n{}\r\n'
)
EVENTS = [
    HaveSpace("a", 100),
    PutScript("a b", b"keep;"),
    PutScript('a"b', b"stop;"),
    CheckScript(b'x"y\\'),
    ListScripts(),
    SetActive(""),
    GetScript("ä"),
    DeleteScript("a"),
    RenameScript("a", "b"),
    CheckScript(b""),
    PutScript("s", b"if\r\n{}"),
]


def test_all_commands() -> None:
    assert said(session(login="a"), COMMANDS) == (EVENTS, b"OK\r\n" * len(EVENTS))


@given(st.lists(st.integers(0, len(COMMANDS)), max_size=12))
@settings(max_examples=100, deadline=None)
def test_cuts_do_not_matter(cuts: list[int]) -> None:
    one = session(login="a")
    edges = sorted({0, len(COMMANDS), *cuts})
    found = []
    for start, end in pairwise(edges):
        found += said(one, COMMANDS[start:end])[0]
    assert found == EVENTS


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_octets_are_answered(data: bytes, logged_in: bool) -> None:
    one = session(login="a" if logged_in else "")
    said(one, data + b"\r\n")
    assert one.ahead <= len(data) + 2


def test_noop_and_logout() -> None:
    one = session()
    assert said(one, b'NOOP\r\nNOOP "t\\"1"\r\nLOGOUT\r\nNOOP\r\n')[1] == (
        b'OK "Here"\r\nOK (TAG "t\\"1") "Here"\r\nOK "Goodbye"\r\n'
    )
    assert one.closed


def test_mistakes() -> None:
    one = session(login="a")
    for line in (b"FLY\r\n", b'"LISTSCRIPTS"\r\n', b"SETACTIVE 5\r\n"):
        assert said(one, line)[1].startswith(b"NO ")
    assert said(one, b'SETACTIVE "a\r\n')[1] == b'BYE "Too many mistakes"\r\n' and one.closed


def test_too_large() -> None:
    one = session(login="a")
    events, out = said(
        one, b'PUTSCRIPT "a" {1001+}\r\n' + b"x" * 1001 + b'\r\nPUTSCRIPT "a" {1000+}\r\n' + b"x" * 1000 + b"\r\n"
    )
    assert out.startswith(b"NO (QUOTA/MAXSIZE)") and events == [PutScript("a", b"x" * 1000)]
    one = session(login="a")
    said(one, b'PUTSCRIPT "a" {%d+}\r\n' % (MOST_SKIPPED + 1))
    assert one.closed
    one = session()
    said(one, b"x" * 5000)
    assert one.closed


def test_what_is_passed_over_is_not_kept() -> None:
    framer = Framer(10)
    framer.feed(b"PUTSCRIPT {5000000+}\r\n")
    for _ in range(500):
        framer.feed(b"x" * 10_000)
        assert framer.next() is None or framer.waiting == 0
        assert framer.waiting == 0


def test_answers() -> None:
    one = session(login="a")
    one.feed(b"LISTSCRIPTS\r\n")
    one.next_event()
    one.listed([("a", False), ('b"', True), ("c\r\n" if False else "ä", False)])
    assert one.data_to_send() == '"a"\r\n"b\\"" ACTIVE\r\n"ä"\r\nOK\r\n'.encode()
    one.feed(b'GETSCRIPT "a"\r\n')
    one.next_event()
    one.script(b"keep;\r\n")
    assert one.data_to_send() == b"{7}\r\nkeep;\r\n\r\nOK\r\n"
    one.feed(b'PUTSCRIPT "a" ""\r\n')
    one.next_event()
    one.no("line 1\r\nline 2", "QUOTA")
    assert one.data_to_send() == b"NO (QUOTA) {14}\r\nline 1\r\nline 2\r\n"
    assert string(b"x" * 1025).startswith(b"{1025}\r\n")
