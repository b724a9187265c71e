"""The surrogate of a message for clients that cannot read 8-bit header fields: the same message, ASCII headers.

RFC 6855 7 and RFC 6856 2.1 leave the choice between RFC 6857 and the simpler RFC 6858. This is the simpler one: an
address that is not ASCII becomes an invalid one with the true one as its name (RFC 6858 2.1), a text that can be
written as encoded words is (2.3), and any other field that is not ASCII is left out (2.4). In two places more is
kept than it asks for: the name of an ASCII address is encoded, and so is a MIME parameter (RFC 2231), such as the
name of an attachment. Bodies stay as they are, 8-bit or not (RFC 6152).
Trusts nothing: 8-bit octets that are no UTF-8 are read by guessing, as everywhere.
On failure: TooMuchHeader; the original is never touched.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote_from_bytes

from postroom.message.addresses import GROUP_END, Mailbox, parse
from postroom.message.charsets import to_text
from postroom.message.decode import decode_words
from postroom.message.parameters import Parameters, parse_type, parse_value
from postroom.message.parts import Parts

#: octets of all headers of one message that are converted
MAX_HEADER: Final = 256 * 1024

#: RFC 6858 2.1: the fields whose addresses are known as such
_ADDRESSES: Final = frozenset(
    b"bcc cc from reply-to resent-bcc resent-cc resent-from resent-sender resent-to return-path sender to".split()
)
_TEXTS: Final = frozenset((b"subject", b"comments", b"content-description"))
_END: Final = re.compile(rb"\n(?![ \t])")
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t])")
_DOT_ATOM: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_HOST: Final = re.compile(rb"[A-Za-z0-9.-]+|\[[!-Z^-~]+\]")
_PLAIN: Final = re.compile(r"[ -~]+")
_TOKEN: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_QUOTABLE: Final = re.compile(rb"[ -~]*")
_INVALID: Final = b"<invalid@internationalized-address.invalid>"
#: octets of UTF-8 in one encoded word: 60 characters, so that "Resent-Sender: " stands before one (RFC 2047 2: 76)
_WORD: Final = 36
#: octets of a parameter that still fit in a line
_MAX_PARAMETER: Final = 900


class TooMuchHeader(Exception):
    """The message has more header fields than are converted."""


def patches(packed: bytes, read: Callable[[int, int], bytes]) -> list[tuple[int, int, bytes]]:
    """(start, end, octets to send instead) of every header of a message that is not ASCII, in order.

    packed: its parts (message.parts); read: octets start to end of the message. Raises TooMuchHeader, ValueError.
    """
    found: list[tuple[int, int, bytes]] = []
    budget = MAX_HEADER
    for start, end in Parts.unpack(packed).headers():
        budget -= end - start
        if budget < 0:
            raise TooMuchHeader
        header = read(start, end)
        if not header.isascii():
            found.append((start, end, ascii_header(header)))
    return found


def ascii_header(header: bytes) -> bytes:
    """A header block without its 8-bit octets; fields that are ASCII stay octet by octet."""
    return b"".join([field if field.isascii() else _converted(field) for field in _fields(header)])


def _fields(header: bytes) -> Iterator[bytes]:
    """Each with all its lines, and what stands behind the last line end."""
    begin = 0
    for end in _END.finditer(header):
        yield header[begin : end.end()]
        begin = end.end()
    yield header[begin:]


def _converted(field: bytes) -> bytes:
    """One field with its line end, b"" when there is no way to show it."""
    name, colon, value = field.partition(b":")
    key = name.rstrip().lower()
    if not colon or not name.isascii():
        return b""
    value = _FOLD.sub(b"", value).strip()
    if key in _TEXTS:
        items = [list(_words(decode_words(value)))]
    elif key in _ADDRESSES:
        items = list(_addresses(parse(value)))
    elif key in (b"content-type", b"content-disposition"):
        items = list(_structured(key, value))
    else:
        items = []
    if not items:
        return b""
    end = b"\r\n" if field.endswith(b"\r\n") else b"\n" if field.endswith(b"\n") else b""
    return name + b": " + ((end or b"\r\n") + b" ").join([line for item in items for line in item]) + end


def _words(text: str) -> Iterator[bytes]:
    """Encoded words (RFC 2047), no character cut in two."""
    octets = text.encode("utf-8", "replace")
    while octets:
        end = min(_WORD, len(octets))
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        yield b"=?utf-8?B?%b?=" % b2a_base64(octets[:end], newline=False)
        octets = octets[end:]


def _phrase(text: str) -> list[bytes]:
    """A display name in pieces to be folded."""
    if _PLAIN.fullmatch(text):
        return [b'"%b"' % _escaped(text.encode())]
    return list(_words(text))


def _escaped(octets: bytes) -> bytes:
    return octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _addresses(found: list[Mailbox]) -> Iterator[list[bytes]]:
    """Each address in pieces, commas and groups included."""
    for place, each in enumerate(found):
        after = found[place + 1] if place + 1 < len(found) else GROUP_END
        comma = b"" if after == GROUP_END else b","
        if each == GROUP_END:
            yield [b";" + comma]
        elif each.host is None:
            yield [*_phrase(decode_words(each.mailbox or b"") or " "), b":"]
        else:
            *pieces, last = _address(each)
            yield [*pieces, last + comma]


def _address(each: Mailbox) -> list[bytes]:
    name = decode_words(each.name) if each.name else ""
    local, host = each.mailbox or b"", each.host or b""
    if local.isascii() and _QUOTABLE.fullmatch(local) and _HOST.fullmatch(host):
        printed = local if _DOT_ATOM.fullmatch(local) else b'"%b"' % _escaped(local)
        return [*(_phrase(name) if name else ()), b"<%b@%b>" % (printed, host)]
    if not host and not name and _DOT_ATOM.fullmatch(local):
        return [local]
    shown = to_text(local) + ("@" + to_text(host) if host else "")
    return [*_words(f"{name} ({shown})" if name else shown), _INVALID]


def _structured(key: bytes, value: bytes) -> Iterator[list[bytes]]:
    """Content-Type or Content-Disposition, the parameters that are not ASCII encoded (RFC 2231 4)."""
    found: Parameters
    if key == b"content-type":
        typed = parse_type(value)
        if typed is None:
            return
        head, found = typed[0] + b"/" + typed[1], typed[2]
    else:
        word = parse_value(value)
        if word is None:
            return
        head, found = word
    pieces = [head]
    for name, octets in found:
        printed = _parameter(name, octets)
        if printed and len(printed) <= _MAX_PARAMETER:
            pieces[-1] += b";"
            pieces.append(printed)
    yield pieces


def _parameter(name: bytes, value: bytes) -> bytes:
    """One parameter; b"" when there is no way to write it."""
    if not _TOKEN.fullmatch(name):
        return b""
    if not value.isascii() and not name.endswith(b"*"):
        text = decode_words(value).encode("utf-8", "replace")
        return b"%b*=utf-8''%b" % (name, quote_from_bytes(text, safe="").encode())
    if _TOKEN.fullmatch(value):
        return b"%b=%b" % (name, value)
    return b'%b="%b"' % (name, _escaped(value)) if value.isascii() and _QUOTABLE.fullmatch(value) else b""
