"""The octets of a FETCH section: BODY[…], RFC822…, BINARY[…] (RFC 9051 6.4.5, RFC 3501 6.4.5, RFC 3516).

Reads only the ranges a section needs. `span` says where a section lies without reading anything, so that large ones
can be sent in slices; `read` gives the octets. Where parts lie was worked out when the message was indexed.
Trusts: rendered columns of the store. Messages are hostile octets; broken transfer encodings are expected.
On failure: None where the protocol says NIL (no such part); UndecodablePart for BINARY ([UNKNOWN-CTE]);
OSError or store errors from reading.
"""

from __future__ import annotations

from typing import Final

from postroom.mailbox.errors import UndecodablePart
from postroom.message.decode import UndecodableContent, decode_transfer
from postroom.message.fields import select_fields
from postroom.message.parts import LEAF, Parts
from postroom.values.content import Content
from postroom.wire.imap.commands import Attribute, Item

#: encodings whose octets are the content (RFC 2045 6.2)
_IDENTITY: Final = ("", "7bit", "8bit", "binary")


def span(item: Item, size: int, header: int, parts: bytes) -> tuple[int, int] | None:
    """(start, end) of the octets a BODY[…] or RFC822… item names, its partial applied; None when there is none.

    size, header, parts: of the message, as rendered. Not for items that `needs_reading`.
    """
    found = _section(item, size, header, parts)
    if found is None or item.partial is None:
        return found
    start, end = found
    first, count = item.partial
    start = min(start + first, end)
    return start, min(start + count, end)


def needs_reading(item: Item) -> bool:
    """Whether the octets sent are not simply a range of the message: header subsets, and what is decoded."""
    return bool(item.fields) or item.attribute in (Attribute.BINARY, Attribute.BINARY_SIZE)


def needs_parts(item: Item) -> bool:
    """Whether `parts` is looked at; without it b"" will do, which saves reading the column."""
    return bool(item.part)


def read(item: Item, content: Content, header: int, parts: bytes) -> bytes | None:
    """The octets an item names; None when the message has no such part. Raises UndecodablePart."""
    if item.attribute is Attribute.BINARY:
        decoded = _decoded(item, content, header, parts)
        return decoded if decoded is None else _cut(decoded, item.partial)
    if item.fields:
        found = _section(item, content.size, header, parts)
        if found is None:
            return None
        fields = select_fields(content.read(*found), item.fields, item.text == "HEADER.FIELDS.NOT")
        return _cut(fields, item.partial)  # RFC 9051 6.4.5: the substring of a subset is cut after subsetting
    found = span(item, content.size, header, parts)
    return None if found is None else content.read(*found)


def binary_size(item: Item, content: Content, header: int, parts: bytes) -> int | None:
    """BINARY.SIZE: octets that BINARY of the part gives. Raises UndecodablePart."""
    if item.part:
        part = Parts.unpack(parts).find(item.part)
        if part is None:
            return None
        if part.kind != LEAF or part.encoding in _IDENTITY:
            return part.size
    decoded = _decoded(item, content, header, parts)
    return None if decoded is None else len(decoded)


def _section(item: Item, size: int, header: int, parts: bytes) -> tuple[int, int] | None:
    """The octets before any partial or choice of fields."""
    if item.attribute is Attribute.RFC822_HEADER:
        return 0, header
    if item.attribute is Attribute.RFC822_TEXT:
        return header, size
    text = item.text.partition(".")[0]  # HEADER.FIELDS and HEADER.FIELDS.NOT are made of HEADER
    if item.part:
        return Parts.unpack(parts).section(item.part, text)
    if text == "HEADER":
        return 0, header
    if text == "TEXT":
        return header, size
    return (0, size) if not text else None


def _decoded(item: Item, content: Content, header: int, parts: bytes) -> bytes | None:
    """A part without its transfer encoding; the whole message, multiparts and messages as they are."""
    if not item.part:
        return content.read()
    part = Parts.unpack(parts).find(item.part)
    if part is None:
        return None
    data = content.read(part.body_start, part.end)
    if part.kind != LEAF or part.encoding in _IDENTITY:
        return data
    try:
        return decode_transfer(data, part.encoding)
    except UndecodableContent as fault:
        raise UndecodablePart(f"The part cannot be decoded from {part.encoding[:40]!r}") from fault


def _cut(data: bytes, partial: tuple[int, int] | None) -> bytes:
    return data if partial is None else data[partial[0] : partial[0] + partial[1]]
