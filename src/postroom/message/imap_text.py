"""Octets as IMAP strings: quoted where that is legal, else as a literal.

Standards: RFC 9051 4.3 and 9 (string, nstring). NUL may stand in neither form and is dropped; 8-bit octets and bare
CR or LF go into a literal, so that a client without UTF8=ACCEPT can read the text (RFC 6855 3).
"""

from __future__ import annotations

# RFC 9051 9  TEXT-CHAR = <any CHAR except CR and LF>; other control characters are legal but not worth quoting
_PLAIN = bytes(octet for octet in range(0x20, 0x7F) if octet not in b'"\\') + b"\t"
_MAX_QUOTED = 1000


def string(value: bytes) -> bytes:
    """An IMAP `string` holding these octets (without NUL)."""
    rest = value.translate(None, _PLAIN)
    if not rest:
        if len(value) <= _MAX_QUOTED:
            return b'"' + value + b'"'
    elif len(value) <= _MAX_QUOTED and not rest.translate(None, b'"\\'):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    elif b"\0" in rest:
        return string(value.replace(b"\0", b""))
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """An IMAP `nstring`: NIL for None."""
    return b"NIL" if value is None else string(value)
