"""Header fields as octets: unfolding, walking, and the subsets HEADER.FIELDS asks for.

Trusts nothing: lines without a colon, bare LF, NUL and 8-bit octets pass through. Header blocks are given from
their first octet up to and including the empty line, if there is one.
Standards: RFC 5322 2.2 and 4.5 (white space before the colon), RFC 9051 6.4.5.1 (HEADER.FIELDS).
On failure: never; what is no field is left out (fields) or kept only by inversion (subsets).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

#: more lines of one header block than this are not looked at when a message is indexed
MAX_LINES = 10_000

_LINE = re.compile(rb"[^\n]*+\n|[^\n]++")
_COLON = re.compile(rb"[ \t]*+:")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


def unfold(raw: bytes, limit: int = MAX_LINES) -> list[bytes]:
    """The logical lines of a header block without line ends (RFC 5322 2.2.3), at most `limit` and one of the rest.

    White space that began a continuation line stays. Bare LF counts as a line end.
    """
    text = raw.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    lines = text.split(b"\r\n", limit)
    if b"\n" in b"".join(lines):
        text = raw.replace(b"\r\n", b"\n").replace(b"\n ", b" ").replace(b"\n\t", b"\t")
        lines = text.split(b"\n", limit)
    return lines


def header_fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each field in order: its name as written, and its value unfolded, without the white space around it."""
    for line in unfold(header, -1):
        name, colon, value = line.partition(b":")
        if colon and not line[:1].isspace():
            yield name.rstrip(), value.strip()


def searchable(header: bytes) -> bytes:
    """A header in which fields are looked for more than once (see field_values)."""
    return b"\n" + header.lower()  # so that every field name follows a line end


def field_values(header: bytes, name: bytes, lower: bytes = b"") -> list[bytes]:
    """The values of all fields of this name (any case), unfolded, without the white space around them, in order.

    lower: what `searchable` made of the header, when there is more than one name to look for.
    """
    key = b"\n" + name.lower()
    lower = lower or searchable(header)
    values: list[bytes] = []
    at = lower.find(key)
    while at >= 0:
        colon = _COLON.match(lower, at + len(key))
        at = colon.end() if colon else at + len(key)
        if colon:
            end = lower.find(b"\n", at)
            while end >= 0 and lower[end + 1 : end + 2] in (b" ", b"\t"):
                end = lower.find(b"\n", end + 1)
            value = header[at - 1 : end - 1 if end >= 0 else None]
            values.append(_FOLD.sub(b"", value).strip())
        at = lower.find(key, at)
    return values


def select_fields(header: bytes, names: Collection[bytes], invert: bool = False) -> bytes:
    """HEADER.FIELDS, or HEADER.FIELDS.NOT with `invert`: the matching fields octet by octet, folding included.

    RFC 9051 6.4.5.1: names match without regard to ASCII case; the empty line belongs to every subset, except for
    a message that has neither body nor empty line.
    """
    wanted = {name.lower() for name in names}
    chosen: list[bytes] = []
    keep = invert
    for line in _LINE.findall(header):
        if line in (b"\r\n", b"\n"):
            chosen.append(line)
            break
        if line[:1] not in (b" ", b"\t"):
            name, colon, _ = line.partition(b":")
            keep = ((name.rstrip().lower() in wanted) != invert) if colon else invert
        if keep:
            chosen.append(line)
    return b"".join(chosen)
