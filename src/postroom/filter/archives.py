"""What is in an archive, by its own list of names; nothing is unpacked but a list that is packed itself.

zip (also documents and jar), tar, gzip (one name), and RAR 4 and 5; others are not looked into.
Work is bounded: at most MOST names are read, whatever the archive says of itself, and a member of a zip that is stored
without being packed and is an archive is listed too, one level deep.
Pure but for the octets it asks for. On failure: never; an archive that cannot be listed says so.
Standards: PKWARE APPNOTE 4.3.7, 4.3.12 and 4.3.16, POSIX ustar, RFC 1952 2.3 (gzip), RAR 4 and 5 technical notes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MOST: Final = 2_000
_TAIL: Final = 66_000  # the end of a zip, with its comment
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class Listing:
    """names: in lower case; locked: a member needs a password; broken: the list ends where it should not."""

    names: tuple[str, ...] = ()
    locked: bool = False
    broken: bool = False


def listing(start: bytes, octets: Callable[[int], bytes], most: int) -> Listing | None:
    """start: its first 16 octets; octets: gives the first so many; None: it is no archive we can list."""
    if start.startswith(b"PK\x03\x04"):
        data = octets(most)
        return _zip(data, len(data) >= most, inner=True)
    if start.startswith(b"Rar!\x1a\x07"):
        return _rar(octets(most))
    if start.startswith(b"\x1f\x8b\x08"):
        return _gzip(octets(1024))
    head = octets(_BLOCK) if start else b""
    return _tar(octets(most)) if head[257:262] == b"ustar" else None


# zip


def _zip(data: bytes, cut: bool, *, inner: bool) -> Listing:
    """cut: only its beginning is there."""
    end = -1 if cut else data.rfind(b"PK\x05\x06", max(len(data) - _TAIL, 0))
    entries = (list(_by_list(data, end)) if end >= 0 else []) or list(_by_entry(data))
    names = [name for name, _, _ in entries]
    locked = any(flags & 1 for _, flags, _ in entries)
    for _, _, body in entries if inner else ():
        if body[:4] == b"PK\x03\x04":
            found = _zip(body, False, inner=False)
            names += found.names
            locked = locked or found.locked
    return Listing(tuple(names[:MOST]), locked, broken=not cut and (end < 0 or not entries))


def _by_list(data: bytes, end: int) -> Iterator[tuple[str, int, bytes]]:
    """Name, flags, and the octets of a member that is not packed, by the list at the end."""
    if end + 22 > len(data):
        return
    size, at = struct.unpack_from("<2I", data, end + 12)
    if size <= end and data[end - size : end - size + 4] == b"PK\x01\x02":
        at = end - size  # something stands before the archive
    for _ in range(MOST):
        if at + _ENTRY.size > end:
            return
        row = _ENTRY.unpack_from(data, at)
        if row[0] != b"PK\x01\x02":
            return
        flags, packed, length, name, extra, comment, place = row[3], row[4], row[8], row[10], row[11], row[12], row[16]
        begin = at + _ENTRY.size
        yield _name(data[begin : begin + name]), flags, b"" if packed else _stored(data, place, length)
        at = begin + name + extra + comment


def _stored(data: bytes, place: int, length: int) -> bytes:
    if place + _LOCAL.size > len(data):
        return b""
    row = _LOCAL.unpack_from(data, place)
    begin = place + _LOCAL.size + row[9] + row[10]
    return data[begin : begin + length] if data[begin : begin + 4] == b"PK\x03\x04" else b""


def _by_entry(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """The same from the heads of the members, where the list is missing."""
    at = 0
    for _ in range(MOST):
        at = data.find(b"PK\x03\x04", at)
        if at < 0 or at + _LOCAL.size > len(data):
            return
        row = _LOCAL.unpack_from(data, at)
        begin = at + _LOCAL.size
        yield _name(data[begin : begin + row[9]]), row[2], b""
        at = begin + row[9] + row[10] + (0 if row[2] & 8 else row[7])


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
