"""What the filter sees of a message: its fields as people read them, its text, its links, its attachments.

Read once and bounded: at most `Bounds.text` octets of text, `Bounds.links` links and `Bounds.attachments` parts are
looked at, whatever the size of the message. Octets of attachments are read only when a check asks.
Pure but for reading the content. Trusts nothing.
On failure: never for any octets; OSError when the content's file is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from postroom.filter.anchors import Link, links
from postroom.filter.disguise import Undisguised, undisguise
from postroom.message.charsets import Guess, to_text
from postroom.message.decode import NamedAddress, decode_parameters, decode_words, parse_addresses
from postroom.message.fields import header_fields
from postroom.message.html_text import html_text
from postroom.message.index import IndexLimits, index, only_part
from postroom.message.octets import Octets
from postroom.message.parts import LEAF, Part, Parts
from postroom.message.transfer import UndecodableContent, decode_transfer
from postroom.values.content import Content

#: characters of the text and of the subject that are compared with rules and words
COMPARED: Final = 40_000
COMPARED_SUBJECT: Final = 1_000
#: parts of a message that are looked at, and fields of one name
MOST_PARTS: Final = 500
MOST_REPEATED: Final = 100
_LIMITS: Final = IndexLimits(parts=4 * MOST_PARTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is looked at. text: octets of text parts; header: octets of the header; links, attachments: how many."""

    text: int = 128 * 1024
    header: int = 64 * 1024
    links: int = 100
    attachments: int = 50


DEFAULT: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not shown as text. name: decoded, "" without one; type: "main/sub"; size: octets as encoded.

    octets: the first of its decoded octets, at most as many as asked for; b"" when they cannot be decoded.
    """

    name: str
    type: str
    size: int
    octets: Callable[[int], bytes]

    @property
    def extension(self) -> str:
        """Lower case without the dot, "" for none."""
        return self.name.rpartition(".")[2].strip().lower() if "." in self.name else ""


class Header:
    """The fields of a message; a value is decoded when it is asked for."""

    __slots__ = ("_decoded", "_guess", "_raw")

    def __init__(self, header: bytes) -> None:
        self._raw: dict[bytes, list[bytes]] = {}
        for name, value in header_fields(header):
            self._raw.setdefault(name.lower(), []).append(value)
        self._decoded: dict[str, Sequence[str]] = {}
        self._guess = Guess()

    def values(self, name: str) -> Sequence[str]:
        """Every value of a field, by its lower-case name; the first MOST_REPEATED of them."""
        found = self._decoded.get(name)
        if found is None:
            raw = self._raw.get(name.encode("latin-1", "replace"), ())
            found = tuple([decode_words(value, self._guess).strip() for value in raw[:MOST_REPEATED]])
            self._decoded[name] = found
        return found

    def raw(self, name: bytes) -> bytes:
        """The octets of the first field of that name, b"" without one."""
        return next(iter(self._raw.get(name, ())), b"")

    def first(self, *names: bytes) -> dict[bytes, bytes]:
        """The octets of the first field of each of these names that are there."""
        return {name: self._raw[name][0] for name in names if name in self._raw}


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the filter sees it. header: its fields, read when asked for; authors: of From;
    text: all text as shown, HTML without its tags; html: the HTML itself; plain, subject_plain: the beginning of
    the text and the subject as they are compared; written: there is a part of plain text that says something.
    """

    header: Header
    subject: str
    authors: tuple[NamedAddress, ...]
    text: str
    html: str
    links: tuple[Link, ...]
    attachments: tuple[Attachment, ...]
    size: int
    plain: Undisguised
    subject_plain: Undisguised
    written: bool

    def values(self, name: str) -> Sequence[str]:
        """Every value of a field, by its lower-case name."""
        return self.header.values(name)

    @property
    def recipients(self) -> int:
        """How many To and Cc name, roughly."""
        return sum(value.count("@") for name in ("to", "cc") for value in self.values(name))

    @property
    def message_id(self) -> str:
        """Of the Message-ID field, "" without one."""
        return next(iter(self.values("message-id")), "").strip()


def see(content: Content, bounds: Bounds = DEFAULT) -> Seen:
    """Read a message."""
    header, parts = _taken_apart(content, bounds)
    texts, html, attachments = _bodies(content, parts, bounds)
    written = "\n".join(texts)
    shown = html_text(html) if html else ""
    if shown:
        texts.append(shown)
    text = "\n".join(texts) if shown else written
    subject = next(iter(header.values("subject")), "")
    return Seen(
        header=header,
        subject=subject,
        authors=tuple(parse_addresses(header.raw(b"from"))),
        text=text,
        html=html,
        links=tuple(links(written, html, shown, bounds.links)),
        attachments=tuple(attachments),
        size=content.size,
        plain=undisguise(text[:COMPARED]),
        subject_plain=undisguise(subject[:COMPARED_SUBJECT]),
        written=bool(written.strip()),
    )


def _taken_apart(content: Content, bounds: Bounds) -> tuple[Header, Iterator[Part]]:
    """The header, and the parts that are no multiparts. Most messages in memory need not be searched for parts."""
    if not content.path:
        end = Octets(content.data, 1).header_end(0, content.size)
        if end <= bounds.header:
            header = Header(content.data[:end])
            part = only_part(header.first(b"content-type", b"content-transfer-encoding"), end, content.size)
            if part is not None:
                return header, iter((part,))
    found = index(content.source(), len(content.prefix), limits=_LIMITS)
    header = Header(content.read(0, min(found.header, bounds.header)))
    return header, (part for part in Parts.unpack(found.parts).walk() if part.kind == LEAF)


def _bodies(content: Content, parts: Iterator[Part], bounds: Bounds) -> tuple[list[str], str, list[Attachment]]:
    texts: list[str] = []
    html: list[str] = []
    attachments: list[Attachment] = []
    room = bounds.text
    guess = Guess()
    for part in islice(parts, MOST_PARTS):
        shown = part.type == "text" and room > 0
        name = "" if shown and part.depth == 0 else _name(content, part)
        if shown and not name:
            octets = content.read(part.body_start, min(part.end, part.body_start + room))
            room -= len(octets)
            text = to_text(_decoded(octets, part.encoding), part.charset, guess)
            (html if part.subtype == "html" else texts).append(text)
        elif len(attachments) < bounds.attachments:
            attachments.append(Attachment(name, part.content_type, part.size, _reader(content, part)))
    return texts, "\n".join(html), attachments


def _name(content: Content, part: Part) -> str:
    """The file name of a part, decoded; "" without one."""
    header = content.read(part.header_start, min(part.body_start, part.header_start + 8192))
    if b"name" not in header.lower():
        return ""
    found = ""
    for name, value in header_fields(header):
        if name.lower() == b"content-disposition":
            return decode_parameters(value).get("filename", "") or found
        if name.lower() == b"content-type":
            found = decode_parameters(value).get("name", "")
    return found


def _reader(content: Content, part: Part) -> Callable[[int], bytes]:
    def octets(most: int) -> bytes:
        encoded = content.read(part.body_start, min(part.end, part.body_start + most * 3 // 2 + 1024))
        return _decoded(encoded, part.encoding)[:most]

    return octets


def _decoded(octets: bytes, encoding: str) -> bytes:
    try:
        return decode_transfer(octets, encoding)
    except UndecodableContent:
        return b"" if encoding == "base64" else octets
