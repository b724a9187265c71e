"""STORE, COPY, MOVE, EXPUNGE and their UID forms.

Standards: RFC 9051 6.4.3, 6.4.6 to 6.4.9; RFC 7162 3.1.3 (UNCHANGEDSINCE); RFC 4315 2.1 (UID EXPUNGE).
On failure: BadSyntax.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from postroom.wire.imap import sequence
from postroom.wire.imap.commands import Copy, Expunge, Flags, Store
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.scanner import Scanner

#: what stands before the flags: operation, silent
_ITEMS: Final = {
    sign + name + suffix: (sign, bool(suffix))
    for sign in ("", "+", "-")
    for name in ("FLAGS",)
    for suffix in ("", ".SILENT")
}
# a short set and flags in parentheses, which clients send nearly always
_COMMON: Final = re.compile(rb" ([0-9:,*]{1,32}) ([+-]?)FLAGS(\.SILENT)? (\([^()\r\n]{0,64}\))\Z", re.IGNORECASE)
_SIGNS: Final = {b"": "", b"+": "+", b"-": "-"}


@lru_cache(maxsize=512)
def _flags(text: bytes) -> Flags:
    """A flag list on its own."""
    scanner = Scanner(text)
    flags = scanner.flag_list()
    scanner.end()
    return flags


def store(scanner: Scanner) -> Store:
    """SP sequence-set [SP "(" UNCHANGEDSINCE SP modseq ")"] SP store-att-flags."""
    common = _COMMON.match(scanner.text, scanner.pos)
    if common:
        sign, silent, text = common.group(2, 3, 4)
        try:
            asked = Store(sequence.parse(common[1]), _SIGNS[sign], _flags(text), silent is not None)
        except BadSyntax:
            pass  # once more, to find the place
        else:
            scanner.pos = len(scanner.text)
            return asked
    scanner.space()
    numbers = scanner.sequence_set()
    scanner.space()
    unchanged_since = None
    if scanner.accept(b"("):
        if scanner.keyword() != "UNCHANGEDSINCE":
            raise scanner.fail("UNCHANGEDSINCE")
        scanner.space()
        unchanged_since = scanner.number()
        scanner.expect(b")")
        scanner.space()
    item = _ITEMS.get(scanner.keyword())
    if item is None:
        raise scanner.fail("FLAGS")
    scanner.space()
    flags: Flags = scanner.flag_list() if scanner.peek(b"(") else scanner.flags()
    return Store(numbers, item[0], flags, item[1], unchanged_since)


def copy(scanner: Scanner) -> Copy:
    """SP sequence-set SP mailbox."""
    scanner.space()
    numbers = scanner.sequence_set()
    scanner.space()
    return Copy(numbers, scanner.mailbox())


def expunge(scanner: Scanner) -> Expunge:
    """EXPUNGE takes nothing."""
    return Expunge()


def uid_expunge(scanner: Scanner) -> Expunge:
    """SP sequence-set."""
    scanner.space()
    return Expunge(scanner.sequence_set())
