r"""Strings in responses: quoted where that is safe, else a literal (RFC 9051 4.3).

Purpose: whatever octets a name, header or search text has, what we print is one string of the grammar.
Standards: RFC 9051 4.3 (string, nil), RFC 6855 3 (UTF-8 in quoted strings only after ENABLE).
"""

from __future__ import annotations

import re
from typing import Final

# RFC 9051 9: QUOTED-CHAR without NUL, CR, LF and the high bit; quotes and backslashes are escaped
_QUOTABLE: Final = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1024}")
_QUOTABLE_UTF8: Final = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\xff]{0,1024}")
_SPECIAL: Final = re.compile(rb'(["\\])')
_ASTRING: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")

NIL: Final = b"NIL"


def string(value: bytes, utf8: bool = False) -> bytes:
    """A quoted string, or a literal when quotes cannot hold the octets.

    utf8: the client understands UTF-8 in quoted strings.
    """
    quotable = _QUOTABLE_UTF8 if utf8 and not value.isascii() and _is_utf8(value) else _QUOTABLE
    if not quotable.fullmatch(value):
        return literal(value)
    if b'"' in value or b"\\" in value:
        value = _SPECIAL.sub(rb"\\\1", value)
    return b'"%b"' % value


def nstring(value: bytes | None, utf8: bool = False) -> bytes:
    """NIL for None, else a string."""
    return NIL if value is None else string(value, utf8)


def astring(value: bytes, utf8: bool = False) -> bytes:
    """An atom where one is enough, else a string. "NIL" is quoted: as an atom it would mean nothing at all."""
    if _ASTRING.fullmatch(value) and value.upper() != NIL:
        return value
    return string(value, utf8)


def literal(value: bytes) -> bytes:
    """A literal; a literal8 when there is a NUL in it (RFC 3516 4.3)."""
    if b"\0" in value:
        return b"~{%d}\r\n%b" % (len(value), value)
    return b"{%d}\r\n%b" % (len(value), value)


def literal_start(size: int, binary: bool = False) -> bytes:
    """What stands before the octets of a literal that is sent in pieces."""
    return b"~{%d}\r\n" % size if binary else b"{%d}\r\n" % size


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
