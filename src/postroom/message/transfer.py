"""Content transfer encodings undone, whole or piece by piece.

Trusts nothing: line ends, white space, missing padding, joined base64 blocks and stray characters are tolerated,
because mail has them all.
Standards: RFC 2045 6.
On failure: UndecodableContent for an encoding nobody knows (IMAP answers UNKNOWN-CTE, RFC 3516 4.3).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Final

IDENTITY: Final = frozenset(("", "7bit", "8bit", "binary"))
_BASE64: Final = frozenset(("base64", "b64"))
_QUOTED: Final = frozenset(("quoted-printable", "quopri", "q-p"))
_UUENCODE: Final = frozenset(("uuencode", "x-uuencode", "uue", "x-uue"))

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_PADDING = re.compile(rb"=+")
# RFC 2045 6.7 (3): white space at the end of an encoded line was added on the way
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} .*\r?\n", re.MULTILINE)

_LONGEST_LINE: Final = 64 * 1024


class UndecodableContent(ValueError):
    """A content transfer encoding that nobody knows; the text is its name."""


def decode_transfer(data: bytes, encoding: str | bytes) -> bytes:
    """The octets behind a transfer encoding (any case). Raises UndecodableContent."""
    name = (encoding.decode("latin-1") if isinstance(encoding, bytes) else encoding).strip().lower()
    if name in IDENTITY:
        return data
    if name in _BASE64:
        return decode_base64(data)
    if name in _QUOTED:
        return decode_quoted_printable(data)
    if name in _UUENCODE:
        return _decode_uu(data)
    raise UndecodableContent(name)


def decode_base64(data: bytes) -> bytes:
    """RFC 2045 6.8. Blocks that were padded and then joined are decoded one by one."""
    padding = data.find(b"=")
    if padding < 0 or not data[padding:].strip(b"=\r\n \t"):
        try:
            return binascii.a2b_base64(data)
        except binascii.Error:
            pass
    return b"".join([_base64_block(block) for block in _PADDING.split(_NOT_BASE64.sub(b"", data)) if block])


def _base64_block(block: bytes) -> bytes:
    spare = len(block) % 4
    if spare == 1:  # six bits are no octet
        block = block[:-1]
    return binascii.a2b_base64(block + b"=" * (-len(block) % 4))


def decode_quoted_printable(data: bytes) -> bytes:
    """RFC 2045 6.7; "=" followed by anything else stays as it is."""
    if b" \r" in data or b"\t\r" in data or b" \n" in data or b"\t\n" in data:
        data = _TRAILING_SPACE.sub(b"", data)
    return binascii.a2b_qp(data)


def _decode_uu(data: bytes) -> bytes:
    begin = _UU_BEGIN.search(data)
    out: list[bytes] = []
    for line in data[begin.end() if begin else 0 :].splitlines():
        if line.strip() == b"end":
            break
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            count = (line[0] - 32) & 63  # the line is longer than it says: decode what it says
            size = (count * 4 + 5) // 3
            try:
                out.append(binascii.a2b_uu(line[:size]))
            except binascii.Error:
                continue
    return b"".join(out)


def decode_pieces(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The same for content that comes in pieces; never holds more than two of them. Raises UndecodableContent."""
    name = encoding.strip().lower()
    if name in IDENTITY:
        yield from pieces
    elif name in _BASE64:
        yield from _base64_pieces(pieces)
    elif name in _QUOTED or name in _UUENCODE:
        yield from _line_pieces(pieces, name)
    else:
        raise UndecodableContent(name)


def _base64_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    kept = b""
    for piece in pieces:
        clean = kept + _NOT_BASE64.sub(b"", piece)
        padding = clean.rfind(b"=") + 1
        whole = padding + (len(clean) - padding) // 4 * 4
        kept = clean[whole:]
        yield decode_base64(clean[:whole])
    if kept:
        yield decode_base64(kept)


def _line_pieces(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    kept = b""
    for piece in pieces:
        lines = kept + piece
        whole = lines.rfind(b"\n") + 1
        if not whole and len(lines) > _LONGEST_LINE:
            escape = lines.find(b"=", len(lines) - 2)  # better cut than kept, but not inside =XX
            whole = len(lines) if escape < 0 else escape
        kept = lines[whole:]
        if whole:
            yield decode_transfer(lines[:whole], name)
    if kept:
        yield decode_transfer(kept, name)
