"""The order of texts: the collation i;unicode-casemap, whose rules SORT and THREAD follow.

Texts are compared by the octets of their keys; equal keys are equal texts. A key is the text in titlecase, letter by
letter, and taken apart where Unicode says what a character is made of. What is no text, because no charset fits, comes
after all texts, in the order of its octets.
Pure; trusts nothing. On failure: never; what UTF-8 cannot hold is replaced.
Standards: RFC 5051 2 (i;unicode-casemap), RFC 5255 4.2 and 4.6 (I18NLEVEL=1).
"""

from __future__ import annotations

from functools import lru_cache
from unicodedata import decomposition


def casemap(text: str) -> bytes:
    """The key of a text. casemap(a) < casemap(b) says that a comes first."""
    if text.isascii():
        return text.upper().encode()
    return "".join(map(_mapped, text)).encode("utf-8", "replace")


def no_text(octets: bytes) -> bytes:
    """The key of what cannot be read: no text's key begins with this octet (RFC 5255 4.6)."""
    return b"\xff" + octets


@lru_cache(maxsize=16_384)
def _mapped(character: str) -> str:
    # one character to one: RFC 5051 2 (1) takes the titlecase of UnicodeData.txt, not that of SpecialCasing.txt
    title = character.title()
    return _decomposed(title if len(title) == 1 else character)


def _decomposed(character: str) -> str:
    """RFC 5051 2 (2): also what is only compatible, until nothing can be taken apart."""
    parts = decomposition(character).split()
    if not parts:
        return character
    if parts[0].startswith("<"):
        del parts[0]
    return "".join([_decomposed(chr(int(part, 16))) for part in parts])
