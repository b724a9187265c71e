"""Every POP3 command and error as a conversation."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.testing.transcript import play
from postroom.wire.pop3 import (
    COMMANDS,
    AuthCancelled,
    Authenticate,
    AuthResponse,
    Event,
    Identify,
    Login,
    Pop3Options,
    Pop3Session,
    Retrieve,
    StartTls,
    Update,
)
from postroom.wire.pop3.top import TopCutter
from postroom.wire.sasl import Challenge, Plain

MAILBOX = [
    b"Subject: one\r\n\r\nline 1\r\n.dot\r\nline 3\r\n",
    b"Subject: two\r\n\r\n",
    b"Subject: three\r\nX: y\r\n\r\nno end",
]


class Peer:
    """Logs everybody in whose password is "secret"; serves MAILBOX in pieces of `slice_size` octets."""

    def __init__(self, *, slice_size: int = 7, options: Pop3Options | None = None, **session: object) -> None:
        session.setdefault("secure", True)
        session.setdefault("mechanisms", ("PLAIN",) if session["secure"] else ())
        self.session = Pop3Session(options or Pop3Options(), **session)  # type: ignore[arg-type]
        self.events: list[Event] = []
        self.slice_size = slice_size
        self.slices = 0
        self.session.greet()

    def feed(self, data: bytes) -> None:
        self.session.feed(data)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
            self.decide(event)

    def data_to_send(self) -> bytes:
        return self.session.data_to_send()

    def decide(self, event: Event) -> None:
        session = self.session
        if isinstance(event, Login):
            self._login(event.password)
        elif isinstance(event, Authenticate | AuthResponse):
            step = Plain().start(event.initial) if isinstance(event, Authenticate) else Plain().step(event.data)
            if isinstance(step, Challenge):
                session.challenge(step.data)
            else:
                self._login(step.password)  # type: ignore[union-attr]
        elif isinstance(event, StartTls):
            session.secured(("PLAIN",))
        elif isinstance(event, Retrieve):
            self._retrieve(event)
        elif isinstance(event, Identify):
            session.identified([f"uid{n}" for n in range(len(MAILBOX))])
        elif isinstance(event, Update):
            session.turn_away("Try again", "SYS/TEMP") if event.deleted == (2,) else session.done()
        else:
            assert isinstance(event, AuthCancelled)

    def _login(self, password: str) -> None:
        if password == "secret":
            self.session.opened([len(content) for content in MAILBOX])
        elif password == "busy":
            self.session.refuse("The mailbox is in use", "IN-USE")
        else:
            self.session.refuse("Wrong login or password", "AUTH")

    def _retrieve(self, event: Retrieve) -> None:
        content = MAILBOX[event.index]
        self.session.begin(len(content))
        for at in range(0, len(content), self.slice_size):
            self.slices += 1
            if not self.session.body(content[at : at + self.slice_size]):
                break
        self.session.end()


LOGIN = """
    S: +OK Postroom POP3 server ready
    C: USER user
    C: PASS secret
    S: +OK Now the password
    S: +OK 3 messages
