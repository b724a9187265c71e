"""One connection's dialog: what was said, what is allowed now, how answers look.

One event at a time: the next is given when the one before is answered.
Trusts nothing before the log-in: literals are small until then; a client that makes nothing but mistakes is sent away.
Standards: RFC 5804 1.3 (responses), 1.7 (capabilities), 2.
On failure: NO with a text; BYE when the dialog cannot go on.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from postroom.wire.managesieve.commands import (
    BadCommand,
    Capability,
    Event,
    Logout,
    Noop,
    StartTls,
    State,
    Unauthenticate,
    decode_base64,
    parse,
)
from postroom.wire.managesieve.framer import Broken, Frame, Framer
from postroom.wire.sasl.exchange import Authenticate, AuthResponse

#: octets of a string before the log-in, and of one in quotes
_SHORT: Final = 8192
_LONGEST_QUOTED: Final = 1024
_NOT_QUOTED: Final = re.compile(rb"[\0\r\n]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageSieveOptions:
    """implementation: name and version; extensions: of scripts; script_size: octets; errors: mistakes borne."""

    implementation: str
    extensions: tuple[str, ...]
    notify: tuple[str, ...] = ("mailto",)
    max_redirects: int = 4
    script_size: int = 1024 * 1024
    errors: int = 10


def string(octets: bytes) -> bytes:
    """RFC 5804 4  string = quoted / literal."""
    if len(octets) > _LONGEST_QUOTED or _NOT_QUOTED.search(octets):
        return b"{%d}\r\n%b" % (len(octets), octets)
    return b'"%b"' % octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


class ManageSieveSession:
    """See the module. closed: nothing more is read or said; nonsense: nothing but mistakes came so far."""

    __slots__ = (
        "_errors",
        "_exchange",
        "_framer",
        "_mechanisms",
        "_options",
        "_out",
        "_pending",
        "_secure",
        "_starttls",
        "_tls",
        "closed",
        "nonsense",
        "owner",
    )

    def __init__(
        self, options: ManageSieveOptions, *, secure: bool, starttls: bool, mechanisms: tuple[str, ...]
    ) -> None:
        self._options = options
        self._framer = Framer(_SHORT)
        self._out = bytearray()
        self._secure = secure
        self._starttls = starttls
        self._mechanisms = mechanisms
        self._errors = 0
        self._exchange = False  # the next line answers a challenge
        self._pending = False  # an event is being worked on
        self._tls = False  # the handshake begins
        self.owner = ""
        self.closed = False
        self.nonsense = False

    @property
    def logged_in(self) -> bool:
        """Is there a log-in."""
        return bool(self.owner)

    @property
    def ahead(self) -> int:
        """Octets that were sent before their turn."""
        return self._framer.waiting

    def greet(self) -> None:
        """The first thing that is said (RFC 5804 1.7)."""
        self._capabilities()
        self.ok()

    def data_to_send(self) -> bytes:
        """What is to be sent, once."""
        out, self._out = bytes(self._out), bytearray()
        return out

    def feed(self, data: bytes) -> None:
        """Octets from the client."""
        if not self.closed and not self._tls:
            self._framer.feed(data)

    def next_event(self) -> Event | None:
        """What is to be done next; None while something is being done, or when there is nothing."""
        while not (self.closed or self._pending or self._tls):
            try:
                frame = self._framer.next()
            except Broken as fault:
                self.bye(str(fault))
                return None
            if frame is None:
                return None
            event = self._event(frame)
            if event is not None:
                self._pending = True
                return event
        return None

    def _event(self, frame: Frame) -> Event | None:
        """For whoever drives the session; None when it was answered here."""
        if not frame.words and not frame.wrong:
            return None  # an empty line
        try:
            if frame.large:
                self._say(b"NO", f"The limit is {self._framer.limit} octets", "QUOTA/MAXSIZE")
                self._exchange = False
                return None
            if frame.wrong:
                raise BadCommand(frame.wrong)
            if self._exchange:
                return self._response(frame)
            state = State.AUTHENTICATED if self.owner else State.NOT_AUTHENTICATED
            return self._own(parse(frame.words, state))
        except BadCommand as fault:
            self._mistake(str(fault))
            return None

    def _response(self, frame: Frame) -> Event | None:
        """RFC 5804 2.1: a string; "*" gives up."""
        self._exchange = False
        if len(frame.words) != 1 or frame.words[0].kind != "string":
            raise BadCommand("The answer to a challenge is a string")
        if frame.words[0].octets == b"*":
            self._say(b"NO", "Given up")
            return None
        return AuthResponse(decode_base64(frame.words[0].octets))

    def _own(self, event: Event) -> Event | None:
        """Answer what needs nobody else."""
        if isinstance(event, Capability):
            self._capabilities()
            self.ok()
        elif isinstance(event, Noop):
            if event.tag is None:
                self.ok("Here")
            else:
                self._out += b"OK (TAG %b) %b\r\n" % (string(event.tag), string(b"Here"))
        elif isinstance(event, Logout):
            self.ok("Goodbye")
            self.closed = True
        elif isinstance(event, StartTls):
            if self._secure or not self._starttls:
                self._say(b"NO", "TLS is on already" if self._secure else "There is no TLS here")
            else:
                self.ok("Begin TLS now")
                self._framer.drop()
                self._tls = True
                return event
        elif isinstance(event, Authenticate) and event.mechanism not in self._mechanisms:
            known = f"there are {' '.join(self._mechanisms)}" if self._mechanisms else "use STARTTLS first"
            self._say(b"NO", f"There is no such mechanism now; {known}", "" if self._mechanisms else "ENCRYPT-NEEDED")
        else:
            return event
        return None

    def secured(self, mechanisms: tuple[str, ...]) -> None:
        """TLS stands: everything that was known is forgotten, and the capabilities are told again (RFC 5804 2.2)."""
        self._secure, self._mechanisms, self._tls, self._pending = True, mechanisms, False, False
        self.greet()

    def _capabilities(self) -> None:
        options = self._options
        rows: list[tuple[str, str | None]] = [
            ("IMPLEMENTATION", options.implementation),
            ("SASL", "" if self.owner else " ".join(self._mechanisms)),
            ("SIEVE", " ".join(options.extensions)),
            ("NOTIFY", " ".join(options.notify)),
            ("MAXREDIRECTS", str(options.max_redirects)),
            ("UNAUTHENTICATE", None),
        ]
        if self._starttls and not self._secure and not self.owner:
            rows.append(("STARTTLS", None))
        if self.owner:
            rows.append(("OWNER", self.owner))
        rows.append(("VERSION", "1.0"))
        for name, value in rows:
            self._out += b'"%b"' % name.encode()
            self._out += b"\r\n" if value is None else b" %b\r\n" % string(value.encode())

    # answers

    def _say(self, word: bytes, text: str = "", code: str = "") -> None:
        self._out += word
        if code:
            self._out += b" (%b)" % code.encode()
        if text:
            self._out += b" " + string(text.encode("utf-8", "replace"))
        self._out += b"\r\n"

    def ok(self, text: str = "", code: str = "") -> None:
        """It is done."""
        self._pending = False
        self._say(b"OK", text, code)

    def no(self, text: str, code: str = "") -> None:
        """It cannot be done."""
        self._pending = False
        self._say(b"NO", text, code)

    def bye(self, text: str, code: str = "") -> None:
        """The connection ends."""
        if not self.closed:
            self._say(b"BYE", text, code)
            self.closed = True

    def challenge(self, data: bytes) -> None:
        """The next word of a log-in."""
        self._pending = False
        self._exchange = True
        self._out += string(base64.b64encode(data)) + b"\r\n"

    def logged(self, owner: str) -> None:
        """The log-in has succeeded."""
        self.owner = owner
        self._framer.limit = self._options.script_size
        self._errors = 0
        self.ok()

    def forgotten(self, mechanisms: tuple[str, ...]) -> None:
        """RFC 5804 2.14.1: nobody is logged in any more."""
        self.owner, self._mechanisms = "", mechanisms
        self._framer.limit = _SHORT
        self.ok()

    def listed(self, scripts: Iterable[tuple[str, bool]]) -> None:
        """RFC 5804 2.7: names, and whether it is the active one."""
        for name, active in scripts:
            self._out += string(name.encode()) + (b" ACTIVE" if active else b"") + b"\r\n"
        self.ok()

    def script(self, text: bytes) -> None:
        """RFC 5804 2.9."""
        self._out += b"{%d}\r\n%b\r\n" % (len(text), text)
        self.ok()

    def _mistake(self, text: str) -> None:
        self._errors += 1
        self.nonsense = self.nonsense or not self.owner
        self._exchange = False
        if self._errors > self._options.errors:
            self.bye("Too many mistakes")
        else:
            self._say(b"NO", text)


__all__ = ["ManageSieveOptions", "ManageSieveSession", "Unauthenticate", "string"]
