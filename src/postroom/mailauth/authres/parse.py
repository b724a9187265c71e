"""Reading Authentication-Results, as other programs write it.

Lenient where the world is (unquoted base64 in header.b, addresses of any kind), strict about structure: what cannot be
read to its end is refused as a whole, for half a field may say the contrary of all of it. Linear in its input.
Standards: RFC 8601 2.2 and 2.6 (versions), RFC 5322 3.2.2 (comments).
On failure: BadResults with the reason.
"""

from __future__ import annotations

import re

from postroom.mailauth.authres.print import AuthenticationResults, MethodResult, Property

#: a longer value is refused
MAX_OCTETS = 65_536
_MAX_RESULTS = 200

_SPACE = re.compile(r"[ \t\r\n]+")
_COMMENT_PART = re.compile(r"[^()\\]+")
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_UNQUOTE = re.compile(r"\\(.)", re.DOTALL)
_BARE = re.compile(r"[^ \t\r\n;()\"]+")
_DIGITS = re.compile(r"[0-9]+")


class BadResults(ValueError):
    """A value that is no Authentication-Results; the text says why."""


class _Scanner:
    """A place in the text; the methods move it forward or leave it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def blank(self) -> str:
        """Skip white space and comments (CFWS); the text of the last comment."""
        comment = ""
        while True:
            space = _SPACE.match(self._text, self._at)
            if space:
                self._at = space.end()
            elif self._text.startswith("(", self._at):
                comment = self._comment()
            else:
                return comment

    def _comment(self) -> str:
        start, depth = self._at, 0
        while self._at < len(self._text):
            part = _COMMENT_PART.match(self._text, self._at)
            if part:
                self._at = part.end()
                continue
            char = self._text[self._at]
            self._at += 2 if char == "\\" else 1
            depth += {"(": 1, ")": -1}.get(char, 0)
            if not depth:
                return self._text[start + 1 : self._at - 1]
        raise BadResults("a comment has no end")

    def take(self, pattern: re.Pattern[str]) -> str:
        """What matches here; "" leaves the place."""
        found = pattern.match(self._text, self._at)
        if not found:
            return ""
        self._at = found.end()
        return found[0]

    def sign(self, char: str) -> bool:
        """Skip one character if it stands here, with CFWS before it."""
        here = self._at
        self.blank()
        if self._text.startswith(char, self._at):
            self._at += 1
            return True
        self._at = here
        return False

    def value(self) -> str:
        """A value: tokens and quoted strings without anything between."""
        parts: list[str] = []
        while True:
            quoted = self.take(_QUOTED)
            bare = "" if quoted else self.take(_BARE)
            if quoted:
                parts.append(_UNQUOTE.sub(r"\1", quoted[1:-1]))
            elif bare:
                parts.append(bare)
            else:
                return "".join(parts)

    @property
    def rest(self) -> str:
        return self._text[self._at :]

    @property
    def ended(self) -> bool:
        return self._at >= len(self._text)


def _keyword(scanner: _Scanner, what: str) -> str:
    scanner.blank()
    word = scanner.take(_KEYWORD)
    if not word:
        raise BadResults(f"{what} is missing")
    return word.lower()


def _equals(scanner: _Scanner, name: str) -> None:
    if not scanner.sign("="):
        raise BadResults(f"{name} has no value")
    scanner.blank()


def _property(scanner: _Scanner, ptype: str) -> Property:
    if not scanner.sign("."):
        raise BadResults(f"{ptype} is no property")
    name = _keyword(scanner, "the name of a property")
    _equals(scanner, f"{ptype}.{name}")
    return Property(ptype, name, scanner.value())


def _result(scanner: _Scanner) -> MethodResult | None:
    """One statement after its semicolon; None for one of an unknown version of its method."""
    method = _keyword(scanner, "a method")
    known = True
    if scanner.sign("/"):
        scanner.blank()
        known = scanner.take(_DIGITS) == "1"
    _equals(scanner, method)
    result = _keyword(scanner, f"the result of {method}")
    comment, reason = scanner.blank(), ""
    properties: list[Property] = []
    while not scanner.ended and not scanner.sign(";"):
        word = _keyword(scanner, "a property")
        if word == "reason" and not properties and not reason:
            _equals(scanner, word)
            reason = scanner.value()
        else:
            properties.append(_property(scanner, word))
        comment = scanner.blank() or comment
    return MethodResult(method, result, reason, comment, tuple(properties)) if known else None


def _no_result(text: str) -> bool:
    """`; none` and nothing else."""
    scanner = _Scanner(text)
    scanner.blank()
    if scanner.take(_KEYWORD).lower() != "none":
        return False
    scanner.blank()
    return scanner.ended


def parse(value: bytes) -> AuthenticationResults:
    """Read what follows the field's name and colon, folded or not. Raises BadResults."""
    if len(value) > MAX_OCTETS:
        raise BadResults("it is too long")
    text = value.decode("utf-8", "replace")
    scanner = _Scanner(text)
    scanner.blank()
    authserv_id = scanner.value()
    if not authserv_id:
        raise BadResults("it does not say who checked")
    scanner.blank()
    version = scanner.take(_DIGITS)
    if version not in {"", "1"}:
        raise BadResults("it is of a version nobody here knows")
    if not scanner.sign(";"):
        scanner.blank()
        if scanner.ended:
            return AuthenticationResults(authserv_id)
        raise BadResults("the results do not begin with a semicolon")
    if _no_result(scanner.rest):
        return AuthenticationResults(authserv_id)
    results: list[MethodResult] = []
    scanner.blank()
    while not scanner.ended:
        if len(results) >= _MAX_RESULTS:
            raise BadResults("it has too many results")
        found = _result(scanner)
        scanner.blank()
        if found:
            results.append(found)
    return AuthenticationResults(authserv_id, tuple(results))
