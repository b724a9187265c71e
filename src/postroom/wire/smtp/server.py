"""The server's end of SMTP, submission and LMTP: bytes in, events out; answers in, bytes out.

Purpose: `feed` what arrived, take events with `next_event`, answer those that ask for it, send `data_to_send()`.
While an event waits for its answer `next_event` gives None and the input stays where it is, so pipelined commands
keep their order. The driver stops reading meanwhile, which bounds what is held.
Ownership: the session owns the dialog's state and the message's framing; octets of the message are handed on at once.
Names without underscore that the docstrings call internal belong to the modules of this package.
Trust: the peer is hostile; lines, recipients, commands and errors are bounded by `ServerOptions`.
Standards: RFC 5321, RFC 2920 (PIPELINING), RFC 3207, RFC 4954, RFC 3030, RFC 2033, RFC 9422, RFC 7504; what may be
said when: `commands`.
On failure: every fault is a reply. `closed` says that the connection must end after the output is sent.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from postroom.values.refusal import Refusal
from postroom.wire.lines import LineFault, LineReader
from postroom.wire.sasl.exchange import AuthCancelled, AuthResponse
from postroom.wire.sasl.server import SaslFault, decode_base64
from postroom.wire.smtp import replies
from postroom.wire.smtp.body import Incoming
from postroom.wire.smtp.commands import BY_NAME, FOREIGN, NOT_IMPLEMENTED, SYNOPSES
from postroom.wire.smtp.events import Body, Event, Fault, Mail, Reset
from postroom.wire.smtp.options import ServerOptions
from postroom.wire.smtp.state import HELLO, IDLE, LOGIN, MAIL, NO_CHUNKS, RECIPIENT, Profile, Wait, refusal_for

_AUTH_LINE: Final = 12290  # RFC 4954 4: 12288 octets for a line of the exchange, and CR LF
_PATHS: Final = {"MAIL": "mail", "RCPT": "rcpt"}
_PATH: Final = 320  # octets of a path that are told: RFC 5321 4.5.3.1.3 allows 256
_RCPT_WEIGHT, _ERROR_WEIGHT = 1, 5
_MAIL_OK: Final = b"250 2.1.0 Sender accepted\r\n"
_RCPT_OK: Final = b"250 2.1.5 Recipient accepted\r\n"
_TOO_MANY: Final = Refusal(421, "4.7.0", "Too many errors; closing")
_STOPPING: Final = Refusal(421, "4.3.2", "This server is stopping; please come back in a moment")


@lru_cache(maxsize=64)
def _greeting(options: ServerOptions) -> bytes:
    return f"220 {options.hostname} {options.protocol} Postroom\r\n".encode()


class ServerSession:
    """One connection. Internal to the package: has, incoming, mail, out, parked, reader, transactions, wait."""

    __slots__ = (
        "_challenged",
        "_commands",
        "_errors",
        "_leaving",
        "_table",
        "authenticated_as",
        "chunked",
        "closed",
        "esmtp",
        "faults",
        "feed",
        "has",
        "helo",
        "incoming",
        "latest",
        "mail",
        "mechanisms",
        "options",
        "out",
        "parked",
        "reader",
        "recipients",
        "secure",
        "starttls",
        "transactions",
        "wait",
    )

    def __init__(
        self,
        options: ServerOptions,
        *,
        secure: bool = False,
        starttls: bool = False,
        mechanisms: tuple[str, ...] = (),
        latest: str = "",
    ) -> None:
        """starttls: the listener offers it. mechanisms: AUTH mechanisms to announce; empty: none allowed here.

        latest: until when a message may be kept before it is sent ("2026-12-24T00:00:00Z"), "" where it may not.
        """
        self.options = options
        self.latest = latest
        self.secure = secure
        self.starttls = starttls
        self.mechanisms = mechanisms
        self.helo = ""  # what the peer called itself, "" before it did
        self.esmtp = False
        self.authenticated_as = ""
        self.recipients = 0  # accepted in this transaction
        self.closed = False
        self.reader = LineReader(options.line)
        self.feed: Final = self.reader.feed  #: add octets that arrived
        self.out: list[bytes] = []
        self.faults: list[Fault] = []  #: what was refused here without asking the driver, who takes it from the list
        self.has: int = IDLE | NO_CHUNKS | (0 if options.profile is Profile.SUBMISSION else LOGIN)
        self.mail: Mail | None = None  # accepted, or waiting for its answer
        self.incoming: Incoming | None = None  # while octets of a message (or of a BDAT to be swallowed) come
        self.parked: Incoming | None = None  # between two BDATs
        self.chunked = False
        self.wait: Wait | None = None
        self.transactions = 0
        self._table = BY_NAME[options.profile]
        self._challenged = False
        self._leaving: Refusal | None = None
        self._errors = self._commands = 0

    # Input and output

    def greet(self) -> None:
        """Open the dialog (RFC 5321 3.1)."""
        self.out.append(_greeting(self.options))

    def turn_away(self, fault: Refusal) -> None:
        """End the dialog with this reply: at the start (RFC 5321 3.1, RFC 7504 3: 521, 554, 421) or at any time."""
        self.out.append(replies.refusal(fault))
        self.closed = True

    def leave(self, fault: Refusal = _STOPPING) -> None:
        """End the dialog with 421 as soon as no answer and no message is under way (RFC 5321 3.8)."""
        if self.wait is None and self.incoming is None:
            self.turn_away(fault)
        else:
            self._leaving = fault

    def data_to_send(self) -> bytes:
        """What is to be sent, once."""
        out = self.out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    @property
    def ahead(self) -> bool:
        """True when the peer has sent more than what was looked at."""
        return self.reader.at < len(self.reader.buffer)

    @property
    def synopses(self) -> dict[str, str]:
        """The commands that may be said here and how they are written."""
        known = SYNOPSES[self.options.profile]
        absent = {"AUTH"} if not self.mechanisms else set()
        if self.secure or not self.starttls:
            absent.add("STARTTLS")
        return {name: synopsis for name, synopsis in known.items() if name not in absent}

    @property
    def receiving(self) -> bool:
        """True while octets of a message come."""
        return self.incoming is not None

    def next_event(self) -> Event | None:
        """The next thing to decide; None when an answer or more input is needed."""
        while self.wait is None and not self.closed:
            event: Event | None
            if self.incoming is not None:
                data = self.reader.take_rest()
                if not data and not (self.chunked and self.incoming.left == 0):
                    return None
                event = self._receive(self.incoming, data)
            else:
                reader = self.reader
                line = reader.line() if reader.buffer else None
                if line is None:
                    return None
                event = self._command(line) if isinstance(line, bytes) else self._no_line(line)
            if event is not None:
                return event
        return None

    # Answers

    def ok(self) -> None:
        """MAIL or RCPT is accepted."""
        if self.wait is Wait.RCPT:
            self.recipients += 1
            self.has |= RECIPIENT
            self.out.append(_RCPT_OK)
        else:
            assert self.wait is Wait.MAIL
            self.has = self.has & ~IDLE | MAIL
            self.transactions += 1
            self.out.append(_MAIL_OK)
        self.wait = None
        if self._leaving:
            self.turn_away(self._leaving)

    def accept(self, text: str) -> None:
        """The message is ours from here (RFC 5321 4.2.5); text says where to find it, such as "Queued as ID"."""
        self._end_of_message([replies.reply(250, "2.0.0", text)] * self._answers())

    def results(self, results: Sequence[Refusal | str]) -> None:
        """LMTP: one answer for each accepted recipient in their order (RFC 2033 4.2); a text means 250."""
        self._end_of_message(
            [replies.reply(250, "2.0.0", one) if isinstance(one, str) else replies.refusal(one) for one in results]
        )

    def refuse(self, fault: Refusal) -> None:
        """No, to the event that waits. 421 and 521 end the dialog (RFC 5321 3.8, RFC 7504 3)."""
        wait, self.wait = self.wait, None
        if wait is Wait.BODY:
            self._end_of_message([replies.refusal(fault)] * self._answers())
        else:
            self.out.append(replies.refusal(fault))
            if wait is Wait.MAIL:
                self.mail = None
            if fault.code >= 500:
                self._count_error(_RCPT_WEIGHT if wait is Wait.RCPT else _ERROR_WEIGHT)
            if self._leaving and not self.closed:
                self.turn_away(self._leaving)
        self._end_challenge()
        self.closed = self.closed or fault.code in (421, 521)

    def discard(self, fault: Refusal) -> None:
        """While a message comes: swallow the rest and answer this at its end. The driver hears no more of it."""
        incoming = self.incoming or self.parked
        if incoming is not None and incoming.fault is None:
            incoming.fault = fault
            incoming.told = True

    def challenge(self, data: bytes) -> None:
        """Go on with the exchange: 334 and these octets (RFC 4954 4)."""
        assert self.wait is Wait.AUTH
        self.wait = None
        self._challenged = True
        self.reader.limit = _AUTH_LINE
        self.out.append(b"334 " + binascii.b2a_base64(data, newline=False) + b"\r\n")
        if self._leaving:
            self.turn_away(self._leaving)

    def authenticated(self, login: str) -> None:
        """The client is this user."""
        assert self.wait is Wait.AUTH
        self.wait = None
        self._end_challenge()
        self.authenticated_as = login
        self.has |= LOGIN
        self._errors = 0
        self.out.append(b"235 2.7.0 Authenticated\r\n")
        if self._leaving:
            self.turn_away(self._leaving)

    def secured(self, mechanisms: tuple[str, ...]) -> None:
        """The handshake is done: everything said before is forgotten (RFC 3207 4.2)."""
        assert self.wait is Wait.TLS
        self.wait = None
        self.reader.clear()
        self.secure = True
        self.mechanisms = mechanisms
        self.helo = ""
        self.has &= ~HELLO
        if self._leaving:
            self.turn_away(self._leaving)

    # Lines

    def _command(self, line: bytes) -> Event | None:
        """Look the command up, check that it may be said now, and do it."""
        if self._challenged:
            return self._auth_line(line)
        try:
            text = line.decode()
            if not text.isprintable() and not text.replace("\t", " ").isprintable():
                raise Refusal(500, "5.5.2", "The command holds control characters")
            verb, _, rest = text.partition(" ")
            row = self._table.get(verb) or self._table.get(verb.upper())
            if row is None:
                raise self._unknown(verb.upper())
            if row.needs & ~self.has:
                raise refusal_for(row.needs & ~self.has, self.options.profile)
            if row.counted:
                self._commands += 1
                if self._commands > self.options.commands:
                    raise Refusal(421, "4.7.0", "Too many commands without a message; closing")
            return row.run(self, rest)
        except UnicodeDecodeError:
            self._fault(Refusal(500, "5.5.2", "The command is not UTF-8"))
        except Refusal as fault:
            self._fault(fault, text)
        return None

    def _no_line(self, fault: LineFault) -> Event | None:
        if fault is LineFault.TOO_LONG:  # RFC 5321 4.5.3.1.9
            refusal = Refusal(500, "5.5.6", f"The line is longer than {self.reader.limit} octets")
        else:
            refusal = Refusal(500, "5.5.2", "A line must end with CR LF; a bare LF was found")
        cancelled = AuthCancelled() if self._challenged else None
        self._end_challenge()
        self._fault(refusal)
        return cancelled

    def _unknown(self, verb: str) -> Refusal:
        protocol = self.options.protocol
        if verb in FOREIGN:
            return Refusal(421, "4.7.0", "This is a mail server; it does not speak HTTP")
        if verb in NOT_IMPLEMENTED:
            return Refusal(502, "5.5.1", f"{verb} is not implemented")
        if verb in ("HELO", "EHLO", "LHLO"):
            return Refusal(500, "5.5.1", f"This is {protocol}: say {'LHLO' if protocol == 'LMTP' else 'EHLO'}")
        return Refusal(500, "5.5.1", "Command not known; HELP lists those that are")

    def _auth_line(self, line: bytes) -> Event:
        """The client's answer to a challenge, or "*" to give up (RFC 4954 4)."""
        self._end_challenge()
        try:
            if line == b"*":
                raise SaslFault("Authentication given up, as you asked")
            self.wait = Wait.AUTH
            return AuthResponse(decode_base64(line))
        except SaslFault as fault:
            self.wait = None
            self._fault(Refusal(501, "5.5.2" if line != b"*" else "5.7.0", str(fault)))
            return AuthCancelled()

    def _end_challenge(self) -> None:
        self._challenged = False
        self.reader.limit = self.options.line

    def _fault(self, fault: Refusal, line: str = "") -> None:
        """A command that is refused here."""
        stage = _PATHS.get(line[:4].upper(), "command")
        path = line.partition("<")[2].partition(">")[0][:_PATH] if stage != "command" else ""
        self.faults.append(Fault(stage, fault, path))
        self.out.append(replies.refusal(fault))
        if fault.code == 421:  # another protocol: all errors at once
            self._errors += (self.options.errors + 1) * _ERROR_WEIGHT
            self.closed = True
        else:
            self._count_error(_ERROR_WEIGHT)

    @property
    def nonsense(self) -> bool:
        """There were too many errors, or it was another protocol."""
        return self._errors > self.options.errors * _ERROR_WEIGHT

    def _count_error(self, weight: int) -> None:
        self._errors += weight
        if self.nonsense and not self.closed:
            self.faults.append(Fault("command", _TOO_MANY))
            self.turn_away(_TOO_MANY)

    # The message

    def _receive(self, incoming: Incoming, data: bytes) -> Event | None:
        """Octets of the message; what follows its end goes back to the reader."""
        text, rest = incoming.octets(data) if self.chunked else incoming.text(data)
        if rest is None:
            if text:
                return Body(text, False)
            return self._tell_fault(incoming)
        if rest:
            self.reader.feed(rest)
        self.incoming = None
        if self.chunked and not incoming.last and incoming.fault is None:
            self.parked = incoming
            self.out.append(replies.reply(250, "2.0.0", f"{incoming.received} octets received"))
            return Body(text, False) if text else None
        if incoming.fault is not None:
            return self._failed(incoming, incoming.fault)
        self.wait = Wait.BODY
        return Body(text, True)

    def _tell_fault(self, incoming: Incoming) -> Event | None:
        """Once, as soon as it is known that nothing will come of this message."""
        if incoming.fault is None or incoming.told:
            return None
        incoming.told = True
        self.faults.append(Fault("data", incoming.fault))
        return Reset()

    def _failed(self, incoming: Incoming, fault: Refusal) -> Event | None:
        """The end of a message, or of a BDAT, that is refused here."""
        event = self._tell_fault(incoming)
        in_transaction = bool(self.has & RECIPIENT)
        answers = self._answers() if in_transaction and incoming.last else 1
        self._end_of_message([replies.refusal(fault)] * answers, counted=False)
        self._count_error(_ERROR_WEIGHT)
        return event

    def _answers(self) -> int:
        """How many replies the end of the message gets (RFC 2033 4.2)."""
        return self.recipients if self.options.profile is Profile.LMTP else 1

    def _end_of_message(self, answers: list[bytes], *, counted: bool = True) -> None:
        self.wait = None
        self.out.extend(answers)
        self.forget()
        if counted:
            self._commands = self._errors = 0
        if self._leaving and not self.closed:
            self.turn_away(self._leaving)

    def forget(self) -> Event | None:
        """Back to where MAIL may be said; tells the driver when there was a transaction. Internal."""
        had = self.mail is not None
        self.mail = None
        self.recipients = 0
        self.parked = None
        self.chunked = False
        self.has = self.has & ~(MAIL | RECIPIENT) | IDLE | NO_CHUNKS
        return Reset() if had else None
