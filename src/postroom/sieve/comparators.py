"""How two strings are compared.

Each comparator is a fold, after which equality and substrings are those of the folded strings, and an order.
Standards: RFC 4790 9 (i;octet, i;ascii-casemap, i;ascii-numeric), RFC 5051 (i;unicode-casemap), RFC 5228 2.7.3.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_DIGITS: Final = re.compile(r"[0-9]{1,4000}")
#: RFC 4790 9.1.1: what does not begin with a digit is larger than every number, and equal to its like
_INFINITY: Final = (1, 0)


@dataclass(frozen=True, slots=True)
class Comparator:
    """substrings: can it be used with :contains and :matches. each: folds one character; None: none changes length."""

    name: str
    fold: Callable[[str], str]
    order: Callable[[str], object]
    substrings: bool = True
    each: Callable[[str], str] | None = None


def _same(text: str) -> str:
    return text


def ascii_upper(text: str) -> str:
    """RFC 4790 9.2.1: a to z become A to Z, nothing else changes."""
    return text.upper() if text.isascii() else text.translate(_UPPER)


class _Characters(dict[int, str]):
    """RFC 5051 2: title case, then decomposed; each character is worked out once."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        title = character.title()
        folded = unicodedata.normalize("NFKD", title if len(title) == 1 else character)
        if len(self) < 20_000:  # strangers choose what stands in mail
            self[code] = folded
        return folded


_CHARACTERS: Final = _Characters()


def unicode_fold(text: str) -> str:
    """RFC 5051 2."""
    return text.upper() if text.isascii() else text.translate(_CHARACTERS)


def _character(character: str) -> str:
    return _CHARACTERS[ord(character)]


def number(text: str) -> tuple[int, int]:
    """The number a string begins with (RFC 4790 9.1.1), as something that orders."""
    found = _DIGITS.match(text)
    return (0, int(found[0])) if found else _INFINITY


def _numeric(text: str) -> str:
    found = _DIGITS.match(text)
    return (found[0].lstrip("0") or "0") if found else ""


COMPARATORS: Final = {
    each.name: each
    for each in (
        Comparator("i;octet", _same, _same),
        Comparator("i;ascii-casemap", ascii_upper, ascii_upper),
        Comparator("i;ascii-numeric", _numeric, number, substrings=False),
        Comparator("i;unicode-casemap", unicode_fold, unicode_fold, each=_character),
    )
}
DEFAULT: Final = COMPARATORS["i;ascii-casemap"]
