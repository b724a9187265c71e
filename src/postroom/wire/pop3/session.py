"""The server's end of POP3: bytes in, events out; answers in, bytes out.

Purpose: as `wire.smtp.server`: `feed`, `next_event`, answer, `data_to_send`. Messages are numbered from 1 for the
client and from 0 for the driver; marks of deletion live here and reach the driver with QUIT only.
Ownership: the dialog's state; octets of messages pass through, dot-stuffed.
Trust: the client may be hostile until it has logged in, and clumsy after.
Standards: RFC 1939, RFC 2449 (PIPELINING, RESP-CODES), RFC 2595, RFC 3206, RFC 5034, RFC 6856; what may be said when:
`commands`.
On failure: every fault is an -ERR. `closed` says that the connection must end after the output is sent; without QUIT
nothing is removed (RFC 1939 6).
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postroom.wire.lines import LineFault, LineReader, Stuffer
from postroom.wire.pop3 import verbs
from postroom.wire.pop3.commands import BY_NAME, State
from postroom.wire.pop3.events import Event
from postroom.wire.pop3.top import TopCutter
from postroom.wire.pop3.verbs import Pop3Refusal
from postroom.wire.sasl.exchange import AuthCancelled, AuthResponse
from postroom.wire.sasl.server import SaslFault, decode_base64

_LINE: Final = 1024  # RFC 2449 4 gives a command 255 octets
_AUTH_LINE: Final = 12290  # RFC 5034 4: as long as SMTP's


class Pop3Options(Struct, frozen=True, kw_only=True):
    """What a listener's sessions have in common. login_delay: seconds; expire: days, -1 = never.

    errors: refused commands before the session is ended; after the login those in a row.
    """

    login_delay: int = 0
    expire: int = -1
    errors: int = 20


class Pop3Session:
    """One connection. Internal to the package: asked, cutter, deleted, reader, user, answer, ok."""

    __slots__ = (
        "_challenged",
        "_errors",
        "_out",
        "_stuffer",
        "asked",
        "closed",
        "cutter",
        "deleted",
        "logged_in",
        "mechanisms",
        "options",
        "reader",
        "secure",
        "sizes",
        "starttls",
        "uids",
        "user",
        "utf8",
        "waiting",
    )

    def __init__(
        self, options: Pop3Options, *, secure: bool = False, starttls: bool = False, mechanisms: tuple[str, ...] = ()
    ) -> None:
        """starttls: the listener offers STLS. mechanisms: SASL mechanisms; empty: no passwords here, nor USER."""
        self.options = options
        self.secure = secure
        self.starttls = starttls
        self.mechanisms = mechanisms
        self.closed = False
        self.waiting = False  # an event has no answer yet
        self.utf8 = False
        self.logged_in = False
        self.sizes: Sequence[int] = ()
        self.uids: Sequence[str] | None = None  # until the first UIDL asks for them
        self.asked = ""  # what that UIDL asked for
        self.deleted: set[int] = set()
        self.user = ""
        self.reader = LineReader(_LINE)
        self.cutter: TopCutter | None = None
        self._out: list[bytes] = []
        self._stuffer: Stuffer | None = None
        self._challenged = False
        self._errors = 0

    # Input and output

    def greet(self) -> None:
        """Open the dialog (RFC 1939 4); without a timestamp, for there is no APOP."""
        self.ok("Postroom POP3 server ready")

    def feed(self, data: bytes) -> None:
        """Add octets that arrived."""
        self.reader.feed(data)

    def data_to_send(self) -> bytes:
        """What is to be sent, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    @property
    def ahead(self) -> bool:
        """True when the client has sent more than what was looked at."""
        return self.reader.at < len(self.reader.buffer)

    @property
    def sending(self) -> bool:
        """True in the middle of a message."""
        return self._stuffer is not None

    def turn_away(self, text: str, code: str = "") -> None:
        """End the dialog with this -ERR."""
        self._error(text, code)
        self.closed = True

    def next_event(self) -> Event | None:
        """The next thing to decide; None when an answer or more input is needed."""
        while not self.waiting and not self.closed:
            line = self.reader.line()
            if line is None:
                return None
            event = self._line(line)
            if event is not None:
                return event
        return None

    # Answers

    def opened(self, sizes: Sequence[int]) -> None:
        """The login is right and the maildrop is ours: the octets of each message, in order."""
        self.waiting = False
        self._end_challenge()
        self._errors = 0
        self.logged_in = True
        self.sizes = sizes
        self.ok(f"{len(sizes)} messages")

    def identified(self, uids: Sequence[str]) -> None:
        """The unique id of each message, in order."""
        self.waiting = False
        self.uids = uids
        try:
            verbs.uidl(self, self.asked)
        except Pop3Refusal as fault:
            self._error(fault.text, fault.code)

    def refuse(self, text: str, code: str = "") -> None:
        """No, to the event that waits. code: as in RFC 2449 8, RFC 3206. After Update call `turn_away` instead."""
        self.waiting = False
        self._end_challenge()
        self._error(text, code)
        self._count_error()

    def challenge(self, data: bytes) -> None:
        """Go on with the exchange (RFC 5034 4)."""
        self.waiting = False
        self._challenged = True
        self.reader.limit = _AUTH_LINE
        self._out.append(b"+ " + binascii.b2a_base64(data, newline=False) + b"\r\n")

    def secured(self, mechanisms: tuple[str, ...]) -> None:
        """The handshake is done: what was said before is forgotten (RFC 2595 4)."""
        self.waiting = False
        self.reader.clear()
        self.user = ""
        self.secure = True
        self.mechanisms = mechanisms

    def begin(self, size: int) -> None:
        """The message follows."""
        self._stuffer = Stuffer()
        self.ok(f"{size} octets" if self.cutter is None else "Top of the message follows")

    def body(self, chunk: bytes) -> bool:
        """Octets of the message, in any pieces. False: TOP has enough."""
        assert self._stuffer is not None
        if self.cutter is not None:
            chunk = self.cutter.feed(chunk)
        self._out.append(self._stuffer.feed(chunk))
        return self.cutter is None or not self.cutter.full

    def end(self) -> None:
        """The message is complete."""
        assert self._stuffer is not None
        self._out.append(self._stuffer.end())
        self._stuffer = self.cutter = None
        self.waiting = False

    def done(self) -> None:
        """What QUIT asked for is done for good."""
        self.waiting = False
        self.closed = True
        self.ok("Goodbye")

    # For the commands

    def ok(self, text: str) -> None:
        """+OK."""
        self._out.append(f"+OK {text}\r\n".encode())

    def answer(self, text: str, *lines: str) -> None:
        """+OK, these lines, and the dot that ends them."""
        self._out.append("\r\n".join((f"+OK {text}", *lines, ".\r\n")).encode())

    def _error(self, text: str, code: str) -> None:
        lead = f"[{code}] " if code else ""
        self._out.append(f"-ERR {lead}{text}\r\n".encode())

    # Lines

    def _line(self, line: bytes | LineFault) -> Event | None:
        if isinstance(line, bytes) and not self._challenged:
            try:
                return self._run(line)
            except Pop3Refusal as fault:
                self._error(fault.text, fault.code)
                self._count_error()
                return None
        if isinstance(line, bytes):
            return self._auth_line(line)
        cancelled = AuthCancelled() if self._challenged else None
        too_long = f"The line is longer than {self.reader.limit} octets"
        self._end_challenge()
        self._error(too_long if line is LineFault.TOO_LONG else "A line must end with CR LF; a bare LF was found", "")
        self._count_error()
        return cancelled

    def _run(self, line: bytes) -> Event | None:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise Pop3Refusal("The command is not UTF-8") from None
        if "\0" in text or "\r" in text:
            raise Pop3Refusal("The command holds control characters")
        verb, _, rest = text.partition(" ")
        row = BY_NAME.get(verb.upper())
        if row is None:
            raise Pop3Refusal("Command not known")
        state = State.AUTHORIZATION if not self.logged_in else State.TRANSACTION
        if state not in row.states:
            when = "after" if state is State.AUTHORIZATION else "before"
            raise Pop3Refusal(f"{row.name} comes {when} the login")
        event = row.run(self, rest)
        if self.logged_in:
            self._errors = 0  # a clumsy client, not an endless one
        return event

    def _auth_line(self, line: bytes) -> Event:
        self._end_challenge()
        try:
            if line == b"*":
                raise SaslFault("Authentication given up, as you asked")
            event = AuthResponse(decode_base64(line))
        except SaslFault as fault:
            self._error(str(fault), "")
            self._count_error()
            return AuthCancelled()
        self.waiting = True
        return event

    def _end_challenge(self) -> None:
        self._challenged = False
        self.reader.limit = _LINE

    @property
    def nonsense(self) -> bool:
        """There were too many errors."""
        return self._errors > self.options.errors

    def _count_error(self) -> None:
        self._errors += 1
        if self.nonsense and not self.closed:
            self.turn_away("Too many errors; closing")
