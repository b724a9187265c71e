"""What is in an archive, by its own list of names; nothing is unpacked but archives within it, as far as there is room.

zip (also documents and jar), tar, gzip (one name), and RAR 4 and 5; others are not looked into.
Work is bounded: at most MOST names are read, whatever the archive says of itself. A member of a zip that is an archive,
or what is in a gzip, bzip2 or xz file, is listed too, DEEPEST levels deep, from the first octets that come out of it:
all of them together UNPACKED at most, so a bomb costs no more than a letter.
Pure but for the octets it asks for. On failure: never; an archive that cannot be listed says so.
Standards: PKWARE APPNOTE 4.3.7, 4.3.12 and 4.3.16, POSIX ustar, RFC 1952 2.3 (gzip), RAR 4 and 5 technical notes.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

MOST: Final = 2_000
DEEPEST: Final = 3
#: octets that are unpacked of one attachment
UNPACKED: Final = 2 * 1024 * 1024
#: packed octets of one archive within another that are looked at
_LOOKED: Final = 512 * 1024
#: a zip that claims to become so many times as large, and at least so large, is a bomb
_RATIO: Final = 200
_BOMB: Final = 512 * 1024 * 1024
_LEAVES: Final = ("zip", "jar", "docx", "xlsx", "pptx", "docm", "xlsm", "pptm", "rar", "tar", "gz", "tgz", "bz2", "xz")
_TAIL: Final = 66_000  # the end of a zip, with its comment
_STORED, _DEFLATED, _BZIP2, _GZIP, _XZ = 0, 8, 12, -1, -2
#: octets of memory that unpacking may take
_MEMORY: Final = 16 * 1024 * 1024
_KNOWN: Final = (b"PK\x03\x04", b"Rar!\x1a\x07", b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0")
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Listing:
    """names: in lower case; locked: a member needs a password; broken: the list ends where it should not; bomb: it
    claims to become far larger than any use has for it.
    """

    names: tuple[str, ...] = ()
    locked: bool = False
    broken: bool = False
    bomb: bool = False


class _Room:
    """Octets that may still be unpacked."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = UNPACKED

    def unpack(self, packed: bytes, kind: int) -> bytes:
        """The beginning of what is packed; kind: of a zip's member, or GZIP, BZIP2, XZ."""
        if self.left <= 0 or not packed:
            return b""
        packed = packed[:_LOOKED]
        try:
            found = _unpackers(kind, packed, min(self.left, UNPACKED // 2))
        except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError):
            found = b""
        self.left -= len(found) + len(packed) // 4 + 4096
        return found


def listing(start: bytes, octets: Callable[[int], bytes], most: int) -> Listing | None:
    """start: its first 16 octets; octets: gives the first so many; None: it is no archive we can list."""
    if start.startswith(_KNOWN):
        data = octets(most)
        return _listed(data, len(data) >= most, _Room(), DEEPEST)
    head = octets(_BLOCK) if start else b""
    return _tar(octets(most)) if head[257:262] == b"ustar" else None


def _listed(data: bytes, cut: bool, room: _Room, deep: int) -> Listing | None:
    """cut: only its beginning is there; deep: levels that may still be looked into."""
    if data.startswith(b"PK\x03\x04"):
        return _zip(data, cut, room, deep)
    if data.startswith(b"Rar!\x1a\x07"):
        return _rar(data)
    if data.startswith(b"\x1f\x8b\x08"):
        return _packed(data, _GZIP, room, deep, _gzip(data[:1024]))
    if data.startswith(b"BZh"):
        return _packed(data, _BZIP2, room, deep, Listing())
    if data.startswith(b"\xfd7zXZ\0"):
        return _packed(data, _XZ, room, deep, Listing())
    return _tar(data) if data[257:262] == b"ustar" else None


def _packed(data: bytes, kind: int, room: _Room, deep: int, own: Listing) -> Listing:
    """One file that is packed: what it is, if it is an archive itself."""
    inner = room.unpack(data, kind) if deep else b""
    found = _listed(inner, True, room, deep - 1) if inner else None
    if found is None:
        return own
    return Listing((*own.names, *found.names)[:MOST], found.locked, own.broken)


def _unpackers(kind: int, packed: bytes, most: int) -> bytes:
    """Raises zlib.error, LZMAError, OSError, ValueError, EOFError."""
    if kind == _STORED:
        return packed[:most]
    if kind == _DEFLATED:
        return zlib.decompressobj(-15).decompress(packed, most)
    if kind == _GZIP:
        return zlib.decompressobj(31).decompress(packed, most)
    if kind == _BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, most)
    if kind == _XZ:
        return lzma.LZMADecompressor(memlimit=_MEMORY).decompress(packed, most)
    return b""


# zip


class _Member(NamedTuple):
    """Of a zip. kind: how it is packed; packed: octets, 0 when nobody says; size: what it claims to become."""

    name: str
    flags: int
    kind: int
    packed: int
    size: int
    place: int


def _zip(data: bytes, cut: bool, room: _Room, deep: int) -> Listing:
    end = -1 if cut else data.rfind(b"PK\x05\x06", max(len(data) - _TAIL, 0))
    members = (list(_by_list(data, end)) if end >= 0 else []) or list(_by_entry(data))
    names = [one.name for one in members]
    locked = any(one.flags & 1 for one in members)
    claimed = sum(one.size for one in members)
    bomb = claimed > _BOMB and claimed > _RATIO * len(data)
    for one in members if deep else ():
        if not one.flags & 1 and (one.kind == _STORED or one.name.rpartition(".")[2] in _LEAVES):
            inner = room.unpack(_body(data, one), one.kind)
            found = _listed(inner, True, room, deep - 1) if inner else None
            if found is not None:
                names = [*found.names, *names][: 2 * MOST]
                locked, bomb = locked or found.locked, bomb or found.bomb
    return Listing(tuple(names[:MOST]), locked, broken=not cut and (end < 0 or not members), bomb=bomb)


