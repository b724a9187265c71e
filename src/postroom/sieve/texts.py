"""Strings of a script that hold variables or encoded characters.

Standards: RFC 5228 2.4.2.4 (encoded characters), RFC 5229 3 (variables), RFC 6609 3.4.2 (the global namespace).
On failure: BadText when a reference or a character cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from postroom.sieve.run import Run

_ENCODED: Final = re.compile(
    r"\$\{(?:(?P<hex>[Hh][Ee][Xx]):(?P<pairs>[ \t\r\n]*[0-9A-Fa-f]{1,2}(?:[ \t\r\n]+[0-9A-Fa-f]{1,2})*[ \t\r\n]*)"
    r"|[Uu][Nn][Ii][Cc][Oo][Dd][Ee]:(?P<points>[ \t\r\n]*[0-9A-Fa-f]+(?:[ \t\r\n]+[0-9A-Fa-f]+)*[ \t\r\n]*))\}"
)
_IDENTIFIER: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_REFERENCE: Final = re.compile(rf"\$\{{((?:{_IDENTIFIER}\.)(?:(?:{_IDENTIFIER}|[0-9]+)\.)*)?({_IDENTIFIER}|[0-9]+)\}}")
NAME: Final = re.compile(_IDENTIFIER)
#: match variables that can be read
MOST_MATCHES: Final = 99
#: characters of a name
LONGEST_NAME: Final = 64


class BadText(ValueError):
    """A string that cannot be; the text says why."""


class Template:
    """A string with variables in it."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[str | Callable[[Run], str], ...]) -> None:
        self._parts = parts

    def expand(self, run: Run) -> str:
        """With the values variables have now (RFC 5229 3), cut where a value may be no longer."""
        text = "".join([part if isinstance(part, str) else part(run) for part in self._parts])
        run.spend(1 + (len(text) >> 8))
        return text[: run.limits.value * 4]


Text: TypeAlias = str | Template
Texts: TypeAlias = tuple[Text, ...]


def get(text: Text, run: Run) -> str:
    """The string as it is now."""
    return text if isinstance(text, str) else text.expand(run)


def get_all(texts: Texts, run: Run) -> list[str]:
    """The strings as they are now."""
    return [text if isinstance(text, str) else text.expand(run) for text in texts]


def constant(texts: Texts) -> tuple[str, ...] | None:
    """The strings when none of them has a variable."""
    found = tuple(text for text in texts if isinstance(text, str))
    return found if len(found) == len(texts) else None


def decode_characters(text: str) -> str:
    """RFC 5228 2.4.2.4. Raises BadText."""
    if "${" not in text:
        return text
    octets = b"".join(
        [_octets(found) if found else piece.encode() for piece, found in _pieces(text)],
    )
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadText("the encoded characters give no UTF-8") from None


def _pieces(text: str) -> list[tuple[str, re.Match[str] | None]]:
    found: list[tuple[str, re.Match[str] | None]] = []
    at = 0
    for match in _ENCODED.finditer(text):
        found += ((text[at : match.start()], None), ("", match))
        at = match.end()
    found.append((text[at:], None))
    return found


def _octets(found: re.Match[str]) -> bytes:
    if found["hex"]:
        return bytes(int(pair, 16) for pair in found["pairs"].split())
    points = [int(point, 16) if len(point) < 12 else 0x110000 for point in found["points"].split()]
    for point in points:
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise BadText(f"there is no character U+{point:X}")
    return "".join(map(chr, points)).encode()


def template(text: str, namespaces: frozenset[str], shared: Container[str]) -> Text:
    """A string with its references. namespaces: that may be used; shared: names declared global. Raises BadText."""
    if "${" not in text:
        return text
    parts: list[str | Callable[[Run], str]] = []
    at = 0
    for found in _REFERENCE.finditer(text):
        if found.start() > at:
            parts.append(text[at : found.start()])
        parts.append(_reader((found[1] or "").lower(), found[2].lower(), namespaces, shared))
        at = found.end()
    if not parts:
        return text
    if at < len(text):
        parts.append(text[at:])
    return Template(tuple(parts))


def _reader(space: str, name: str, namespaces: frozenset[str], shared: Container[str]) -> Callable[[Run], str]:
    if space:
        if space[:-1] not in namespaces:
            raise BadText(f"nothing is known of variables in the namespace {space[:-1]}")
        if not NAME.fullmatch(name):
            raise BadText(f"{space}{name} cannot be a variable")
        return lambda run: run.globals.get(name, "")
    if name[0].isdigit():
        number = int(name.lstrip("0")[:9] or "0")
        if number > MOST_MATCHES:
            raise BadText(f"there is no match variable {name[:20]}; {MOST_MATCHES} is the last")
        return lambda run: run.matches[number] if number < len(run.matches) else ""
    if len(name) > LONGEST_NAME:
        raise BadText(f"the name of a variable has more than {LONGEST_NAME} characters")
    if name in shared:
        return lambda run: run.globals.get(name, "")
    return lambda run: run.variables.get(name, "")
