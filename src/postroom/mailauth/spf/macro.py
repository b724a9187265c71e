"""The macro language of SPF: read once, expanded for each message (RFC 7208 7).

A macro string is a tuple of texts and Macros. `%%`, `%_` and `%-` are texts already.
Trust: the text comes from a stranger's DNS; reading it is linear, and expanding stops at a length that is given.
On failure: BadMacro with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from postroom.mailauth.names import LONGEST_NAME, clipped

#: RFC 7208 7.2: c, r and t only in the text that exp= leads to
LETTERS = frozenset("slodipvh")
EXPLANATION_LETTERS = LETTERS | frozenset("crt")

_EXPAND = re.compile(r"%(?:\{([A-Za-z])(\d*)([rR]?)([.\-+,/_=]*)\}|([%_-]))")
_FIXED = {"%": "%", "_": " ", "-": "%20"}
_LITERAL = re.compile(r"[\x21-\x24\x26-\x7e]*")
_EXPLAIN_LITERAL = re.compile(r"[\x20-\x24\x26-\x7e]*")
#: RFC 7208 7.1  domain-end = ( "." toplabel [ "." ] ) / macro-expand; a toplabel is not all digits
_DOMAIN_END = re.compile(r"\.(?=[A-Za-z0-9-]*[A-Za-z-])[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?\Z")
_NUMBERS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


class BadMacro(ValueError):
    """Text that is no macro string."""


@dataclass(frozen=True, slots=True)
class Macro:
    """One `%{...}`. keep: right-hand parts to keep, 0 for all. escape: written in upper case (RFC 7208 7.3)."""

    letter: str
    keep: int = 0
    reverse: bool = False
    delimiters: str = ""
    escape: bool = False

    def apply(self, value: str) -> str:
        """The value, split, reversed, shortened, joined with dots and escaped as asked."""
        if self.keep or self.reverse or self.delimiters:
            marks = self.delimiters or "."
            for other in marks[1:]:
                value = value.replace(other, marks[0])
            parts = value.split(marks[0])
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.keep :])
        return quote(value, safe="") if self.escape else value


MacroString = tuple[str | Macro, ...]


def parse_macros(text: str, *, explanation: bool = False) -> MacroString:
    """RFC 7208 7.1 macro-string; with `explanation` an explain-string: spaces, and c, r, t. Raises BadMacro."""
    literal = _EXPLAIN_LITERAL if explanation else _LITERAL
    if "%" not in text:
        if not literal.fullmatch(text):
            raise BadMacro("it has a character that is not printable ASCII")
        return (text,)
    pieces: list[str | Macro] = []
    place = 0
    while place < len(text):
        found = literal.match(text, place)
        if found and found.end() > place:
            pieces.append(found[0])
            place = found.end()
            continue
        macro = _EXPAND.match(text, place)
        if not macro:
            what = "% must be followed by {, %, _ or - and a macro" if text[place] == "%" else "it has a bad character"
            raise BadMacro(what)
        pieces.append(_FIXED[macro[5]] if macro[5] else _macro(macro, EXPLANATION_LETTERS if explanation else LETTERS))
        place = macro.end()
    return tuple(pieces)


def _macro(found: re.Match[str], letters: frozenset[str]) -> Macro:
    letter, digits, reverse, delimiters = found.group(1, 2, 3, 4)
    if letter.lower() not in letters:
        only = " outside an explanation" if letter.lower() in EXPLANATION_LETTERS else ""
        raise BadMacro(f"there is no macro %{{{letter}}}{only}")
    digits = digits.lstrip("0") if digits else "0"
    if not digits:
        raise BadMacro("a macro keeps 0 parts")
    # a name has 127 labels at most
    return Macro(letter.lower(), int(digits) if len(digits) < 4 else 999, bool(reverse), delimiters, letter.isupper())


def parse_domain_spec(text: str) -> MacroString:
    """RFC 7208 7.1 domain-spec: a macro string that ends in a macro or in `.toplabel`. Raises BadMacro."""
    if not text:
        raise BadMacro("a domain name is missing")
    pieces = parse_macros(text)
    rest = text[max((found.end() for found in _EXPAND.finditer(text)), default=0) :]
    if rest and not _DOMAIN_END.search(rest):
        if _NUMBERS.fullmatch(text):
            raise BadMacro("an IP address stands where a domain name belongs; ip4: is for addresses")
        raise BadMacro("it does not end in a top-level domain")
    return pieces


def expand(pieces: MacroString, values: Mapping[str, str], limit: int) -> str:
    """The text with every macro replaced. It stops once `limit` characters are passed."""
    done: list[str] = []
    size = 0
    for piece in pieces:
        done.append(piece if isinstance(piece, str) else piece.apply(values[piece.letter]))
        size += len(done[-1])
        if size > limit:
            break
    return "".join(done)


def expand_name(pieces: MacroString, values: Mapping[str, str]) -> str:
    """The <target-name> (RFC 7208 4.8): expanded, without the trailing dot, clipped from the left to 253 characters."""
    done: list[str] = []
    size = 0
    for piece in reversed(pieces):
        done.append(piece if isinstance(piece, str) else piece.apply(values[piece.letter]))
        size += len(done[-1])
        if size > LONGEST_NAME + 2:  # the dot at the end, and the dot where it is cut; what is further left is dropped
            break
    done.reverse()
    return clipped("".join(done))


def letters_of(pieces: MacroString) -> frozenset[str]:
    """The macro letters that are used."""
    return frozenset(piece.letter for piece in pieces if isinstance(piece, Macro))