"""


def logged_in(text: str, **session: object) -> Peer:
    peer = Peer(**session)  # type: ignore[arg-type]
    play(peer, LOGIN + text)
    return peer


def test_reading() -> None:
    logged_in(
        """
        C: STAT
        S: +OK 3 91
        C: LIST
        S: +OK Sizes follow
        S: 1 38
        S: 2 16
        S: 3 30
        S: .
        C: LIST 2
        S: +OK 2 16
        C: UIDL
        S: +OK Unique ids follow
        S: 1 uid0
        S: 2 uid1
        S: 3 uid2
        S: .
        C: UIDL 3
        S: +OK 3 uid2
        C: RETR 1
        S: +OK 38 octets
        S: Subject: one
        S:
        S: line 1
        S: ..dot
        S: line 3
        S: .
        C: RETR 3
        S: +OK 30 octets
        S: Subject: three
        S: X: y
        S:
        S: no end
        S: .
        C: TOP 1 2
        S: +OK Top...
        S: Subject: one
        S:
        S: line 1
        S: ..dot
        S: .
        C: TOP 1 0
        S: +OK Top...
        S: Subject: one
        S:
        S: .
        C: TOP 2 9
        S: +OK Top...
        S: Subject: two
        S:
        S: .
        C: NOOP
        S: +OK ...
    """.replace("+OK 3 91", f"+OK 3 {sum(map(len, MAILBOX))}")
    )


def test_top_reads_no_more_than_it_needs() -> None:
    peer = logged_in("C: TOP 1 1\nS: +OK ...\nS: Subject: one\nS:\nS: line 1\nS: .")
    assert peer.slices == 4


def test_deleting() -> None:
    peer = logged_in("""
        C: DELE 1
        S: +OK Message 1 ...
        C: DELE 1
        S: -ERR Message 1 is marked as deleted
        C: RETR 1
        S: -ERR Message 1 is marked as deleted
        C: STAT
        S: +OK 2 46
        C: LIST
        S: +OK ...
        S: 2 16
        S: 3 30
        S: .
        C: RSET
        S: +OK ...
        C: LIST 1
        S: +OK 1 38
        C: DELE 2
        C: DELE 1
        S: +OK ...
        S: +OK ...
        C: QUIT
        C: NOOP
        S: +OK Goodbye
    """)
    assert peer.events[-1] == Update((0, 1)) and peer.session.closed


def test_an_update_that_fails() -> None:
    peer = logged_in("C: DELE 3\nS: +OK ...\nC: QUIT\nS: -ERR [SYS/TEMP] Try again")
    assert peer.session.closed


def test_everything_pipelined() -> None:
    play(
        Peer(),
        """
        S: +OK ...
        C: CAPA
        C: USER user
        C: PASS secret
        C: TOP 2 0
        C: DELE 1
        C: QUIT
        S: ...
        S: .
        S: +OK ...
        S: +OK ...
        S: +OK ...
        S: Subject: two
        S:
        S: .
        S: +OK ...
        S: +OK Goodbye
    """,
    )


def test_capabilities() -> None:
    play(
        Peer(secure=False, starttls=True, options=Pop3Options(login_delay=5, expire=30)),
        """
        S: +OK ...
        C: CAPA
        S: +OK Capabilities follow
        S: TOP
        S: UIDL
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: PIPELINING
        S: UTF8 USER
        S: LOGIN-DELAY 5
        S: EXPIRE 30
        S: IMPLEMENTATION Postroom
        S: STLS
        S: .
        C: USER user
        S: -ERR Passwords need encryption...
        C: AUTH PLAIN AHVzZXIAc2VjcmV0
        S: -ERR Passwords need encryption...
        C: STLS
        C: USER injected
        S: +OK ...
        C: CAPA
        S: ...
        S: USER
        S: SASL PLAIN
        S: .
        C: PASS secret
        S: -ERR Say USER first
        C: STLS
        S: -ERR TLS is active already
        C: USER user
        C: PASS secret
        C: CAPA
        S: +OK ...
        S: +OK ...
        S: ...
        S: USER
        S: SASL PLAIN
        S: .
        C: STLS
        S: -ERR STLS comes before the login
    """,
    )


def test_logging_in() -> None:
    play(
        Peer(),
        """
        S: +OK ...
        C: STAT
        S: -ERR STAT comes after the login
        C: PASS secret
        S: -ERR Say USER first
        C: USER
        S: -ERR Write USER name
        C: USER user
        C: PASS wrong
        C: PASS secret
        S: +OK ...
        S: -ERR [AUTH] Wrong login or password
        S: -ERR Say USER first
        C: USER user
        C: PASS busy
        S: +OK ...
        S: -ERR [IN-USE] The mailbox is in use
        C: USER user
        C| PASS a\\x07\\r\\n
        S: +OK ...
        S: -ERR [AUTH] ...
        C: user us er
        C: pass secret
        S: +OK ...
        S: +OK 3 messages
        C: USER user
        S: -ERR USER comes before the login
        C: QUIT
        S: +OK ...
    """,
    )


def test_sasl() -> None:
    play(
        Peer(),
        """
        S: +OK ...
        C: AUTH
        S: +OK Mechanisms follow
        S: PLAIN
        S: .
        C: AUTH CRAM-MD5
        S: -ERR Write AUTH ...
        C: AUTH PLAIN !
        S: -ERR This is not base64
        C: AUTH PLAIN
        S| +\\x20
        C: *
        S: -ERR Authentication given up...
        C: AUTH PLAIN
        S| +\\x20
        C: AHVzZXIAd3Jvbmc=
        S: -ERR [AUTH] ...
        C: AUTH PLAIN AHVzZXIAc2VjcmV0
        S: +OK 3 messages
    """,
    )


def test_utf8() -> None:
    play(
        Peer(secure=False, starttls=True),
        """
        S: +OK ...
        C: UTF8 x
        S: -ERR UTF8 takes no argument
        C: UTF8
        S: +OK ...
        C: STLS
        S: -ERR STLS comes before UTF8
    """,
    )
    peer = Peer()
    play(peer, "S: +OK ...\nC: USER ｕser\nC: PASS pä\nS: +OK ...\nS: -ERR [AUTH] ...")
    assert peer.events == [Login("user", "pä")]


BAD = (
    "RETR,RETR x,RETR 0,RETR 4,RETR -1,RETR 99999999999999,TOP 1,TOP 1 x,TOP 9 1,DELE 9,LIST 9,UIDL x,STAT 1,RSET 1,"
    "UTF8,LAST,APOP user x,,QUIT now,RETR ٣"
)


@pytest.mark.parametrize("command", BAD.split(","))
def test_bad_commands(command: str) -> None:
    logged_in(f"C: {command}\nS: -ERR ...\nC: NOOP\nS: +OK ...")


def test_garbage() -> None:
    peer = logged_in(f"""
        C| NO\\x00OP\\r\\n
        S: -ERR ...
        C| \\xff\\xfe\\r\\n
        S: -ERR ...
        C| NOOP\\nNOOP\\r\\n
        S: -ERR A line must end with CR LF...
        S: -ERR ...
        C: {100_000 * "x"}
        S: -ERR The line is longer...
        C: NOOP
        S: +OK ...
    """)
    for _ in range(50):
        peer.feed(b"x" * 65536)
    assert len(peer.session.reader.buffer) < 4096


def test_errors_now_and_then_end_nothing_after_the_login() -> None:
    assert not logged_in(40 * "C: X\nC: NOOP\nS: -ERR ...\nS: +OK ...\n").session.closed
    before = Peer()
    play(
        before,
        "S: +OK ...\n"
        + 20 * "C: X\nC: CAPA\nS: -ERR ...\nS: ...\nS: .\n"
        + "C: X\nS: ...\nS: -ERR Too many errors; closing",
    )
    assert before.session.closed


def test_too_many_errors() -> None:
    assert logged_in(20 * "C: X\nS: -ERR ...\n" + "C: X\nS: -ERR ...\nS: -ERR Too many errors; closing").session.closed


def test_synopses() -> None:
    for command in COMMANDS:
        assert command.synopsis.startswith(command.name)


STREAM = b"CAPA\r\nUSER user\r\nPASS secret\r\nLIST\r\nRETR 1\r\nTOP 3 1\r\nDELE 2\r\nX\nY\r\nUIDL\r\nQUIT\r\nNOOP\r\n"


@given(st.lists(st.integers(0, len(STREAM)), max_size=12), st.integers(1, 40))
def test_cuts_do_not_matter(at: list[int], slice_size: int) -> None:
    whole, cut = Peer(), Peer(slice_size=slice_size)
    whole.feed(STREAM)
    for a, b in pairwise(sorted({0, len(STREAM), *at})):
        cut.feed(STREAM[a:b])
    assert cut.data_to_send() == whole.data_to_send() and cut.events == whole.events


@given(st.binary(max_size=200))
def test_garbage_never_raises(data: bytes) -> None:
    for start in (b"", b"USER u\r\nPASS secret\r\n"):
        Peer().feed(start + data)


texts = st.lists(st.sampled_from([b"a", b"\r\n", b"\n", b"\r", b"."]), max_size=30).map(b"".join)


@example(b"aaaa\r\n\r\r\na", 0, [7])
@given(texts, st.integers(0, 4), st.lists(st.integers(0, 40), max_size=6))
def test_top_is_header_and_lines(text: bytes, lines: int, at: list[int]) -> None:
    cutter, got = TopCutter(lines), b""
    for a, b in pairwise(sorted({0, len(text), *(cut for cut in at if cut < len(text))})):
        if not cutter.full:
            got += cutter.feed(text[a:b])
    pieces = text.split(b"\n")
    wanted, body = [], -1
    for piece in pieces[:-1]:
        if body == lines:
            break
        wanted.append(piece + b"\n")
        body = body + 1 if body >= 0 else 0 if piece in (b"", b"\r") else -1
    assert got == b"".join(wanted) + (pieces[-1] if body != lines else b"")
