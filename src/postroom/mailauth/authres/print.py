"""Authentication-Results as a value, and printed.

Strict: whatever a stranger could choose (domains, addresses, reasons) is a token or a quoted string of printable
characters, and bounded.
Standards: RFC 8601 2.2 (grammar), RFC 8616 6 (A-labels unless the message is international).
On failure: never.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_VALUE = 320
_LINE = 76

_TOKEN = re.compile(r"[!#-'*+.0-9A-Z^-~-]+")  # RFC 2045 5.1: token, no tspecials
_IDENTITY = re.compile(r"(?:[!#-'*+./0-9=?A-Z^-~-]+|\"[\x20\x21\x23-\x5b\x5d-\x7e]*\")?@[A-Za-z0-9._-]+")
_UTF8_IDENTITY = re.compile(r"[!#-'*+./0-9=?A-Z^-~\x80-\U0010ffff-]*@[A-Za-z0-9._-]+")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")
_NOT_PRINTABLE_UTF8 = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")
_ESCAPE = re.compile(r'(["\\])')
_ESCAPE_COMMENT = re.compile(r"([()\\])")


@dataclass(frozen=True, slots=True)
class Property:
    """One thing a check looked at: `header.d=example.org` has ptype header, name d."""

    ptype: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One check: dkim, spf, dmarc, arc …, what came of it, and why. reason and comment may be any text."""

    method: str
    result: str
    reason: str = ""
    comment: str = ""
    properties: tuple[Property, ...] = ()

    def property(self, ptype: str, name: str) -> str:
        """The value of the first property of this name; "" without one."""
        return next((one.value for one in self.properties if (one.ptype, one.name) == (ptype, name)), "")


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """One field: who checked, and the results; none means that nothing was checked."""

    authserv_id: str
    results: tuple[MethodResult, ...] = ()

    def payload(self, utf8: bool = False) -> bytes:
        """What the field says, folded, without name and line end; ARC sets carry it too (RFC 8617 4.1.1).

        utf8: the message is one of RFC 6532, so local parts may keep their characters.
        """
        statements = [_statement(one, utf8) for one in self.results] or [["none"]]
        lines = [_value(self.authserv_id, utf8)]
        for words in statements:
            lines[-1] += ";"
            lines.append("")
            for word in words:
                if lines[-1] and len(lines[-1]) + len(word) >= _LINE:
                    lines.append("")
                lines[-1] += " " + word
        return "\r\n".join([lines[0], *(line if line.startswith(" ") else " " + line for line in lines[1:])]).encode()

    def field(self, utf8: bool = False) -> bytes:
        """The whole header field with its line end."""
        return b"Authentication-Results: " + self.payload(utf8) + b"\r\n"


def _clean(text: str, utf8: bool) -> str:
    text = (_NOT_PRINTABLE_UTF8 if utf8 else _NOT_PRINTABLE).sub("?", text)
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."


def _value(text: str, utf8: bool) -> str:
    """A token, an address, or a quoted string (RFC 8601 2.2: value, pvalue)."""
    text = _clean(text, utf8)
    identity = _UTF8_IDENTITY if utf8 else _IDENTITY
    if _TOKEN.fullmatch(text) or identity.fullmatch(text) or _IDENTITY.fullmatch(text):
        return text
    return '"' + _ESCAPE.sub(r"\\\1", text) + '"'


def _statement(one: MethodResult, utf8: bool) -> list[str]:
    """The words of one result, each of which stays on one line."""
    words = [f"{one.method}={one.result}"]
    if one.comment:
        words.append("(" + _ESCAPE_COMMENT.sub(r"\\\1", _clean(one.comment, utf8)) + ")")
    if one.reason:
        words.append('reason="' + _ESCAPE.sub(r"\\\1", _clean(one.reason, utf8)) + '"')
    words += [f"{found.ptype}.{found.name}={_value(found.value, utf8)}" for found in one.properties]
    return words