def _by_list(data: bytes, end: int) -> Iterator[_Member]:
    """The members by the list at the end."""
    if end + 22 > len(data):
        return
    size, at = struct.unpack_from("<2I", data, end + 12)
    before = 0
    if size <= end and data[end - size : end - size + 4] == b"PK\x01\x02":
        before = end - size - at  # something stands before the archive
        at = end - size
    for _ in range(MOST):
        if at + _ENTRY.size > end:
            return
        row = _ENTRY.unpack_from(data, at)
        if row[0] != b"PK\x01\x02":
            return
        packed, whole, name, extra, comment, place = row[8], row[9], row[10], row[11], row[12], row[16]
        begin = at + _ENTRY.size
        yield _Member(_name(data[begin : begin + name]), row[3], row[4], packed, whole, place + max(before, 0))
        at = begin + name + extra + comment


def _body(data: bytes, one: _Member) -> bytes:
    """The beginning of a member, as it is packed; b"" when it is stored and no archive."""
    place = one.place
    if place + _LOCAL.size > len(data) or data[place : place + 4] != b"PK\x03\x04":
        return b""
    row = _LOCAL.unpack_from(data, place)
    begin = place + _LOCAL.size + row[9] + row[10]
    if one.kind == _STORED and not data[begin : begin + 8].startswith(_KNOWN):
        return b""
    return data[begin : begin + min(one.packed or _LOOKED, _LOOKED)]


def _by_entry(data: bytes) -> Iterator[_Member]:
    """The same from the heads of the members, where the list is missing."""
    at = 0
    for _ in range(MOST):
        at = data.find(b"PK\x03\x04", at)
        if at < 0 or at + _LOCAL.size > len(data):
            return
        row = _LOCAL.unpack_from(data, at)
        begin = at + _LOCAL.size
        packed = 0 if row[2] & 8 else row[7]
        size = 0 if row[2] & 8 else row[8]
        yield _Member(_name(data[begin : begin + row[9]]), row[2], row[3], packed, size, at)
        at = begin + row[9] + row[10] + packed


# others


def _gzip(data: bytes) -> Listing:
    if len(data) < 10 or not data[3] & 8:
        return Listing()
    begin = 10 + (2 + int.from_bytes(data[10:12], "little") if data[3] & 4 else 0)
    return Listing((_name(data[begin : data.find(b"\0", begin) if b"\0" in data[begin:] else begin]),))


def _tar(data: bytes) -> Listing:
    names: list[str] = []
    at = 0
    while at + _BLOCK <= len(data) and len(names) < MOST:
        head = data[at : at + _BLOCK]
        if not head[0]:
            break
        names.append(_name(head[:100].partition(b"\0")[0]))
        try:
            size = int(head[124:136].strip(b"\0 ") or b"0", 8)
        except ValueError:
            return Listing(tuple(names), broken=True)
        at += _BLOCK + (max(size, 0) + _BLOCK - 1) // _BLOCK * _BLOCK
    return Listing(tuple(names))


def _rar(data: bytes) -> Listing:
    return _rar5(data) if data[6:8] == b"\x01\x00" else _rar4(data)


def _rar4(data: bytes) -> Listing:
    names: list[str] = []
    locked = False
    at = 7
    while at + 7 <= len(data) and len(names) < MOST:
        kind, flags, size = data[at + 2], *struct.unpack_from("<2H", data, at + 3)
        if size < 7:
            return Listing(tuple(names), locked, broken=True)
        if kind == 0x73 and flags & 0x80:
            return Listing(tuple(names), locked=True)
        body = int.from_bytes(data[at + 7 : at + 11], "little") if flags & 0x8000 or kind == 0x74 else 0
        if kind == 0x74 and at + 32 <= len(data):
            length = int.from_bytes(data[at + 26 : at + 28], "little")
            begin = at + 32 + (8 if flags & 0x100 else 0)
            names.append(_name(data[begin : begin + length].partition(b"\0")[0]))
            locked = locked or bool(flags & 4)
        at += size + body
        if kind == 0x7B:
            break
    return Listing(tuple(names), locked)


def _rar5(data: bytes) -> Listing:
    names: list[str] = []
    at = 8
    while at + 7 <= len(data) and len(names) < MOST:
        size, begin = _vint(data, at + 4)
        kind, place = _vint(data, begin)
        flags, place = _vint(data, place)
        if kind == 4:  # all heads are encrypted
            return Listing(tuple(names), locked=True)
        _, place = _vint(data, place) if flags & 1 else (0, place)
        body, place = _vint(data, place) if flags & 2 else (0, place)
        if kind == 2:
            names.append(_rar5_name(data, place))
        if kind == 5 or not size:
            break
        at = begin + size + body
    return Listing(tuple(names))


def _rar5_name(data: bytes, at: int) -> str:
    flags, at = _vint(data, at)
    for _ in range(2):  # unpacked size, attributes
        _, at = _vint(data, at)
    at += 4 * bool(flags & 2) + 4 * bool(flags & 4)
    for _ in range(2):  # compression, system
        _, at = _vint(data, at)
    length, at = _vint(data, at)
    return _name(data[at : at + min(length, 1024)])


def _vint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for step in range(10):
        if at >= len(data):
            break
        octet = data[at]
        at += 1
        value |= (octet & 0x7F) << (7 * step)
        if octet < 0x80:
            break
    return value, at


def _name(octets: bytes) -> str:
    return octets[:1024].decode("utf-8", "replace").lower()
