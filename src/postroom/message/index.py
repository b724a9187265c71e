"""What IMAP tells of a message, rendered once at delivery: ENVELOPE, BODY, BODYSTRUCTURE, and where the parts lie.

Hand-written and octet-exact. A multipart is cut by its own boundary before its parts are looked into, so an outer
boundary always wins over an inner part that was never closed.
Trusts nothing: any octets give a syntactically valid answer, within IndexLimits of work and memory.
Standards: RFC 9051 7.5.2, RFC 2045, RFC 2046 5.1 and 5.2, RFC 2231, RFC 2183, RFC 3282, RFC 2557, RFC 1864.
On failure: never raises; what is too deep, too many or too long is shown as one plain part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from postroom.message.envelope import ADDRESS_FIELDS, EMPTY, TEXT_FIELDS, envelope
from postroom.message.fields import unfold
from postroom.message.octets import Octets
from postroom.message.parts import LEAF, MESSAGE, MULTIPART, Part, pack
from postroom.message.structure import (
    DIGEST_TYPE,
    PART_FIELDS,
    TEXT_TYPE,
    ContentType,
    content_type,
    encoding,
    extension,
    fields_of_part,
)
from postroom.values.content import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLimits:
    """How far the scanner looks into one message.

    depth: nested parts; parts: in all; header: octets of one header, and of all headers of parts together;
    passes: how many times the size of the message may be searched for boundaries; false_boundaries: lines that
    begin like a boundary and are none.
    """

    depth: int = 100
    parts: int = 10_000
    header: int = 1024 * 1024
    passes: int = 16
    false_boundaries: int = 10_000


DEFAULT: Final = IndexLimits()


class MessageIndex(Struct, frozen=True):
    """envelope, structure (BODY), bodystructure: IMAP text with the outer parentheses; parts: see parts.Parts;

    header: octets of the message's header with the empty line that ends it;
    references: the value of the References field, its middle left out when it is long;
    eight_bit: a header, the message's or a part's, is not ASCII, or too long to tell.
    """

    envelope: bytes
    structure: bytes
    bodystructure: bytes
    parts: bytes
    header: int
    eight_bit: bool = False
    references: bytes = b""


_Fields = dict[bytes, bytes]
_REFERENCES: Final = b"references"
#: octets of a References value that are kept: its beginning and its end say where a message belongs (RFC 5256 3)
_FIRST_REFERENCES: Final = 1024
_LAST_REFERENCES: Final = 7168
#: every spelling of a wanted name that costs one look-up; RFC 5322 4.5 allows white space before the colon
_ALL_FIELDS: Final = {
    name + space: name
    for name in ADDRESS_FIELDS | TEXT_FIELDS | PART_FIELDS | {_REFERENCES}
    for space in (b"", b" ", b"\t")
}


def index(source: Source, lead: int = 0, *, limits: IndexLimits = DEFAULT) -> MessageIndex:
    """Render a message. `lead`: octets of header fields that stand before `source` in what is stored.

    They count in every offset and in `header`, and are not looked at. Never raises.
    """
    return _Scanner(source, lead, limits).scan()


def only_part(fields: dict[bytes, bytes], body: int, end: int) -> Part | None:
    """The one part of a message without parts, as `index` would tell of it; None when it has parts to look for.

    fields: values of content-type and content-transfer-encoding, where the header has them; body, end: octets.
    """
    value = fields.get(b"content-type")
    kind = TEXT_TYPE if value is None else content_type(value)
    if kind.main in (b"multipart", b"message"):
        return None
    _, name = encoding(fields.get(b"content-transfer-encoding"))
    main, sub, coding, charset = (each.decode("ascii", "replace") for each in (kind.main, kind.sub, name, kind.charset))
    return Part(LEAF, main, sub, coding, charset, 0, body, end, 0, 0)


class _Scanner:
    """One message on its way to a MessageIndex."""

    __slots__ = (
        "_budget",
        "_eight_bit",
        "_ext",
        "_header_budget",
        "_labels",
        "_lead",
        "_limits",
        "_octets",
        "_plain",
        "_rows",
    )

    def __init__(self, source: Source, lead: int, limits: IndexLimits) -> None:
        self._octets = Octets(source, limits.false_boundaries)
        self._lead = lead
        self._limits = limits
        self._header_budget = limits.header
        self._budget = limits.passes * self._octets.size + 1024 * 1024
        self._eight_bit = False
        self._rows: list[list[int]] = []
        self._labels: list[bytes] = []
        self._plain: list[bytes] = []  # BODY in pieces
        self._ext: list[bytes] = []  # BODYSTRUCTURE in pieces

    def scan(self) -> MessageIndex:
        """Do all the work."""
        size = self._octets.size
        body = self._octets.header_end(0, size)
        raw = self._octets.slice(0, min(body, self._limits.header))
        fields = _wanted(raw)
        self._eight_bit = not raw.isascii() or len(raw) < body
        self._entity(fields, 0, body, size, TEXT_TYPE)
        self._rows[0][1] = 0
        return MessageIndex(
            envelope(fields),
            b"".join(self._plain),
            b"".join(self._ext),
            pack(self._rows, self._labels),
            self._lead + body,
            self._eight_bit,
            _bounded(fields.get(_REFERENCES, b"")),
        )

    def _row(self, kind: int, start: int, body: int, end: int, label: bytes) -> list[int]:
        lead = self._lead
        row = [kind, start + lead, body + lead, end + lead, 1]
        self._rows.append(row)
        self._labels.append(label)
        return row

    def _entity(self, fields: _Fields, start: int, body: int, end: int, default: ContentType, depth: int = 0) -> None:
        """Print a part whose header is [start, body) and whose body is [body, end)."""
        value = fields.get(b"content-type")
        kind = default if value is None else content_type(value)
        if kind.main == b"multipart":
            self._multipart(kind, fields, (start, body, end), depth)
            return
        printed, name = encoding(fields.get(b"content-transfer-encoding"))
        basic = b"(%b %b %b %d" % (kind.printed, fields_of_part(fields), printed, end - body)
        label = b"%b/%b\0%b\0%b" % (kind.main, kind.sub, name, kind.charset)
        if kind.main == b"text":
            basic = b"%b %d" % (basic, self._octets.lines(body, end))
        elif kind.main == b"message" and kind.sub in (b"rfc822", b"global"):
            self._message(basic, fields, self._row(MESSAGE, start, body, end, label), depth)
            return
        self._row(LEAF, start, body, end, label)
        self._plain += (basic, b")")
        self._ext += (basic, extension(fields, b"content-md5"), b")")

    def _message(self, basic: bytes, fields: _Fields, row: list[int], depth: int) -> None:
        """RFC 9051 9  body-type-msg = media-message SP body-fields SP envelope SP body SP body-fld-lines."""
        place = len(self._rows)
        start, end = row[2] - self._lead, row[3] - self._lead
        if self._may_descend(depth, end - start):
            inner_body = self._octets.header_end(start, end)
            inner = self._header(start, inner_body)
            printed = b"%b %b " % (basic, envelope(inner))
            self._plain.append(printed)
            self._ext.append(printed)
            self._entity(inner, start, inner_body, end, TEXT_TYPE, depth + 1)
        else:
            printed = b"%b %b " % (basic, EMPTY)
            self._plain.append(printed)
            self._ext.append(printed)
            self._entity({}, start, start, end, TEXT_TYPE)
        row[4] += len(self._rows) - place
        lines = b" %d" % self._octets.lines(start, end)
        self._plain += (lines, b")")
        self._ext += (lines, extension(fields, b"content-md5"), b")")

    def _multipart(self, kind: ContentType, fields: _Fields, where: tuple[int, int, int], depth: int) -> None:
        """RFC 9051 9  body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]."""
        start, body, end = where
        row = self._row(MULTIPART, start, body, end, b"multipart/%b\0%b\0" % (kind.sub, b"7bit"))
        place = len(self._rows)
        self._plain.append(b"(")
        self._ext.append(b"(")
        found = False
        if kind.boundary and self._may_descend(depth, end - body):
            default = DIGEST_TYPE if kind.sub == b"digest" else TEXT_TYPE
            for part, part_end in self._octets.bodies(kind.boundary, body, end):
                if len(self._rows) >= self._limits.parts:
                    break
                found = True
                part_body = self._octets.header_end(part, part_end)
                self._entity(self._header(part, part_body), part, part_body, part_end, default, depth + 1)
        if not found:
            # no part at all, where IMAP asks for one: the whole body as text, so that it can be read
            self._entity({}, body, body, end, TEXT_TYPE)
        row[4] += len(self._rows) - place
        self._plain.append(b" %b)" % kind.printed_sub)
        self._ext.append(b" %b %b%b)" % (kind.printed_sub, kind.printed_parameters, extension(fields, None)))

    def _may_descend(self, depth: int, octets: int) -> bool:
        self._budget -= octets
        return depth < self._limits.depth and self._budget >= 0 and len(self._rows) < self._limits.parts

    def _header(self, start: int, body: int) -> _Fields:
        """The fields of a part's header, while there is budget for headers of parts."""
        size = min(body - start, self._header_budget)
        raw = self._octets.slice(start, start + size)
        if not raw.isascii() or size < body - start:
            self._eight_bit = True
        if size <= 2:
            return {}
        self._header_budget -= size
        return _wanted(raw)


def _bounded(references: bytes) -> bytes:
    """A References value with its middle left out when it is longer than any honest one."""
    if len(references) <= _FIRST_REFERENCES + _LAST_REFERENCES:
        return references
    return b"%b %b" % (references[:_FIRST_REFERENCES], references[-_LAST_REFERENCES:])


def _wanted(raw: bytes) -> _Fields:
    """The fields the index needs. The first of a name counts; address fields that repeat are joined."""
    fields: _Fields = {}
    again: dict[bytes, list[bytes]] = {}
    known = _ALL_FIELDS
    for line in unfold(raw):
        name, _, value = line.partition(b":")
        key = known.get(name.lower())
        if key is not None:
            if key not in fields:
                fields[key] = value.strip()
            elif key in ADDRESS_FIELDS:
                again.setdefault(key, []).append(value.strip())
    for key, more in again.items():
        fields[key] = b", ".join([each for each in (fields[key], *more) if each])
    return fields
