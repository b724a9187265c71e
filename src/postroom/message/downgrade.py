"""A message made fit for servers of 7-bit text and for lines of 998 octets, without changing what it says.

Parts whose octets do not fit get quoted-printable (text) or base64; everything else stays octet by octet. Header
fields that are not ASCII cannot be helped here, and signed parts must not be touched.
Trusts nothing: any octets are taken apart by `message.index`, within its limits.
Standards: RFC 6152 3, RFC 2045 6.2, 6.7 and 6.8, RFC 2046 5.2.1 (message/rfc822 is never encoded itself), RFC 1847 2.1
(multipart/signed), RFC 5322 2.1.1 (998 octets).
On failure: CannotConvert with the reason.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from postroom.message.index import index
from postroom.message.octets import Octets
from postroom.message.parts import LEAF, Part, Parts
from postroom.message.transfer import IDENTITY, decode_transfer

#: RFC 5322 2.1.1 and RFC 5321 4.5.3.1.6, without the line end
LONGEST_LINE: Final = 998
_LONG = re.compile(rb"[^\n]{%d}" % (LONGEST_LINE + 1))
_ENCODING = re.compile(
    rb"^content-transfer-encoding[ \t]*:\s*([^\s;(]*).*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE
)
_TYPE = re.compile(rb"^content-type[ \t]*:", re.IGNORECASE | re.MULTILINE)
_VERSION = re.compile(rb"^mime-version[ \t]*:", re.IGNORECASE | re.MULTILINE)
_SIGNATURE = re.compile(rb"^dkim-signature[ \t]*:", re.IGNORECASE | re.MULTILINE)
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_FOLD_AT = re.compile(rb"(?<=[^ \t\r\n])[ \t]+(?=[^ \t\r\n])")


class CannotConvert(Exception):
    """The message cannot be made fit; the text says why."""


def has_long_lines(data: bytes) -> bool:
    """True when a line is longer than LONGEST_LINE; its CR is not counted."""
    match = _LONG.search(data)
    while match is not None:
        if data[match.end() - 1 : match.end() + 1] != b"\r\n":
            return True
        match = _LONG.search(data, match.end())
    return False


def is_signed(data: bytes) -> bool:
    """True when a header field vouches for the octets of the body (DKIM)."""
    return _SIGNATURE.search(data, 0, Octets(data, 0).header_end(0, len(data))) is not None


def convert(data: bytes, *, eight_bit: bool = False) -> bytes:
    """The message in ASCII and with lines of at most LONGEST_LINE octets. Raises CannotConvert.

    eight_bit: only lines that are too long are in the way.
    """
    rendered = index(data)
    parts = Parts.unpack(rendered.parts)
    out: list[bytes] = []
    at = 0
    signed_until = 0  # the end of a multipart/signed we are in
    for part in parts.walk():
        header, body = data[part.header_start : part.body_start], data[part.body_start : part.end]
        if part.header_start >= signed_until and part.content_type == "multipart/signed":
            signed_until = part.end
            if _fits(body, eight_bit):
                continue
            raise CannotConvert("a part of it is signed (multipart/signed)")
        if part.header_start < signed_until:
            continue
        fresh_body = None if part.kind != LEAF or _fits(body, eight_bit) else _encoded(part, body)
        fresh = _header(part, header, fresh_body[0] if fresh_body else b"" if eight_bit else b"7bit")
        if fresh != header or fresh_body:
            out += [data[at : part.header_start], fresh]
            at = part.body_start
            if fresh_body:
                out.append(fresh_body[1])
                at = part.end
    out.append(data[at:])
    done = b"".join(out)
    if not (eight_bit or done.isascii()):
        raise CannotConvert("a header field of it is not ASCII")
    return done


def _fits(octets: bytes, eight_bit: bool) -> bool:
    return (eight_bit or octets.isascii()) and not has_long_lines(octets)


def _encoded(part: Part, body: bytes) -> tuple[bytes, bytes]:
    """(transfer encoding, body in it)."""
    if part.encoding not in IDENTITY:
        if not body.isascii():
            raise CannotConvert(f"a part says that it is {part.encoding}, and is not")
        plain = decode_transfer(body, part.encoding)  # lines too long for its encoding
    else:
        plain = body
    if part.type == "text" and 6 * len(_NOT_ASCII.sub(b"", plain)) >= 5 * len(plain):
        return b"quoted-printable", _quoted_printable(plain)
    return b"base64", binascii_lines(plain)


def _quoted_printable(plain: bytes) -> bytes:
    coded = binascii.b2a_qp(plain.replace(b"\r\n", b"\n"), istext=True)
    return coded.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def binascii_lines(plain: bytes) -> bytes:
    """RFC 2045 6.8: base64 in lines of 76 characters, without a line end after the last."""
    coded = binascii.b2a_base64(plain, newline=False)
    return b"\r\n".join([coded[at : at + 76] for at in range(0, len(coded), 76)])


def _header(part: Part, header: bytes, encoding: bytes) -> bytes:
    """The part's header with its new encoding, lines folded; "7bit" only takes the place of a promise of more bits."""
    given = _ENCODING.search(header)
    if encoding == b"7bit" and not (given and given[1].lower() in (b"8bit", b"binary")):
        encoding = b""
    if encoding:
        field = b"Content-Transfer-Encoding: %b\r\n" % encoding
        if encoding != b"7bit" and part.depth == 0 and not _VERSION.search(header):
            field = b"MIME-Version: 1.0\r\n" + field
        if encoding != b"7bit" and not _TYPE.search(header):
            field = b"Content-Type: text/plain; charset=unknown-8bit\r\n" + field  # RFC 1428
        if given:
            header = header[: given.start()] + field + header[given.end() :]
        else:
            end = len(header) - 2 if header.endswith(b"\r\n") else len(header)
            header = header[:end] + field + header[end:]
    return _folded(header) if has_long_lines(header) else header


def _folded(header: bytes) -> bytes:
    """Lines that are too long are folded at white space, as far as there is some."""
    lines = []
    for line in header.split(b"\r\n"):
        while len(line) > LONGEST_LINE:
            places = [match.start() for match in _FOLD_AT.finditer(line, 1, LONGEST_LINE)]
            if not places:
                raise CannotConvert("a header field of it is too long and cannot be folded")
            lines.append(line[: places[-1]])
            line = line[places[-1] :]
        lines.append(line)
    return b"\r\n".join(lines)
