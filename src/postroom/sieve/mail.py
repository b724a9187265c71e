"""A message as a script looks at it: fields decoded when they are asked for, parts found when they are asked for.

Trusts nothing of the octets. What was asked once is kept for the run.
Standards: RFC 5228 2.4.2.2 (header text), 2.7.4 (addresses), RFC 5293 (editing), RFC 5703 (parts).
On failure: never; OSError of `read` passes through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from html import unescape
from typing import Final

from postroom.message.addresses import parse
from postroom.message.decode import NamedAddress, decode_words, to_text
from postroom.message.fields import field_values, searchable
from postroom.message.index import index
from postroom.message.parts import Part, Parts
from postroom.message.transfer import UndecodableContent, decode_transfer

Read = Callable[[int, int], bytes]

#: octets of one header that are looked at
LARGEST_HEADER: Final = 1024 * 1024
_HIDDEN: Final = re.compile(r"<!--.*?-->|<(script|style|head)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_MARK: Final = re.compile(r"</?[A-Za-z!][^<>]*+>")
_SPACE: Final = re.compile(r"[ \t\r\n]+")
_FIELD: Final = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+\n?")


class Header:
    """The fields of one header, and what editheader makes of them."""

    __slots__ = ("_addresses", "_lower", "_octets", "_values", "edited", "parts")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._values: dict[str, list[str]] = {}
        self._addresses: dict[str, list[NamedAddress]] = {}
        self._lower = b""
        self.edited = False
        #: parts of addresses that were asked for before, by what was asked
        self.parts: dict[object, list[str]] = {}

    @property
    def octets(self) -> bytes:
        """As it is now, with its empty line."""
        return self._octets

    def values(self, name: str) -> list[str]:
        """The values of all fields of a name, unfolded, decoded, without the white space around them."""
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = [text_of(raw) for raw in self.raw(name)]
        return found

    def raw(self, name: str) -> list[bytes]:
        """The same, not decoded."""
        if not self._lower:
            self._lower = searchable(self._octets)
        try:
            return field_values(self._octets, name.encode("ascii"), self._lower)
        except UnicodeEncodeError:
            return []

    def addresses(self, name: str) -> list[NamedAddress]:
        """The addresses in all fields of a name."""
        found = self._addresses.get(name)
        if found is None:
            found = self._addresses[name] = [each for raw in self.raw(name) for each in addresses_in(raw)]
        return found

    def has(self, name: str) -> bool:
        """Is there a field of this name."""
        return bool(self.values(name))

    def insert(self, field: bytes, *, last: bool) -> None:
        """Add a field, with its CR LF, before all others or behind them."""
        octets = self._octets
        if last:
            end = len(octets.removesuffix(b"\n").removesuffix(b"\r")) if _ends_empty(octets) else len(octets)
            lead = b"" if not end or octets[:end].endswith(b"\n") else b"\r\n"
            self._changed(octets[:end] + lead + field + octets[end:])
        else:
            self._changed(field + octets)

    def fields(self) -> list[tuple[str, bytes]]:
        """(lower-case name, octets with folding and line end) of every field; what is no field has the name ""."""
        found: list[tuple[str, bytes]] = []
        for octets in _FIELD.findall(self._octets):
            if octets:
                name, colon, _ = octets.partition(b":")
                found.append((name.decode("latin-1").strip().lower() if colon else "", octets))
        return found

    def put(self, fields: list[tuple[str, bytes]]) -> None:
        """The fields instead of those there were."""
        self._changed(b"".join(octets for _, octets in fields))

    def replace(self, octets: bytes) -> None:
        """Another header altogether."""
        self._changed(octets)

    def _changed(self, octets: bytes) -> None:
        self._octets = octets
        self._lower = b""
        self.parts.clear()
        self.edited = True
        self._values.clear()
        self._addresses.clear()


def addresses_in(raw: bytes) -> list[NamedAddress]:
    """The addresses of a field without their names; members of groups too (RFC 5228 5.1)."""
    return [
        NamedAddress("", _address_text(local), _address_text(host or b""))
        for _, _, local, host in parse(raw)
        if local is not None and host is not None
    ]


def _address_text(octets: bytes) -> str:
    return octets.decode("ascii") if octets.isascii() else to_text(octets)


def text_of(raw: bytes) -> str:
    """RFC 5228 2.4.2.2: a field's value as people read it."""
    if b"=?" not in raw and raw.isascii():
        return raw.decode("ascii")
    return decode_words(raw).strip()


