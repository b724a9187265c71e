"""What lies in a small archive that a program sent: gzip, or the first file of a zip, or nothing packed at all.

Owns: nothing. Trusts nothing: what comes out is never more than the caller allows, whatever the archive promises, and
nothing of a zip is believed but its local headers, so that a directory of millions costs nothing.
Standards: RFC 1952 (gzip), RFC 1951 (deflate); APPNOTE 4.3.7, 4.4.4 for zip. Other methods are refused.
On failure: BadArchive with the reason.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_ENCRYPTED, _SIZE_FOLLOWS, _STORED, _DEFLATED = 1, 8, 0, 8
#: members of a gzip file, or folders before the file in a zip, that are looked at
_MOST_MEMBERS: Final = 100


class BadArchive(ValueError):
    """It cannot be unpacked, or what is in it is too big; the text says which."""


def unpacked(octets: bytes, most: int) -> bytes:
    """The octets in it, `most` at the most; octets that are neither gzip nor zip as they are. Raises BadArchive."""
    if octets.startswith(_GZIP):
        return _gunzipped(octets, most)
    if octets.startswith(_ZIP):
        return _unzipped(octets, most)
    if len(octets) > most:
        raise BadArchive(f"it has more than {most} octets")
    return octets


def _gunzipped(octets: bytes, most: int) -> bytes:
    """RFC 1952 2.2: members, one after the other."""
    found = bytearray()
    for _ in range(_MOST_MEMBERS):
        part, octets = _inflated(octets, 31, most - len(found))
        found += part
        if not octets.startswith(_GZIP):  # zeros and other padding are passed over
            return bytes(found)
    raise BadArchive("the gzip file has too many members")


def _inflated(octets: bytes, window: int, most: int) -> tuple[bytes, bytes]:
    """One compressed stream, and what follows it."""
    stream = zlib.decompressobj(window)
    try:
        found = stream.decompress(octets, most + 1)
    except zlib.error as fault:
        raise BadArchive(f"it is damaged: {fault}") from fault
    if len(found) > most:
        raise BadArchive("unpacked it is too big")
    if not stream.eof:
        raise BadArchive("it ends too early")
    return found, stream.unused_data


def _unzipped(octets: bytes, most: int) -> bytes:
    at = 0
    for _ in range(_MOST_MEMBERS):
        try:
            mark, _, flags, method, _, _, crc, packed, _, names, extra = _LOCAL.unpack_from(octets, at)
        except struct.error as fault:
            raise BadArchive("the zip file ends too early") from fault
        if mark != _ZIP:
            break
        start = at + _LOCAL.size
        name = octets[start : start + names]
        start += names + extra
        if not name.endswith(b"/"):
            return _member(octets[start:], (flags, method, crc, packed), most)
        at = start + packed
    raise BadArchive("the zip file holds no file")


def _member(octets: bytes, head: tuple[int, int, int, int], most: int) -> bytes:
    flags, method, crc, packed = head
    if flags & _ENCRYPTED:
        raise BadArchive("the zip file is encrypted")
    if method == _DEFLATED:
        found, _ = _inflated(octets, -15, most)
    elif method == _STORED and not flags & _SIZE_FOLLOWS:
        found = octets[:packed]
        if len(found) > most:
            raise BadArchive("unpacked it is too big")
    else:
        raise BadArchive(f"the zip file is packed by method {method}, which is not known here")
    if not flags & _SIZE_FOLLOWS and zlib.crc32(found) != crc:
        raise BadArchive("the zip file is damaged: its checksum differs")
    return found
