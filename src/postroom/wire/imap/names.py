r"""Mailbox names on the wire: modified UTF-7 before UTF-8 is enabled, UTF-8 after (RFC 3501 5.1.3, RFC 6855 3).

Purpose: the only place that knows how a name travels. Inside, names are Unicode, "INBOX" in upper case.
Trust: names come from clients; what does not decode, or has control characters, is refused.
Standards: RFC 3501 5.1.3, RFC 9051 5.1 and A.1, RFC 6855 3.
On failure: BadName.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

from postroom.wire.imap.errors import BadName
from postroom.wire.imap.strings import astring, string

_SHIFT: Final = re.compile(rb"&([A-Za-z0-9+,]*)-")
_TO_SHIFT: Final = re.compile(r"&|[^\x20-\x7e]+")
# RFC 3501 5.1.3: no null shifts ("&AAA-&BBB-" must be one shift)
_NULL_SHIFT: Final = re.compile(rb"&[A-Za-z0-9+,]+-&[A-Za-z0-9+,]")
# RFC 6855 3: no control characters, line or paragraph separators
_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST: Final = 4096  # octets; what the mailbox room allows is shorter
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]*")


def decode(raw: bytes, utf8: bool = False) -> str:
    """A mailbox name as the client wrote it, as Unicode. Raises BadName."""
    if raw.upper() == b"INBOX":  # RFC 9051 5.1: INBOX in any case is one mailbox
        return "INBOX"
    return decode_pattern(raw, utf8)


def decode_pattern(raw: bytes, utf8: bool = False) -> str:
    """The same for a LIST pattern or reference, where INBOX may be only a part. Raises BadName."""
    if len(raw) > _LONGEST:
        raise BadName("mailbox name is too long")
    if raw.isascii() and (utf8 or b"&" not in raw):
        name = raw.decode("ascii")
    elif raw.isascii():
        name = decode_utf7(raw)
    else:
        # RFC 6855 3: UTF-8 mailbox names MUST be accepted; also from a client that did not ask first
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise BadName("mailbox name is not UTF-8") from fault
    if _FORBIDDEN.search(name):
        raise BadName("mailbox name has control characters")
    return name


def encode(name: str, utf8: bool = False) -> bytes:
    """The name as octets on the wire, without quoting."""
    if utf8:
        return name.encode("utf-8")
    return encode_utf7(name)


def printed(name: str, utf8: bool = False) -> bytes:
    """The name ready to stand in a response: always a string, which every client reads."""
    return string(encode(name, utf8), utf8)


def as_astring(name: str, utf8: bool = False) -> bytes:
    """The name as a client would send it: an atom where one is enough."""
    return astring(encode(name, utf8), utf8)


def encode_utf7(name: str) -> bytes:
    """Modified UTF-7 of a name (RFC 3501 5.1.3)."""
    if name.isascii() and "&" not in name and name.isprintable():
        return name.encode("ascii")
    return _TO_SHIFT.sub(_shift, name).encode("ascii")


def _shift(found: re.Match[str]) -> str:
    text = found[0]
    if text == "&":
        return "&-"
    coded = b64encode(text.encode("utf-16-be", "surrogatepass")).decode("ascii")
    return f"&{coded.rstrip('=').replace('/', ',')}-"


def decode_utf7(raw: bytes) -> str:
    """The Unicode of a name in modified UTF-7. Raises BadName unless the form is exactly the one we would print.

    RFC 3501 5.1.3: wrong syntax, superfluous shifts and encoded printable US-ASCII are refused, so that a mailbox has
    one name on the wire.
    """
    if not _PRINTABLE.fullmatch(raw):
        raise BadName("mailbox name has control characters")
    if _NULL_SHIFT.search(raw):
        raise BadName("mailbox name has a superfluous shift")
    pieces, done = [], 0
    for found in _SHIFT.finditer(raw):
        plain = raw[done : found.start()]
        pieces.append(_plain(plain))
        pieces.append(_unshift(found[1]) if found[1] else "&")
        done = found.end()
    pieces.append(_plain(raw[done:]))
    return "".join(pieces)


def _plain(raw: bytes) -> str:
    if b"&" in raw:
        raise BadName("mailbox name is not modified UTF-7")
    return raw.decode("ascii")


def _unshift(coded: bytes) -> str:
    padded = coded.replace(b",", b"/") + b"=" * (-len(coded) % 4)
    try:
        text = b64decode(padded, validate=True).decode("utf-16-be")
    except ValueError as fault:  # also UnicodeDecodeError: half a code unit, half a surrogate pair
        raise BadName("mailbox name is not modified UTF-7") from fault
    if _shift_of(text) != coded or any(" " <= letter <= "~" for letter in text):
        raise BadName("mailbox name encodes characters that need no encoding")
    return text


def _shift_of(text: str) -> bytes:
    return b64encode(text.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
