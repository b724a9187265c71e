"""The fields of BODYSTRUCTURE that come from one part's header, as IMAP prints them.

Owns: content types and encodings with their defaults, and the extension data.
Trusts nothing: a Content-Type that cannot be read is text/plain (RFC 2045 5.2), an encoding that cannot be read
is printed as it stands.
Standards: RFC 9051 7.5.2, RFC 2045, RFC 2183 (disposition), RFC 3282 (language), RFC 2557 (location), RFC 1864 (MD5).
On failure: never.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from postroom.message.imap_text import nstring, string
from postroom.message.parameters import Parameters, parameter, parse_type, parse_value, strip_comments

PART_FIELDS: Final = frozenset(
    (
        b"content-type",
        b"content-transfer-encoding",
        b"content-id",
        b"content-description",
        b"content-disposition",
        b"content-language",
        b"content-location",
        b"content-md5",
    )
)

_SELDOM: Final = PART_FIELDS - {b"content-type", b"content-transfer-encoding"}

_MAX_BOUNDARY = 2048  # RFC 2046 5.1.1 allows 70; mail does not always
_LABEL = re.compile(rb"[A-Za-z0-9._:+()-]{1,60}")
_LANGUAGE = re.compile(rb"[A-Za-z0-9*-]{1,100}")


class ContentType(NamedTuple):
    """main, sub, charset: lower case. printed: `"TYPE" "SUBTYPE" params`; the rest for multiparts."""

    main: bytes
    sub: bytes
    charset: bytes
    boundary: bytes
    printed: bytes
    printed_sub: bytes
    printed_parameters: bytes


# RFC 2045 5.2  no Content-Type: text/plain; charset=us-ascii; RFC 2046 5.1.5  in a digest: message/rfc822
TEXT_TYPE: Final = ContentType(
    b"text", b"plain", b"us-ascii", b"", b'"TEXT" "PLAIN" ("CHARSET" "US-ASCII")', b'"PLAIN"', b"NIL"
)
DIGEST_TYPE: Final = ContentType(b"message", b"rfc822", b"", b"", b'"MESSAGE" "RFC822" NIL', b'"RFC822"', b"NIL")

_IDENTITY: Final = (b'"7BIT"', b"7bit")
_ENCODINGS: Final = {
    spelling: (b'"%b"' % name.upper(), name)
    for name in (b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable")
    for spelling in (name, name.upper(), name.capitalize(), name.title())
}


def content_type(value: bytes) -> ContentType:
    """Read a Content-Type value. Short ones (no boundary, no file name) are few and read once."""
    return _short_type(value) if len(value) <= 64 else _read_type(value)


def _read_type(value: bytes) -> ContentType:
    parsed = parse_type(value)
    if parsed is None:
        return TEXT_TYPE
    main, sub, found = parsed
    lower = main.lower()
    charset = boundary = b""
    if lower == b"text":
        label = parameter(found, b"charset")
        if label is None:
            found = [*found, (b"CHARSET", b"US-ASCII")]
            charset = b"us-ascii"
        elif _LABEL.fullmatch(label):
            charset = label.lower()
    elif lower == b"multipart":
        # white space at the end is no part of a boundary (RFC 2046 5.1.1)
        boundary = (parameter(found, b"boundary") or b"")[:_MAX_BOUNDARY].rstrip()
    printed_sub = b'"%b"' % sub.upper()
    printed = parameters(found)
    return ContentType(
        lower,
        sub.lower(),
        charset,
        boundary,
        b'"%b" %b %b' % (main.upper(), printed_sub, printed),
        printed_sub,
        printed,
    )


_short_type = lru_cache(maxsize=1024)(_read_type)


def parameters(found: Parameters) -> bytes:
    """RFC 9051 9  body-fld-param = "(" string SP string *(SP string SP string) ")" / nil."""
    if not found:
        return b"NIL"
    return b"(%b)" % b" ".join([b"%b %b" % (string(name.upper()), string(value)) for name, value in found])


def encoding(value: bytes | None) -> tuple[bytes, bytes]:
    """(as IMAP prints it, lower case) of a Content-Transfer-Encoding value; 7bit when there is none."""
    if not value:
        return _IDENTITY
    known = _ENCODINGS.get(value)
    if known:
        return known
    word = strip_comments(value[:200]).strip(b" \t;\"'").lower()
    known = _ENCODINGS.get(word)
    if known:
        return known
    if not word:
        return _IDENTITY
    label = word if _LABEL.fullmatch(word) else b"x-unknown"
    return string(word.upper()), label


def fields_of_part(fields: dict[bytes, bytes]) -> bytes:
    """body-fld-id SP body-fld-desc."""
    if b"content-id" in fields or b"content-description" in fields:
        return b"%b %b" % (nstring(fields.get(b"content-id")), nstring(fields.get(b"content-description")))
    return b"NIL NIL"


def extension(fields: dict[bytes, bytes], md5: bytes | None) -> bytes:
    """body-ext-1part, or without md5 the end of body-ext-mpart: [SP md5] SP dsp SP lang SP loc.

    md5: the name of the field, None for a multipart.
    """
    if _SELDOM.isdisjoint(fields):
        return b" NIL NIL NIL" if md5 is None else b" NIL NIL NIL NIL"
    get = fields.get
    shown = b"" if md5 is None else b" NIL" if md5 not in fields else b" " + nstring(get(md5))
    return b"%b %b %b %b" % (
        shown,
        _disposition(get(b"content-disposition")),
        _languages(get(b"content-language")),
        _location(get(b"content-location")),
    )


def _disposition(value: bytes | None) -> bytes:
    if not value:
        return b"NIL"
    parsed = parse_value(value)
    if parsed is None:
        return b"NIL"
    word, found = parsed
    return b'("%b" %b)' % (word.upper(), parameters(found))


def _languages(value: bytes | None) -> bytes:
    """RFC 3282 2  Content-Language = Language-Tag *("," Language-Tag)."""
    if not value:
        return b"NIL"
    found = [b'"%b"' % tag for tag in _LANGUAGE.findall(strip_comments(value))[:100]]
    if not found:
        return b"NIL"
    return found[0] if len(found) == 1 else b"(%b)" % b" ".join(found)


def _location(value: bytes | None) -> bytes:
    """RFC 2557 4.4: white space inside a folded URI is no part of it."""
    return nstring(b"".join(value.split())) if value else b"NIL"
