r"""GETMETADATA, SETMETADATA, and METADATA in LIST.

Entry names are checked here, because a wrong one is a matter of grammar: BAD (RFC 5464 3.2).
Standards: RFC 5464 3.2, 4.2, 4.3 and 5 with its errata (options stand before or behind the mailbox), RFC 9590 3 and 5.
On failure: BadSyntax, BadName.
"""

from __future__ import annotations

import re
from typing import Final

from postroom.wire.imap.commands import GetMetadata, MetadataOptions, SetMetadata
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.scanner import Scanner

#: RFC 5464 4.2.2: DEPTH infinity
INFINITY: Final = 1000
_DEPTHS: Final = {"0": 0, "1": 1, "INFINITY": INFINITY}
_SCOPES: Final = ("private", "shared")
#: octets of an entry name, and entries of a command
MOST_OCTETS, MOST_ENTRIES = 256, 100
# RFC 5464 3.2: no "*", no "%", nothing but ASCII, no 0x00 to 0x19; control characters have no place there either
_NAME: Final = re.compile(rb"(?:/[^\x00-\x1f\x7f-\xff*%/]+)+")


def get_metadata(scanner: Scanner) -> GetMetadata:
    """[SP options] SP mailbox [SP options] SP entries."""
    scanner.space()
    options = None
    if scanner.peek(b"("):
        options = _options(scanner)
        scanner.space()
    mailbox = scanner.mailbox()
    scanner.space()
    if options is None and _are_options(scanner):
        options = _options(scanner)
        scanner.space()
    return GetMetadata(mailbox, entries(scanner), options or MetadataOptions())


def set_metadata(scanner: Scanner) -> SetMetadata:
    """SP mailbox SP "(" entry SP value *(SP entry SP value) ")"; of an entry that comes twice the last value counts."""
    scanner.space()
    mailbox = scanner.mailbox()
    scanner.space()
    scanner.expect(b"(")
    values: dict[str, tuple[str, bytes | None]] = {}
    while True:
        entry = _entry(scanner, exact=True)
        scanner.space()
        values.pop(entry.lower(), None)
        values[entry.lower()] = (entry, _value(scanner))
        if scanner.accept(b")"):
            return SetMetadata(mailbox, tuple(values.values()))
        scanner.space()
        if len(values) >= MOST_ENTRIES:
            raise scanner.fail("fewer entries")


def list_option(scanner: Scanner) -> tuple[tuple[str, ...], MetadataOptions]:
    """RFC 9590 5: what stands behind METADATA among the return options of LIST."""
    options = MetadataOptions()
    if _are_options(scanner):
        options = _options(scanner)
        scanner.space()
    return entries(scanner), options


def entries(scanner: Scanner) -> tuple[str, ...]:
    """entry / "(" entry *(SP entry) ")", each once."""
    if not scanner.accept(b"("):
        return (_entry(scanner),)
    found: dict[str, str] = {}
    while True:
        entry = _entry(scanner)
        found.setdefault(entry.lower(), entry)
        if scanner.accept(b")"):
            return tuple(found.values())
        scanner.space()
        if len(found) >= MOST_ENTRIES:
            raise scanner.fail("fewer entries")


def _are_options(scanner: Scanner) -> bool:
    """Options begin with a letter, entries with a slash, and so do their strings."""
    return scanner.peek(b"(") and scanner.text[scanner.pos + 1 : scanner.pos + 2].isalpha()


def _options(scanner: Scanner) -> MetadataOptions:
    """ "(" option *(SP option) ")", options being MAXSIZE and DEPTH."""
    scanner.expect(b"(")
    most: int | None = None
    depth = 0
    while True:
        option = scanner.keyword()
        scanner.space()
        if option == "MAXSIZE":
            most = scanner.number()
        elif option == "DEPTH":
            word = scanner.keyword()
            if word not in _DEPTHS:
                raise scanner.fail("0, 1 or infinity")
            depth = _DEPTHS[word]
        else:
            raise scanner.fail("MAXSIZE or DEPTH")
        if scanner.accept(b")"):
            return MetadataOptions(most, depth)
        scanner.space()


def _entry(scanner: Scanner, *, exact: bool = False) -> str:
    """An entry as written. exact: one that can have a value, not only entries below it."""
    raw = scanner.astring()
    if len(raw) > MOST_OCTETS or not _NAME.fullmatch(raw):
        raise BadSyntax("not the name of an entry (RFC 5464 3.2)")
    entry = raw.decode("ascii")
    scope, *rest = entry.lower()[1:].split("/")
    if scope not in _SCOPES:
        raise BadSyntax("entries begin with /private or /shared (RFC 5464 3.2)")
    if exact and len(rest) < (3 if rest[:1] == ["vendor"] else 1):
        raise BadSyntax("the entry has too few components (RFC 5464 3.2)")
    return entry


def _value(scanner: Scanner) -> bytes | None:
    """nstring / literal8."""
    if scanner.accept(b"~"):
        return scanner.literal()
    return scanner.nstring()
