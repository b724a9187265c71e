r"""Where an IMAP command ends, before anybody asks what it means (RFC 9051 4.3 and 2.2.1).

Purpose: octets in, one event at a time out. Bad grammar can then cost one BAD, never a lost boundary: the octets of
a literal are never taken for a command. The messages of APPEND are not collected but handed on in pieces.
Ownership: holds at most one unfinished command: `limits.line` octets of text and `limits.literal` octets of literals,
besides what was fed and not yet asked for (the driver stops reading while it works).
Trust: none. Limits come first, memory after; what is refused is thrown away as it arrives.
Standards: RFC 9051 4.3, RFC 7888 (LITERAL+, LITERAL-), RFC 3516 (literal8), RFC 3502 (MULTIAPPEND), RFC 6855 4.
A line may end with LF alone (people type), a CR elsewhere makes the grammar fail.
On failure: one Refused event with the command's tag; the next command is read as if nothing had happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Final

from msgspec import Struct

from postroom.wire.imap import append
from postroom.wire.imap.append import Announced, Appending
from postroom.wire.imap.commands import Command
from postroom.wire.imap.errors import BadName, BadSyntax, Unfinished
from postroom.wire.imap.events import (
    AppendData,
    AppendEnd,
    AppendStart,
    Continue,
    FrameEvent,
    Line,
    RawLine,
    Refused,
)
from postroom.wire.imap.scanner import Scanner

# RFC 9051 9: tag = 1*<any ASTRING-CHAR except "+">
TAG: Final = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+(?= |\Z)")
_ANNOUNCED: Final = re.compile(rb"(~?)\{(\d{1,19})(\+?)\}\Z")
_SETMETADATA: Final = re.compile(TAG.pattern + rb" SETMETADATA ", re.IGNORECASE)
_TAIL: Final = 32  # octets in which an announcement fits: ~{ 19 digits +} CR
_HEAD: Final = 256  # octets in which we look for a tag


class FramerLimits(Struct, frozen=True, kw_only=True):
    """What one command may cost. Octets, except `literals` and `messages`."""

    line: int = 65536  # the text of a command, without its literals
    literal: int = 65536  # all literals of a command together, without the messages of APPEND
    literals: int = 200  # how many literals
    annotation: int = 32768  # a literal of SETMETADATA: a value (RFC 5464 4.3)
    nonsync: int | None = None  # RFC 7888 5: 4096 where LITERAL- is announced instead of LITERAL+
    messages: int = 10_000  # messages of one APPEND (RFC 3502), and their pieces (RFC 4469)


_DEFAULT: Final = FramerLimits()


class Inside(Enum):
    """What the client is in the middle of."""

    NOTHING = 0  # the next octet begins a command
    LINE = 1
    OCTETS = 2  # those of a literal or message


class _Go(Enum):
    ON = 1  # a step made no event but changed the state: take the next step


_Step = Callable[["Framer"], "FrameEvent | _Go | None"]


class Framer:
    """The receiving half of one connection."""

    __slots__ = (
        "_announced",
        "_append",
        "_binary",
        "_chunk",
        "_collected",
        "_literals",
        "_need",
        "_partial",
        "_pieces",
        "_pos",
        "_reader",
        "_step",
        "_text",
        "limits",
        "utf8",
    )

    def __init__(self, limits: FramerLimits = _DEFAULT) -> None:
        self.limits = limits
        self.utf8 = False  # mailbox names of APPEND are UTF-8 (set by the session)
        self._chunk = b""  # what was fed and not yet used: _chunk[_pos:]
        self._pos = 0
        self._partial = bytearray()  # the start of a line or literal whose end has not come
        self._text = b""  # lines of this command before its literals
        self._literals: list[bytes] = []
        self._collected = 0
        self._need = 0  # octets of a literal still to come
        self._binary = False  # it is a literal8: NUL may be in it
        self._append: Appending | None = None
        self._pieces = 0  # of its messages
        self._announced: Announced | None = None  # the literal that accept() or refuse() is about
        self._reader: _Step = Framer._read_command  # what a new line is: a command or a raw line
        self._step: _Step = self._reader  # plain functions, so that a connection is no reference cycle

    # -- what the driver does -------------------------------------------------------------------------------------
    def feed(self, data: bytes) -> None:
        """Take octets that came from the client."""
        self._chunk = self._chunk[self._pos :] + data if self._pos < len(self._chunk) else data
        self._pos = 0

    def next_event(self) -> FrameEvent | None:
        """The next event, or None when more octets (or accept() or refuse()) are needed first."""
        event = self._step(self)
        while event is _Go.ON:
            event = self._step(self)
        if event is None and self._pos >= len(self._chunk):
            self._chunk, self._pos = b"", 0  # an idle connection holds nothing
        return event

    def accept(self) -> bool:
        """Let the octets of the message announced by AppendStart come; True when the client waits for `+`.

        Raises RuntimeError when no message waits.
        """
        announced = self._answered()
        self._step = Framer._read_message if announced.size else Framer._end_message
        return announced.sync

    def refuse(self) -> None:
        """Turn down the message announced by AppendStart, and with it the command (its reply is the driver's).

        A client that waits for `+` sends nothing; what others send is thrown away. Raises RuntimeError when none waits.
        """
        self._drop_command(self._answered())

    def expect_raw(self) -> None:
        """From now on lines are no commands (IDLE, AUTHENTICATE), until expect_commands()."""
        self._read_with(Framer._read_raw)

    def expect_commands(self) -> None:
        """From now on lines are commands again."""
        self._read_with(Framer._read_command)

    def take_input(self) -> bytes:
        """What was fed and no event has used: octets behind the last command, of which nothing was looked at."""
        rest = self._chunk[self._pos :]
        self._chunk, self._pos = b"", 0
        return rest

    def drop_input(self) -> int:
        """Forget everything received (RFC 9051 11.1: after STARTTLS nothing from before counts). Gives its octets."""
        dropped = len(self._chunk) - self._pos + len(self._partial)
        self._chunk, self._pos = b"", 0
        self._reset()
        return dropped

    @property
    def pending(self) -> bool:
        """True when octets were fed that no event has used yet: another command may already be here."""
        return self._pos < len(self._chunk)

    @property
    def inside(self) -> Inside:
        """Where the octets fed so far end; asked when next_event() has given None."""
        step = self._step
        if step is Framer._collect or step is Framer._read_message or step is Framer._skip_literal:
            return Inside.OCTETS
        begun = self._partial or self._text or self._append is not None or step is Framer._skip_line
        return Inside.LINE if begun else Inside.NOTHING

    def _read_with(self, reader: _Step) -> None:
        if self._step is self._reader:  # else something is being thrown away first
            self._step = reader
        self._reader = reader

    def _answered(self) -> Announced:
        announced, self._announced = self._announced, None
        if announced is None:
            raise RuntimeError("no message of an APPEND is waiting for an answer")
        return announced

    def _reset(self) -> None:
        """Be ready for the next command."""
        self._partial.clear()
        self._text = b""
        self._literals = []
        self._collected = self._need = self._pieces = 0
        self._append = self._announced = None
        self._step = self._reader

    # -- lines ----------------------------------------------------------------------------------------------------
    def _take_line(self, room: int) -> bytes | Refused | None:
        """The next line without its end; None when it is not complete; Refused when it is longer than room."""
        chunk, pos = self._chunk, self._pos
        end = chunk.find(b"\n", pos)
        if end < 0:
            if len(self._partial) + len(chunk) - pos > room + 1:  # + 1: the last may be the CR of a CR LF
                return self._too_long()
            self._partial += chunk[pos:] if pos else chunk
            self._chunk, self._pos = b"", 0
            return None
        line = chunk[pos:end]
        if self._partial:
            line = bytes(self._partial) + line
        if line.endswith(b"\r"):
            line = line[:-1]
        if len(line) > room:
            return self._too_long()
        if self._partial:
            self._partial.clear()
        self._pos = end + 1
        return line

    def _too_long(self) -> Refused:
        head = (self._text or bytes(self._partial[:_HEAD]) + self._chunk[self._pos : self._pos + _HEAD])[:_HEAD]
        refused = Refused(self._tag(head), f"command is longer than {self.limits.line} octets", code=b"TOOBIG")
        tail = self._partial[-_TAIL:]
        self._reset()
        self._partial = tail  # _skip_line keeps the end of the line here
        self._step = Framer._skip_line
        return refused

    def _tag(self, head: bytes) -> bytes:
        if self._append is not None:
            return self._append.tag
        if self._reader is Framer._read_raw:
            return b""
        found = TAG.match(head)
        return found[0] if found else b"*"

    def _read_raw(self) -> FrameEvent | None:
        line = self._take_line(self.limits.line)
        return RawLine(line) if isinstance(line, bytes) else line

    def _read_command(self) -> FrameEvent | _Go | None:
        line = self._take_line(self.limits.line - len(self._text))
        if not isinstance(line, bytes):
            return line
        if line.endswith(b"}"):
            found = _ANNOUNCED.search(line, max(len(line) - _TAIL, 0))
            if found:
                return self._at_literal(self._text + line[: found.start()], found)
        if not self._text:
            return Line(line)
        event = Line(self._text + line, tuple(self._literals))
        self._reset()
        return event

    # -- literals -------------------------------------------------------------------------------------------------
    def _at_literal(self, text: bytes, found: re.Match[bytes]) -> FrameEvent | _Go:
        """A line ends with an announcement; text: the command so far without it."""
        announced = _announced(found)
        if self._append is not None or append.BEGIN.match(text):
            return self._announce(text, announced)
        return self._take_string(text, announced)

    def _take_string(self, text: bytes, announced: Announced) -> FrameEvent | _Go:
        """The literal is part of the command."""
        self._collected += announced.size
        if announced.size > self.limits.annotation and _SETMETADATA.match(text):
            code = b"METADATA MAXSIZE %d" % self.limits.annotation  # RFC 5464 4.3
            return self._refuse(self._tag(text), announced, "the value is too long", code, b"NO")
        if self._collected > self.limits.literal or self._oversized(announced):
            most = self.limits.literal
            return self._refuse(self._tag(text), announced, f"literals are longer than {most} octets", b"TOOBIG")
        if len(self._literals) >= self.limits.literals:
            return self._refuse(self._tag(text), announced, "too many literals", b"TOOBIG")
        tilde, plus = b"~" if announced.binary else b"", b"" if announced.sync else b"+"
        self._text = b"%b%b{%d%b}\r\n" % (text, tilde, announced.size, plus)
        self._need = announced.size
        self._binary = announced.binary
        self._step = Framer._collect
        return Continue(announced.size) if announced.sync else _Go.ON

    def _oversized(self, announced: Announced) -> bool:
        """RFC 7888 5: under LITERAL- larger literals must be synchronising."""
        most = self.limits.nonsync
        return most is not None and not announced.sync and announced.size > most

    def _collect(self) -> FrameEvent | _Go | None:
        """The octets of a literal that is part of the command."""
        missing = self._need - len(self._partial)
        piece = self._chunk[self._pos : self._pos + missing]
        self._partial += piece
        self._pos += len(piece)
        if len(piece) < missing:
            return None
        octets = bytes(self._partial)
        self._partial.clear()
        if b"\0" in octets and not self._binary:
            tag = self._tag(self._text)
            self._reset()
            self._step = Framer._skip_line
            return Refused(tag, "NUL is not allowed in this literal")
        self._literals.append(octets)
        self._step = Framer._read_command if self._append is None else Framer._read_append
        return _Go.ON

    # -- APPEND ---------------------------------------------------------------------------------------------------
    def _announce(self, text: bytes, announced: Announced) -> FrameEvent | _Go:
        """A literal of a command with messages; text: from the tag on, or what came behind the last message literal."""
        tag = self._tag(text)
        try:
            current = append.usual(text, announced) if self._append is None else None
            if current is None:
                scanner = Scanner(text, tuple(self._literals), self.utf8)
                current = self._append or self._begin_append(scanner)
                append.go_on(current, scanner, announced)
        except Unfinished:
            return self._take_string(text, announced)
        except BadName as fault:
            return self._refuse(tag, announced, str(fault), b"CANNOT", b"NO")
        except BadSyntax as fault:
            return self._refuse(tag, announced, str(fault))
        self._append = current
        if announced.size == 0 and not current.message.catenate:  # RFC 3502 6.3.11: this is how a client cancels
            return self._refuse(tag, announced, "an empty message is no message", status=b"NO")
        if self._oversized(announced):
            return self._refuse(tag, announced, "send a large literal without +", b"TOOBIG")
        self._pieces += 1 + len(current.urls)
        if self._pieces > self.limits.messages:
            return self._refuse(tag, announced, "too many messages in one command", b"LIMIT", b"NO")
        self._announced = announced
        self._need = announced.size
        self._text, self._literals = b"", []
        self._step = Framer._wait
        return AppendStart(
            tag,
            current.mailbox,
            len(current.messages) - 1,
            current.message,
            announced.sync,
            current.taken(),
            current.name,
            current.replaces,
        )

    def _begin_append(self, scanner: Scanner) -> Appending:
        found = append.BEGIN.match(scanner.text)
        assert found is not None  # or nobody would have come here
        scanner.pos = found.end()
        return append.start(scanner, found[1], found[2].decode("ascii").upper())

    def _wait(self) -> None:
        """accept() or refuse() comes next."""

    def _read_message(self) -> FrameEvent | None:
        """Octets of a message, handed on as they came."""
        assert self._append is not None
        chunk, pos = self._chunk, self._pos
        available = len(chunk) - pos
        if not available:
            return None
        # a piece that is all ours is handed on without copying it
        data = chunk if not pos and available <= self._need else chunk[pos : pos + self._need]
        self._need -= len(data)
        self._pos = pos + len(data)
        if b"\0" in data and not self._append.message.binary:
            tag, rest = self._append.tag, self._need
            self._reset()
            self._need, self._step = rest, Framer._skip_literal
            return Refused(tag, "NUL is only allowed in a literal8 (RFC 3516)")
        if not self._need:
            self._step = Framer._end_message
        return AppendData(data)

    def _end_message(self) -> FrameEvent:
        assert self._append is not None
        self._step = Framer._read_append
        return AppendEnd(len(self._append.messages) - 1, not self._append.message.catenate)

    def _read_append(self) -> FrameEvent | _Go | None:
        """What comes after octets of a message: the end of the command, or what stands before the next ones."""
        line = self._take_line(self.limits.line - len(self._text))
        if not isinstance(line, bytes):
            return line
        if line.endswith(b"}"):
            found = _ANNOUNCED.search(line, max(len(line) - _TAIL, 0))
            if found:
                return self._at_literal(self._text + line[: found.start()], found)
        current = self._append
        assert current is not None
        text, literals = self._text + line, tuple(self._literals)
        self._reset()
        if text or current.unfinished:  # else nothing stands behind the last message
            try:
                append.go_on(current, Scanner(text, literals, self.utf8), None)
            except BadSyntax as fault:
                return Refused(current.tag, str(fault))
        return Command(current.tag, current.name, current.command())

    # -- throwing away --------------------------------------------------------------------------------------------
    def _refuse(
        self, tag: bytes, announced: Announced, text: str, code: bytes = b"", status: bytes = b"BAD"
    ) -> Refused:
        """Refuse a command whose literal was just announced."""
        self._drop_command(announced)
        return Refused(tag, text, status, code, 0 if announced.sync else announced.size)

    def _drop_command(self, announced: Announced) -> None:
        """Throw away what the client sends all the same. After a refused synchronising literal that is nothing."""
        self._reset()
        if not announced.sync:
            self._need = announced.size
            self._step = Framer._skip_literal

    def _skip_literal(self) -> _Go | None:
        available = min(len(self._chunk) - self._pos, self._need)
        self._need -= available
        self._pos += available
        if self._need:
            return None
        self._step = Framer._skip_line
        return _Go.ON

    def _skip_line(self) -> _Go | None:
        """The rest of a line; RFC 7888 3: it may announce another literal that comes without waiting."""
        end = self._chunk.find(b"\n", self._pos)
        stop = end if end >= 0 else len(self._chunk)
        self._partial += self._chunk[max(self._pos, stop - _TAIL) : stop]
        del self._partial[:-_TAIL]
        self._pos = stop
        if end < 0:
            return None
        self._pos = end + 1
        found = _ANNOUNCED.search(bytes(self._partial).removesuffix(b"\r"))
        self._reset()
        if found:
            self._drop_command(_announced(found))
        return _Go.ON


def _announced(found: re.Match[bytes]) -> Announced:
    return Announced(int(found[2]), not found[3], bool(found[1]))