def _content(part: Part, octets: bytes, plain: bool) -> str:
    with suppress(UndecodableContent):
        octets = decode_transfer(octets, part.encoding)
    text = to_text(octets, part.charset)
    return readable(text) if plain and part.subtype == "html" else text


def readable(html: str) -> str:
    """The text of HTML as a reader sees it, roughly."""
    return unescape(_SPACE.sub(" ", _MARK.sub(" ", _HIDDEN.sub(" ", html))))


def _ends_empty(octets: bytes) -> bool:
    return octets in (b"\r\n", b"\n") or octets.endswith((b"\n\r\n", b"\n\n"))


class Section:
    """A part while parts are looked at one by one.

    octets: what stands instead of it, header included, and of the message itself only the body; text: what was
    written into it; gone: a part around it was replaced.
    """

    __slots__ = ("gone", "header", "octets", "part", "text")

    def __init__(self, part: Part, header: Header) -> None:
        self.part = part
        self.header = header
        self.octets: bytes | None = None
        self.text: str | None = None
        self.gone = False


class Mail:
    """The octets of a message, and what is known of them."""

    __slots__ = ("_header_size", "_packed", "_parts", "_read", "_texts", "size")

    def __init__(self, read: Read, size: int, *, header: int, parts: bytes | None = None) -> None:
        """header: octets of the header with its empty line; parts: as message.index packed them."""
        self._read = read
        self.size = size
        self._header_size = header
        self._packed = parts
        self._parts: Parts | None = None
        self._texts: dict[tuple[int, bool], str] = {}

    @classmethod
    def of(cls, data: bytes) -> Mail:
        """Octets in memory."""
        found = index(data)
        return cls(lambda start, end: data[start:end], len(data), header=found.header, parts=found.parts)

    def header(self) -> Header:
        """The message's own header."""
        return Header(self._read(0, min(self._header_size, LARGEST_HEADER)))

    def parts(self) -> Parts:
        """Where the parts lie."""
        if self._parts is None:
            packed = self._packed
            self._parts = Parts.unpack(index(self._read(0, self.size)).parts if packed is None else packed)
        return self._parts

    def header_of(self, part: Part) -> bytes:
        """The octets of a part's header."""
        return self._read(part.header_start, min(part.body_start, part.header_start + LARGEST_HEADER))

    def body_of(self, part: Part, limit: int) -> bytes:
        """The octets of a part's body, in their transfer encoding, at most `limit`."""
        return self._read(part.body_start, min(part.end, part.body_start + limit))

    def body(self, limit: int) -> bytes:
        """Everything behind the header, at most `limit`."""
        return self._read(self._header_size, min(self.size, self._header_size + limit))

    def octets(self, start: int, end: int) -> bytes:
        """Octets start to end of the message."""
        return self._read(start, end)

    def text_of(self, part: Part, limit: int, *, plain: bool) -> str:
        """The content of a part, its encodings undone. plain: without the marks of HTML."""
        key = part.index, plain
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = _content(part, self.body_of(part, limit), plain)
        return found

    def sections(self, header: Header) -> Iterator[Section]:
        """Every part in order; the message itself has the header as it is now."""
        for part in self.parts().walk():
            yield Section(part, header if part.index == 0 else Header(self.header_of(part)))

    def rebuilt(self, sections: Sequence[Section]) -> bytes:
        """The body of the message with what stands instead of its parts."""
        root = sections[0]
        if root.octets is not None:
            return root.octets
        pieces: list[bytes] = []
        at = root.part.body_start
        for section in sections:
            if section.octets is not None and not section.gone:
                pieces += (self._read(at, section.part.header_start), section.octets)
                at = section.part.end
        pieces.append(self._read(at, self.size))
        return b"".join(pieces)
