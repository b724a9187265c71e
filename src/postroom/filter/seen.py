"""What the filter sees of a message: its fields as people read them, its text, its links, its attachments.

Read once and bounded: at most `Bounds.text` octets of text, `Bounds.links` links and `Bounds.attachments` parts are
looked at, whatever the size of the message. Octets of attachments are read only when a check asks.
Pure but for reading the content. Trusts nothing.
On failure: never for any octets; OSError when the content's file is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from postroom.message.charsets import to_text
from postroom.message.decode import NamedAddress, decode_parameters, decode_words, parse_addresses
from postroom.message.fields import header_fields
from postroom.message.html_text import html_text
from postroom.message.index import index
from postroom.message.parts import LEAF, Part, Parts
from postroom.message.transfer import UndecodableContent, decode_transfer
from postroom.values.content import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is looked at. text: octets of text parts; header: octets of the header; links, attachments: how many."""

    text: int = 128 * 1024
    header: int = 64 * 1024
    links: int = 100
    attachments: int = 50


DEFAULT: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Link:
    """A link: the host and scheme it leads to, the whole target, and the text that is shown for it."""

    target: str
    host: str
    shown: str


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


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the filter sees it. fields: lower-case name and decoded value, in order; authors: of From;
    text: all text as shown, HTML without its tags; html: the HTML itself.
    """

    fields: tuple[tuple[str, str], ...]
    subject: str
    authors: tuple[NamedAddress, ...]
    text: str
    html: str
    links: tuple[Link, ...]
    attachments: tuple[Attachment, ...]
    size: int

    def values(self, name: str) -> list[str]:
        """Every value of a field, by its lower-case name."""
        return [value for each, value in self.fields if each == name]

    @property
    def message_id(self) -> str:
        """Of the Message-ID field, "" without one."""
        return next(iter(self.values("message-id")), "").strip()


_PLAIN_LINK: Final = re.compile(r"\bhttps?://[^\s<>\"'\])]{1,2000}|\bwww\.[^\s<>\"'\])]{1,500}", re.IGNORECASE)
_ANCHOR: Final = re.compile(
    r"<a\b[^>]{0,2000}?\bhref\s*=\s*(?:\"([^\"]{0,2000})\"|'([^']{0,2000})'|([^\s>\"']{1,2000}))[^>]{0,2000}>(.{0,500}?)</a",
    re.IGNORECASE | re.DOTALL,
)
_TAGS: Final = re.compile(r"<[^>]{0,2000}>")
_SHOWN: Final = 300


def see(content: Content, bounds: Bounds = DEFAULT) -> Seen:
    """Read a message."""
    found = index(content.source(), len(content.prefix))
    header = content.read(0, min(found.header, bounds.header))
    raw = list(header_fields(header))
    fields = tuple([(name.decode("latin-1").lower(), decode_words(value).strip()) for name, value in raw])
    raw_from = next((value for name, value in raw if name.lower() == b"from"), b"")
    texts, html, attachments = _bodies(content, Parts.unpack(found.parts), bounds)
    links = tuple(_links(" ".join(texts), html, bounds.links))
    if html:
        texts.append(html_text(html))
    return Seen(
        fields=fields,
        subject=next((value for name, value in fields if name == "subject"), ""),
        authors=tuple(parse_addresses(raw_from)),
        text="\n".join(texts),
        html=html,
        links=links,
        attachments=tuple(attachments),
        size=content.size,
    )


def _bodies(content: Content, parts: Parts, bounds: Bounds) -> tuple[list[str], str, list[Attachment]]:
    texts: list[str] = []
    html: list[str] = []
    attachments: list[Attachment] = []
    room = bounds.text
    for part in parts.walk():
        if part.kind != LEAF:
            continue
        name = _name(content, part)
        if part.type == "text" and room > 0 and (part.depth == 0 or not name):
            octets = content.read(part.body_start, min(part.end, part.body_start + room))
            room -= len(octets)
            text = to_text(_decoded(octets, part.encoding), part.charset)
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


def _links(text: str, html: str, most: int) -> Iterator[Link]:
    count = 0
    for match in _ANCHOR.finditer(html):
        target = (match[1] or match[2] or match[3] or "").strip()
        if target.lower().startswith(("http:", "https:", "//")):
            yield Link(target, host_of(target), " ".join(_TAGS.sub(" ", match[4]).split())[:_SHOWN])
            count += 1
            if count >= most:
                return
    for match in _PLAIN_LINK.finditer(text):
        yield Link(match[0], host_of(match[0]), match[0][:_SHOWN])
        count += 1
        if count >= most:
            return


def host_of(url: str) -> str:
    """The host a browser would go to, lower case, "" when there is none (WHATWG URL: the last @, \\ is /)."""
    rest = url.replace("\\", "/").partition("//")[2] if "//" in url.replace("\\", "/") else url
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return host.partition("]")[0][1:].lower()
    return host.partition(":")[0].strip(".").lower()
