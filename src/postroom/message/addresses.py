"""Address lists of a header field, as octets: names, routes, local parts, domains, groups.

Trusts nothing. The usual shapes go through one expression; everything else through a tokenizer that follows
RFC 5322 3.4 and the obsolete forms of 4.4, and takes what it can from text that follows no grammar.
On failure: never; text that is no address comes out as a local part without domain.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_ADDRESSES = 5_000
#: octets of a field that are read
MAX_VALUE = 256 * 1024

_ATEXT = rb"\-A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff"


class Mailbox(NamedTuple):
    """One address structure of RFC 9051 7.5.2; None is NIL.

    host None: with mailbox the start of the group so named, without it the end of the group.
    """

    name: bytes | None
    route: bytes | None
    mailbox: bytes | None
    host: bytes | None


GROUP_END = Mailbox(None, None, None, None)

_USUAL = re.compile(
    rb"[ \t]*+(?:"
    rb'(?:"([^"\\]*)"[ \t]*+|([' + _ATEXT + rb". \t]*+))<([" + _ATEXT + rb".]++)@([A-Za-z0-9.\x80-\xff-]++)>"
    rb"|([" + _ATEXT + rb".]++)@([A-Za-z0-9.\x80-\xff-]++))[ \t]*+(?:,|\Z)"
)
_TOKENS = re.compile(
    rb'(?P<quoted>"[^"\\]*+(?:\\.[^"\\]*+)*+"?)'
    rb"|(?P<literal>\[[^\]\\<>@,\[]{0,255}\])"
    rb"|(?P<space>[ \t\r\n\0]++)"
    rb"|(?P<special>[<>,;:@()])"
    rb"|(?P<atom>[^ \t\r\n\0<>,;:@()\"]++)",
    re.DOTALL,
)
_UNESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_AT, _COLON = ("special", b"@"), ("special", b":")


def parse(value: bytes) -> list[Mailbox]:
    """The addresses of one unfolded field value, at most MAX_ADDRESSES."""
    found: list[Mailbox] = []
    value = value[:MAX_VALUE]
    at, end = 0, len(value)
    match = _USUAL.match
    while at < end:
        usual = match(value, at)
        if usual is None:
            if value[at:].isspace():
                break
            found.extend(_Reader(value, at).read(MAX_ADDRESSES - len(found)))
            break
        quoted, name, local, host, bare_local, bare_host = usual.groups()
        if bare_local is not None:
            found.append(Mailbox(None, None, bare_local, bare_host))
        else:
            name = quoted if name is None else name.rstrip()
            found.append(Mailbox(name or None, None, local, host))
        at = usual.end()
        if len(found) >= MAX_ADDRESSES:
            break
    return found


_Words = list[tuple[str, bytes]]


class _Reader:
    """Reads what the usual expression does not cover, one address at a time."""

    __slots__ = ("_angle", "_at", "_comment", "_found", "_group", "_has_at", "_inside", "_value", "_words")

    def __init__(self, value: bytes, at: int) -> None:
        self._value = value
        self._at = at
        self._found: list[Mailbox] = []
        self._group = False
        self._clear()

    def _clear(self) -> None:
        self._words: _Words = []  # the phrase, or an address without angle brackets
        self._angle: _Words | None = None  # what stands in the angle brackets
        self._inside = False
        self._has_at = False
        self._comment = b""

    def read(self, limit: int) -> list[Mailbox]:
        value, end = self._value, len(self._value)
        while self._at < end and len(self._found) < limit:
            token = _TOKENS.match(value, self._at)
            if token is None:
                self._at += 1
                continue
            self._at = token.end()
            kind = token.lastgroup or ""
            if kind == "special":
                self._special(token[0])
            elif kind == "quoted":
                self._add(kind, _UNESCAPE.sub(rb"\1", token[0][1:].removesuffix(b'"')))
            else:
                self._add(kind, token[0])
        self._finish()
        if self._group:
            self._found.append(GROUP_END)
        return self._found

    def _add(self, kind: str, text: bytes) -> None:
        if self._inside and self._angle is not None:
            if self._angle or kind != "space":
                self._angle.append((kind, text))
        elif self._angle is None:
            self._words.append((kind, text))

    def _special(self, token: bytes) -> None:
        if token == b"(":
            self._skip_comment()
        elif token == b"<":
            self._inside = self._angle is None
            self._angle = self._angle or []
        elif token == b">":
            self._inside = False
        elif token == b"," and not self._in_route():
            self._finish()
        elif token == b";":
            self._finish()
            if self._group:
                self._found.append(GROUP_END)
                self._group = False
        elif token == b":" and not (self._inside or self._group or self._has_at):
            self._found.append(Mailbox(None, None, _phrase(self._words), None))
            self._group = True
            self._clear()
        else:
            self._has_at = self._has_at or token == b"@"
            self._add("special", token)

    def _in_route(self) -> bool:
        """RFC 5322 4.4 obs-route: <@a,@b:local@domain> has commas inside the brackets."""
        return self._inside and bool(self._angle) and self._angle is not None and self._angle[0] == _AT

    def _skip_comment(self) -> None:
        depth, start = 1, self._at
        for found in _COMMENT.finditer(self._value, self._at):
            depth += (found[0] == b"(") - (found[0] == b")")
            if depth == 0:
                self._at = found.end()
                self._comment = self._comment or _UNESCAPE.sub(rb"\1", self._value[start : found.start()]).strip()
                self._add("space", b" ")
                return
        self._at = len(self._value)

    def _finish(self) -> None:
        if self._angle is not None:
            route, mailbox, host = _address(self._angle)
            self._found.append(Mailbox(_phrase(self._words) or self._comment or None, route, mailbox, host))
        elif any(kind != "space" for kind, _ in self._words):
            route, mailbox, host = _address(self._words)
            self._found.append(Mailbox(self._comment or None, route, mailbox, host))
        self._clear()


def _phrase(words: _Words) -> bytes:
    """Words joined as written, runs of white space as one space (RFC 5322 3.2.5)."""
    return b"".join(b" " if kind == "space" else text for kind, text in words).strip()


def _address(words: _Words) -> tuple[bytes | None, bytes, bytes]:
    """(route, local part, domain) of the words of an addr-spec; a missing half is empty, never NIL."""
    route = None
    if words and words[0] == _AT and _COLON in words:
        colon = words.index(_COLON)
        route = _joined(words[:colon])
        words = words[colon + 1 :]
    for place in range(len(words) - 1, -1, -1):
        if words[place] == _AT:
            # RFC 5322 4.4 obs-local-part, obs-domain: white space may stand around the dots
            return route, _joined(words[:place]), _joined(words[place + 1 :])
    return route, _phrase(words), b""


def _joined(words: _Words) -> bytes:
    return b"".join(text for kind, text in words if kind != "space")
