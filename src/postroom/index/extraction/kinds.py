"""Which attachments hold text that can be taken out, told by their type, their name, and their first octets.

The type alone is not believed: senders call everything application/octet-stream, and random octets application/pdf.
Pure; trusts nothing. On failure: never.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from postroom.index.extraction.limits import MOST_OCTETS
from postroom.message.parts import LEAF, MESSAGE, Part, Parts
from postroom.message.search import PIECE, Read
from postroom.message.transfer import UndecodableContent, decode_pieces

#: octets that are looked at to know a format, in the transfer encoding and in it
_SNIFFED: Final = 2048

PDF: Final = "pdf"
OFFICE: Final = "office"  # Office Open XML and OpenDocument: a ZIP file with XML in it
RTF: Final = "rtf"
TEXT: Final = "text"
HTML: Final = "html"
MAIL: Final = "mail"

_TYPES: Final = {
    "application/pdf": PDF,
    "application/x-pdf": PDF,
    "application/rtf": RTF,
    "text/rtf": RTF,
    "application/xhtml+xml": HTML,
    "application/json": TEXT,
    "application/xml": TEXT,
    "application/x-yaml": TEXT,
    "application/ics": TEXT,
}
_OFFICE: Final = (
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/vnd.ms-word.document.macroenabled",
    "application/vnd.ms-excel.sheet.macroenabled",
    "application/vnd.ms-powerpoint.presentation.macroenabled",
)
_NAMES: Final = {
    "pdf": PDF, "rtf": RTF, "eml": MAIL, "htm": HTML, "html": HTML, "xhtml": HTML,
    **dict.fromkeys(("docx", "docm", "dotx", "xlsx", "xlsm", "xltx", "pptx", "pptm", "ppsx", "potx"), OFFICE),
    **dict.fromkeys(("odt", "ott", "ods", "ots", "odp", "otp", "odg", "odf", "fodt"), OFFICE),
    **dict.fromkeys(("txt", "text", "log", "csv", "tsv", "md", "rst", "ics", "vcf", "xml", "json", "yaml"), TEXT),
}  # fmt: skip
#: what such a file begins with; a PDF may have something before it
_BEGINNINGS: Final = {OFFICE: b"PK\x03\x04", RTF: b"{\\rtf"}
_BINARY: Final = b"\0"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part whose text can be taken out."""

    part: Part
    kind: str
    name: str


def attachments(read: Read, parts: Parts, names: dict[int, str]) -> Iterator[Attachment]:
    """Those of a message. names: of the files, by index of the part."""
    for part in parts.walk():
        name = names.get(part.index, "")
        kind = _claimed(part, name)
        if kind and _begins_so(_beginning(read, part), kind):
            yield Attachment(part, kind, name)


def may_have_attachments(parts: Parts, names: dict[int, str]) -> bool:
    """Do types or names say that there are some? Told without reading the message."""
    return any(_claimed(part, names.get(part.index, "")) for part in parts.walk())


def _claimed(part: Part, name: str) -> str:
    """What type and name say it is; "" for what SEARCH reads anyway and for what nobody can read."""
    if part.kind == MESSAGE and part.encoding in ("base64", "quoted-printable"):
        return MAIL
    if part.kind != LEAF or (part.type in ("text", "message") and part.subtype != "rtf"):
        return ""
    ending = name.rpartition(".")[2].lower()
    known = _TYPES.get(part.content_type) or _NAMES.get(ending, "")
    return OFFICE if part.content_type.startswith(_OFFICE) else known


def _beginning(read: Read, part: Part) -> bytes:
    raw = read(part.body_start, min(part.end, part.body_start + _SNIFFED))
    try:
        return b"".join(decode_pieces(iter((raw,)), part.encoding))[:_SNIFFED]
    except UndecodableContent:
        return b""


def decoded(read: Read, part: Part) -> bytes:
    """The octets of a file, its transfer encoding undone; no more than are read. Raises OSError."""
    raw = (read(at, min(at + PIECE, part.end)) for at in range(part.body_start, part.end, PIECE))
    found = bytearray()
    try:
        for piece in decode_pieces(raw, part.encoding):
            found += piece
            if len(found) > MOST_OCTETS:
                break
    except UndecodableContent:
        return b""
    return bytes(found)


def _begins_so(octets: bytes, kind: str) -> bool:
    if kind == PDF:
        return b"%PDF-" in octets[:1024]
    if kind in _BEGINNINGS:
        return octets.startswith(_BEGINNINGS[kind])
    return bool(octets) and (_BINARY not in octets or octets[:2] in (b"\xff\xfe", b"\xfe\xff"))
