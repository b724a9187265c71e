"""Finds where a command ends, and takes its strings out of it.

A command is a line; where a string in it is a literal, the octets follow the line's end and the line goes on behind
them. Strings are octets here; what is too long is passed over without being kept.
Trusts nothing: lines and literals have limits, and a peer cannot make more be held than they allow.
Standards: RFC 5804 4 (quoted, literal-c2s, number, atoms).
On failure: Broken when the command cannot be followed any more: the connection must end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: RFC 5804 4  literal-c2s = "{" number "+}" CRLF; the form without "+" is sent by older programs
_LITERAL: Final = re.compile(rb"\{([0-9]{1,10})(\+?)\}\Z")
_TOKEN: Final = re.compile(rb'[ \t]*(?:"((?:[^"\\\r\n\0]|\\["\\])*)"|([0-9]+)(?=[ \t]|\Z)|([^ \t"{}()]+))')
_ESCAPE: Final = re.compile(rb'\\(["\\])')
#: octets of a line without its literals; strings in quotes have 1024 at most
LONGEST_LINE: Final = 4096
#: octets of a literal beyond its limit that are passed over; more ends the connection
MOST_SKIPPED: Final = 64 * 1024 * 1024
_MOST_ARGUMENTS: Final = 8


class Broken(Exception):
    """The text says why nothing more can be read."""


@dataclass(frozen=True, slots=True)
class Word:
    """An argument: string (from quotes or a literal), number, or atom."""

    kind: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """A command's words. wrong: why it is no command, "" when it is; large: a literal was longer than allowed."""

    words: tuple[Word, ...]
    wrong: str = ""
    large: bool = False


class Framer:
    """Octets of one connection. limit: octets of a literal; it may change between commands."""

    __slots__ = ("_buffer", "_large", "_line", "_literal", "_skip", "_words", "_wrong", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._words: list[Word] = []
        self._wrong = ""
        self._large = False
        self._literal = -1  # octets of a literal that are awaited
        self._skip = 0  # octets that are passed over
        self._line = 0  # octets of the command's line so far

    def feed(self, data: bytes) -> None:
        """Octets from the client."""
        self._buffer += data

    @property
    def waiting(self) -> int:
        """Octets that have not been looked at."""
        return len(self._buffer)

    def drop(self) -> None:
        """Forget what came before TLS (RFC 5804 2.2)."""
        self._buffer.clear()

    def next(self) -> Frame | None:
        """The next command; None when it is not there yet. Raises Broken."""
        for frame in self._read():
            return frame
        return None

    def _read(self) -> Iterator[Frame]:
        while True:
            if self._skip:
                passed = min(self._skip, len(self._buffer))
                del self._buffer[:passed]
                self._skip -= passed
                if self._skip:
                    return
            if self._literal >= 0:
                if len(self._buffer) < self._literal:
                    return
                self._add(Word("string", bytes(self._buffer[: self._literal])))
                del self._buffer[: self._literal]
                self._literal = -1
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) + self._line > LONGEST_LINE:
                    raise Broken("The line is too long")
                return
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._line += len(line)
            if self._line > LONGEST_LINE:
                raise Broken("The line is too long")
            if not self._take(line):
                yield self._done()

    def _take(self, line: bytes) -> bool:
        """The words of a line, or of what of it stands behind a literal; True when a literal follows."""
        literal = _LITERAL.search(line)
        text = line[: literal.start()] if literal else line
        self._words_of(text)
        if literal is None:
            return False
        size = int(literal[1])
        if size <= self.limit:
            self._literal = size
        elif size <= MOST_SKIPPED:
            self._skip = size
            self._large = True
            self._add(Word("string", b""))
        else:
            raise Broken("The string is too long")
        return True

    def _words_of(self, text: bytes) -> None:
        at = 0
        while text[at:].strip(b" \t"):
            found = _TOKEN.match(text, at)
            if found is None:
                self._wrong = self._wrong or "This is no command"
                return
            quoted, number, atom = found.groups()
            if quoted is not None:
                self._add(Word("string", _ESCAPE.sub(rb"\1", quoted) if b"\\" in quoted else quoted))
            elif number is not None:
                self._add(Word("number", number))
            else:
                self._add(Word("atom", atom))
            at = found.end()

    def _add(self, word: Word) -> None:
        if len(self._words) > _MOST_ARGUMENTS:
            self._wrong = self._wrong or "Too many arguments"
        else:
            self._words.append(word)

    def _done(self) -> Frame:
        frame = Frame(tuple(self._words), self._wrong, self._large)
        self._words, self._wrong, self._large, self._line = [], "", False, 0
        return frame
