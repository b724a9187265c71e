"""Text in the form in which it is compared: case, accents, width and other forms of one character made equal.

What i;unicode-casemap calls equal is equal here too, and more: marks over and under letters are left out, the dotless
i is an i, letters with a stroke are those without. Marks that make a word of their script (vowels of Thai and
Devanagari, the sound marks of kana) stay.
Pure; trusts nothing. On failure: never.
Standards: RFC 5051 (i;unicode-casemap, whose matches are kept), Unicode 5.18 (case folding), UAX 15 (NFKD).
"""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

#: sorting combining marks costs the square of their number, so a long text is folded word by word or so
_AT_ONCE: Final = 512

#: after NFKD: Latin, Greek and Cyrillic marks, Hebrew points, Arabic vowels and the sign that only stretches
_MARKS = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4]+"
)
_LETTERS: Final = {
    "ı": "i", "ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "ð": "d", "ɨ": "i", "ƶ": "z",
}  # fmt: skip
_LETTER = re.compile(f"[{''.join(_LETTERS)}]")
#: NFKD takes Korean syllables apart; they are put together again, so that a syllable does not match a longer one
_JAMO = re.compile("[\u1100-\u11ff](?:[\u1100-\u11ff -@]*[\u1100-\u11ff])?")


def fold(text: str) -> str:
    """The text as it is compared. fold(a) stands in fold(b) wherever a stands in b."""
    if text.isascii():
        return text.lower()
    if len(text) <= _AT_ONCE:
        return _fold(text)
    out: list[str] = []
    at = 0
    while at < len(text):
        end = at + _AT_ONCE
        space = text.rfind(" ", at, end) if end < len(text) else -1
        end = space + 1 if space >= at else end
        out.append(_fold(text[at:end]))
        at = end
    return "".join(out)


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = _MARKS.sub("", normalize("NFKD", normalize("NFKD", text).casefold()))
    if folded.isascii():
        return folded
    folded = _LETTER.sub(_letter, folded)
    return _JAMO.sub(_syllables, folded) if _JAMO.search(folded) else folded


def _letter(found: re.Match[str]) -> str:
    return _LETTERS[found[0]]


def _syllables(found: re.Match[str]) -> str:
    return normalize("NFC", found[0])
