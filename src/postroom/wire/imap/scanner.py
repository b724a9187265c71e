r"""The words of a command, read from left to right (RFC 9051 9).

Purpose: one method for each terminal of the grammar; the modules of the command families put them together.
Ownership: a Scanner lives as long as the parsing of one command.
Trust: the text is hostile; the framer has bounded its length. Every pattern is linear.
On failure: BadSyntax; the caller knows the tag.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.values.flags import BITS
from postroom.wire.imap import names, sequence
from postroom.wire.imap.commands import Flags, SequenceSet
from postroom.wire.imap.errors import BadSyntax, Unfinished

# RFC 9051 9: ATOM-CHAR is any CHAR but ( ) { SP CTL % * " \ ]
ATOM_CHARS: Final = rb"!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~"
_ATOM: Final = re.compile(rb"[" + ATOM_CHARS + rb"]+")
_ASTRING: Final = re.compile(rb"[" + ATOM_CHARS + rb"\]]+")
# list-char = ATOM-CHAR / list-wildcards / resp-specials; UTF-8 is let through and checked when it is decoded
_LIST_MAILBOX: Final = re.compile(rb"[" + ATOM_CHARS + rb"\]%*]+")
_QUOTED: Final = re.compile(rb'"([^\x00\r\n"\\]*(?:\\["\\][^\x00\r\n"\\]*)*)"')
_UNESCAPE: Final = re.compile(rb"\\(.)")
_LITERAL: Final = re.compile(rb"\{\d+\+?\}\r\n")
_NUMBER: Final = re.compile(rb"\d{1,19}")
_SET: Final = re.compile(rb"[0-9:,*]+|\$")
_PARTIAL: Final = re.compile(rb"([1-9][0-9]{0,9}):([1-9][0-9]{0,9})(?![0-9])")
_PARTIAL_LAST: Final = re.compile(rb"(-[1-9][0-9]{0,9}):(-[1-9][0-9]{0,9})(?![0-9])")
_OBJECTID: Final = re.compile(rb"[A-Za-z0-9_-]{1,255}(?![A-Za-z0-9_-])")
_FLAG: Final = re.compile(rb"\\?[" + ATOM_CHARS + rb"]+")
_MAX_FLAGS: Final = 1000

MAX_NUMBER64: Final = 2**63 - 1
MAX_NUMBER32: Final = 2**32 - 1


class Scanner:
    """A place in a command."""

    __slots__ = ("_literals", "_next", "pos", "text", "utf8")

    def __init__(self, text: bytes, literals: tuple[bytes, ...] = (), utf8: bool = False, pos: int = 0) -> None:
        self.text = text
        self.pos = pos
        self.utf8 = utf8
        self._literals = literals
        self._next = 0

    def fail(self, wanted: str) -> BadSyntax:
        """A fault at this place, to be raised."""
        return BadSyntax(f"{wanted} expected at octet {self.pos + 1}")

    # -- punctuation ----------------------------------------------------------------------------------------------
    def peek(self, word: bytes) -> bool:
        """True when word (one or more octets, compared exactly) stands here."""
        return self.text.startswith(word, self.pos)

    def accept(self, word: bytes) -> bool:
        """Go past word when it stands here, compared exactly."""
        if self.text.startswith(word, self.pos):
            self.pos += len(word)
            return True
        return False

    def expect(self, word: bytes) -> None:
        """Go past word. Raises BadSyntax when something else stands here."""
        if not self.text.startswith(word, self.pos):
            raise self.fail(repr(word.decode("ascii")))
        self.pos += len(word)

    def space(self) -> None:
        """RFC 9051 9: exactly one space."""
        if not self.text.startswith(b" ", self.pos):
            raise self.fail("space")
        self.pos += 1

    def at_end(self) -> bool:
        """True when nothing is left."""
        return self.pos >= len(self.text)

    def end(self) -> None:
        """Raises BadSyntax unless the command ends here."""
        if self.pos < len(self.text):
            raise self.fail("end of command")

    # -- words ----------------------------------------------------------------------------------------------------
    def atom(self) -> bytes:
        """atom, as written."""
        return self._match(_ATOM, "atom")

    def keyword(self) -> str:
        """An atom that names something, in upper case."""
        return self._match(_ATOM, "name").decode("ascii").upper()

    def number(self) -> int:
        """number64 (RFC 9051 9); smaller types are checked by who needs them."""
        value = int(self._match(_NUMBER, "number"))
        if value > MAX_NUMBER64:
            raise self.fail("smaller number")
        return value

    def nz_number(self, most: int = MAX_NUMBER64) -> int:
        """A number from 1 to most."""
        value = self.number()
        if not 1 <= value <= most:
            raise self.fail(f"number from 1 to {most}")
        return value

    def astring(self) -> bytes:
        """astring = 1*ASTRING-CHAR / string."""
        found = _ASTRING.match(self.text, self.pos)
        if found:
            self.pos = found.end()
            return found[0]
        return self.string()

    def string(self) -> bytes:
        """string = quoted / literal."""
        found = _QUOTED.match(self.text, self.pos)
        if found:
            self.pos = found.end()
            value: bytes = found[1]
            if not value.isascii():
                self._check_utf8(value)
            return _UNESCAPE.sub(rb"\1", value) if b"\\" in value else value
        return self.literal()

    def nstring(self) -> bytes | None:
        """nstring = string / nil."""
        if self.text[self.pos : self.pos + 3].upper() == b"NIL":
            self.pos += 3
            return None
        return self.string()

    def literal(self) -> bytes:
        """literal: its octets. The "~" of a literal8, where one is allowed, is the caller's."""
        if self.pos >= len(self.text):
            raise Unfinished("string expected at the end")
        found = _LITERAL.match(self.text, self.pos)
        if not found or self._next >= len(self._literals):
            raise self.fail("string")
        self.pos = found.end()
        self._next += 1
        return self._literals[self._next - 1]

    def objectid(self) -> str:
        """objectid = 1*255(ALPHA / DIGIT / "_" / "-") (RFC 8474 7), as written: case matters."""
        return self._match(_OBJECTID, "object identifier").decode("ascii")

    def partial_range(self) -> tuple[int, int]:
        """partial-range (RFC 9394 4): two numbers above 0, or both with a minus; in any order."""
        found = _PARTIAL.match(self.text, self.pos) or _PARTIAL_LAST.match(self.text, self.pos)
        if not found or any(abs(int(end)) > MAX_NUMBER32 for end in found.groups()):
            raise self.fail("range such as 1:500 or -1:-100")
        self.pos = found.end()
        return int(found[1]), int(found[2])

    def mailbox(self) -> str:
        """mailbox = "INBOX" / astring. Raises BadName."""
        return names.decode(self.astring(), self.utf8)

    def list_mailbox(self) -> str:
        """list-mailbox: a mailbox name with wildcards. Raises BadName."""
        found = _LIST_MAILBOX.match(self.text, self.pos)
        if found:
            self.pos = found.end()
            return names.decode_pattern(found[0], self.utf8)
        return names.decode_pattern(self.string(), self.utf8)

    def sequence_set(self) -> SequenceSet:
        """sequence-set, with "$" as SAVED."""
        return sequence.parse(self._match(_SET, "message set"))

    # -- flags ----------------------------------------------------------------------------------------------------
    def flag_list(self) -> Flags:
        """flag-list = "(" [flag *(SP flag)] ")"."""
        self.expect(b"(")
        if self.accept(b")"):
            return Flags()
        flags = self.flags()
        self.expect(b")")
        return flags

    def flags(self) -> Flags:
        """flag *(SP flag)."""
        bits, keywords = 0, []
        for _ in range(_MAX_FLAGS):
            name = self._match(_FLAG, "flag")
            if name.startswith(b"\\"):
                bits |= self._system_flag(name)
            else:
                keywords.append(name.decode("ascii"))
            if not self.accept(b" "):
                return Flags(bits, tuple(keywords))
        raise self.fail("shorter flag list")

    def _system_flag(self, name: bytes) -> int:
        """The bit of a system flag. RFC 9051 2.3.2: clients cannot invent names with a backslash."""
        bit = BITS.get(name.lower())
        if bit is None:
            raise self.fail("flag that a client may set")
        return bit

    # -- inside ---------------------------------------------------------------------------------------------------
    def _match(self, pattern: re.Pattern[bytes], wanted: str) -> bytes:
        found = pattern.match(self.text, self.pos)
        if not found:
            raise self.fail(wanted)
        self.pos = found.end()
        return found[0]

    def _check_utf8(self, value: bytes) -> None:
        """RFC 6855 3: octets with the high bit in a quoted string must be UTF-8, and only after ENABLE.

        Clients that send UTF-8 without asking do so in good faith; what matters is that it is UTF-8.
        """
        try:
            value.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise self.fail("UTF-8") from fault
