"""FETCH and UID FETCH.

Standards: RFC 9051 6.4.5, RFC 3501 6.4.5 (RFC822 items, macros), RFC 3516 4 (BINARY), RFC 7162 3.1.4 and 3.2.6,
RFC 8514 4.2 (SAVEDATE), RFC 8474 5.3 (EMAILID, THREADID), RFC 9394 3.3 (PARTIAL),
RFC 8970 6 (PREVIEW).
What comes out is ready for the server: UID FETCH always has UID among its items, CHANGEDSINCE always MODSEQ.
On failure: BadSyntax.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from postroom.wire.imap import sequence
from postroom.wire.imap.commands import Attribute, Fetch, Item
from postroom.wire.imap.errors import BadSyntax
from postroom.wire.imap.scanner import Scanner
from postroom.wire.imap.strings import astring

UID: Final = Item(Attribute.UID, label=b"UID")
#: the UID that UID FETCH shows although nobody asked for it; not under UIDONLY (RFC 9586 3.3)
ADDED_UID: Final = Item(Attribute.UID)
MODSEQ: Final = Item(Attribute.MODSEQ, label=b"MODSEQ")
_FLAGS: Final = Item(Attribute.FLAGS, label=b"FLAGS")
_DATE: Final = Item(Attribute.INTERNALDATE, label=b"INTERNALDATE")
_SIZE: Final = Item(Attribute.SIZE, label=b"RFC822.SIZE")
_ENVELOPE: Final = Item(Attribute.ENVELOPE, label=b"ENVELOPE")
_BODY: Final = Item(Attribute.BODY, label=b"BODY")

_SIMPLE: Final = {
    "UID": UID,
    "FLAGS": _FLAGS,
    "INTERNALDATE": _DATE,
    "RFC822.SIZE": _SIZE,
    "ENVELOPE": _ENVELOPE,
    "BODY": _BODY,
    "BODYSTRUCTURE": Item(Attribute.BODYSTRUCTURE, label=b"BODYSTRUCTURE"),
    "MODSEQ": MODSEQ,
    "SAVEDATE": Item(Attribute.SAVEDATE, label=b"SAVEDATE"),
    "EMAILID": Item(Attribute.EMAILID, label=b"EMAILID"),
    "THREADID": Item(Attribute.THREADID, label=b"THREADID"),
    "RFC822": Item(Attribute.RFC822, peek=False, label=b"RFC822"),
    "RFC822.HEADER": Item(Attribute.RFC822_HEADER, label=b"RFC822.HEADER"),
    "RFC822.TEXT": Item(Attribute.RFC822_TEXT, peek=False, label=b"RFC822.TEXT"),
}
_PREVIEW: Final = Item(Attribute.PREVIEW, label=b"PREVIEW")
_LAZY_PREVIEW: Final = Item(Attribute.LAZY_PREVIEW, label=b"PREVIEW")
_LAZY: Final = re.compile(rb" \(LAZY(?: LAZY)*\)", re.IGNORECASE)
# RFC 9051 6.4.5: macros stand alone
_MACROS: Final = {
    "FAST": (_FLAGS, _DATE, _SIZE),
    "ALL": (_FLAGS, _DATE, _SIZE, _ENVELOPE),
    "FULL": (_FLAGS, _DATE, _SIZE, _ENVELOPE, _BODY),
}
_NAME: Final = re.compile(rb"[A-Za-z0-9.]+")
_PART: Final = rb"([1-9]\d{0,8}(?:\.[1-9]\d{0,8}){0,99})"
_SECTION: Final = re.compile(
    rb"\[(?:" + _PART + rb"(?:\.(MIME|HEADER\.FIELDS(?:\.NOT)?|HEADER|TEXT))?"
    rb"|(HEADER\.FIELDS(?:\.NOT)?|HEADER|TEXT))?",
    re.IGNORECASE,
)
_BINARY: Final = re.compile(rb"\[" + _PART + rb"?\]")
_PARTIAL: Final = re.compile(rb"<(\d{1,19})\.(\d{1,19})>")
_MAX_ITEMS: Final = 1000
# a short set, items without literals; longer ones are rare and not worth the memory
_COMMON: Final = re.compile(rb" ([0-9:,*]{1,32}) ([^{\r\n\x00]{1,256})\Z")


def fetch(scanner: Scanner) -> Fetch:
    """SP sequence-set SP items [SP "(" fetch-modifier *(SP fetch-modifier) ")"]."""
    return _fetch(scanner, False)


def uid_fetch(scanner: Scanner) -> Fetch:
    """The same for UIDs; VANISHED is allowed only here (RFC 7162 3.2.6)."""
    return _fetch(scanner, True)


def _fetch(scanner: Scanner, by_uid: bool) -> Fetch:
    common = _COMMON.match(scanner.text, scanner.pos)
    if common:
        numbers, rest = common.groups()
        try:
            asked = Fetch(sequence.parse(numbers), *_cached(rest, by_uid))
        except BadSyntax:
            pass  # once more, to find the place
        else:
            scanner.pos = len(scanner.text)
            return asked
    scanner.space()
    ranges = scanner.sequence_set()
    scanner.space()
    return Fetch(ranges, *_read(scanner, by_uid))


#: items, and the modifiers of Fetch in its order
_Asked = tuple[tuple[Item, ...], int | None, bool, tuple[int, int] | None]


@lru_cache(maxsize=512)
def _cached(text: bytes, by_uid: bool) -> _Asked:
    """Clients ask for the same few lists of items all day."""
    scanner = Scanner(text)
    asked = _read(scanner, by_uid)
    scanner.end()
    return asked


def _read(scanner: Scanner, by_uid: bool) -> _Asked:
    items = _items(scanner)
    since, vanished, partial = None, False, None
    if scanner.accept(b" "):
        since, vanished, partial = _modifiers(scanner, by_uid)
    if since is not None and MODSEQ not in items:
        items = (*items, MODSEQ)  # RFC 7162 3.1.4.1
    if by_uid and UID not in items:
        items = (ADDED_UID, *items)  # RFC 9051 6.4.9
    return items, since, vanished, partial


def _items(scanner: Scanner) -> tuple[Item, ...]:
    """ "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"; each item once."""
    if not scanner.accept(b"("):
        found = _NAME.match(scanner.text, scanner.pos)
        macro = _MACROS.get(found[0].decode("ascii").upper()) if found else None
        if not found or macro is None:
            return (item(scanner),)
        scanner.pos = found.end()
        return macro
    items = {item(scanner): None}
    while not scanner.accept(b")"):
        scanner.space()
        items[item(scanner)] = None
        if len(items) > _MAX_ITEMS:
            raise scanner.fail("fewer items")
    return tuple(items)


def item(scanner: Scanner) -> Item:
    """fetch-att."""
    found = _NAME.match(scanner.text, scanner.pos)
    if not found:
        raise scanner.fail("item to fetch")
    name = found[0].decode("ascii").upper()
    scanner.pos = found.end()
    if scanner.peek(b"["):
        if name in ("BODY", "BODY.PEEK"):
            return _section(scanner, name == "BODY.PEEK")
        if name in ("BINARY", "BINARY.PEEK", "BINARY.SIZE"):
            return _binary(scanner, name)
    found_item = _preview(scanner) if name == "PREVIEW" else _SIMPLE.get(name)
    if found_item is None:
        raise scanner.fail("known item to fetch")
    return found_item


def _preview(scanner: Scanner) -> Item:
    """ "PREVIEW" [SP "(" preview-mod ")"] (RFC 8970 6); another list behind a lone item holds fetch-modifiers."""
    found = _LAZY.match(scanner.text, scanner.pos)
    if not found:
        return _PREVIEW
    scanner.pos = found.end()
    return _LAZY_PREVIEW


def _section(scanner: Scanner, peek: bool) -> Item:
    """section = "[" [section-spec] "]", then [partial]."""
    found = _SECTION.match(scanner.text, scanner.pos)
    assert found is not None  # "[" stands here, the rest is optional
    scanner.pos = found.end()
    text = (found[2] or found[3] or b"").upper()
    fields: tuple[bytes, ...] = ()
    label = b"BODY" + found[0].upper()
    if text.startswith(b"HEADER.FIELDS"):
        scanner.space()
        fields = _header_list(scanner)
        label += b" (" + b" ".join(map(astring, fields)) + b")"
    scanner.expect(b"]")
    part = _numbers(found[1])
    return Item(
        Attribute.SECTION, part, text.decode("ascii"), fields, peek, partial=_partial(scanner), label=label + b"]"
    )


def _binary(scanner: Scanner, name: str) -> Item:
    """section-binary = "[" [section-part] "]"; BINARY.SIZE has no partial."""
    found = _BINARY.match(scanner.text, scanner.pos)
    if not found:
        raise scanner.fail("part number")
    scanner.pos = found.end()
    part = _numbers(found[1])
    if name == "BINARY.SIZE":
        return Item(Attribute.BINARY_SIZE, part, label=b"BINARY.SIZE" + found[0])
    peek = name == "BINARY.PEEK"
    return Item(Attribute.BINARY, part, peek=peek, partial=_partial(scanner), label=b"BINARY" + found[0])


def _numbers(part: bytes | None) -> tuple[int, ...]:
    return tuple(map(int, part.split(b"."))) if part else ()


def _header_list(scanner: Scanner) -> tuple[bytes, ...]:
    """header-list = "(" header-fld-name *(SP header-fld-name) ")"; names as written."""
    scanner.expect(b"(")
    fields = [scanner.astring()]
    while not scanner.accept(b")"):
        scanner.space()
        fields.append(scanner.astring())
        if len(fields) > _MAX_ITEMS:
            raise scanner.fail("fewer header fields")
    return tuple(fields)


def _partial(scanner: Scanner) -> tuple[int, int] | None:
    """partial = "<" number64 "." nz-number64 ">"."""
    if not scanner.peek(b"<"):
        return None
    found = _PARTIAL.match(scanner.text, scanner.pos)
    if not found or not int(found[2]):
        raise scanner.fail("range such as <0.1024>")
    scanner.pos = found.end()
    return int(found[1]), int(found[2])


def _modifiers(scanner: Scanner, by_uid: bool) -> tuple[int | None, bool, tuple[int, int] | None]:
    """fetch-modifiers of RFC 7162 and RFC 9394 3.3; VANISHED needs CHANGEDSINCE."""
    scanner.expect(b"(")
    since, vanished, partial = None, False, None
    while True:
        name = scanner.keyword()
        if name == "CHANGEDSINCE" and since is None:
            scanner.space()
            since = scanner.number()
        elif name == "VANISHED" and by_uid and not vanished:
            vanished = True
        elif name == "PARTIAL" and by_uid and partial is None:
            scanner.space()
            partial = scanner.partial_range()
        else:
            raise scanner.fail("CHANGEDSINCE or (in UID FETCH) VANISHED or PARTIAL")
        if scanner.accept(b")"):
            break
        scanner.space()
    if vanished and since is None:
        raise scanner.fail("CHANGEDSINCE with VANISHED")
    return since, vanished, partial
