"""Words that are disguised so that filters do not know them, and what they are without the disguise.

Four kinds: invisible characters strewn in, letters of another alphabet that look Latin, digits and signs in place of
letters (v1agra), and letters set apart (v i a g r a). What was hidden is given beside the text, so that rules and
learned words find it; how much was hidden speaks for itself.
Work grows with the length of the text. Pure; trusts nothing. On failure: never, for any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from postroom.message.folding import fold
from postroom.values.likeness import skeleton

#: zero width, joiners, direction marks, soft hyphen, tags
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)
#: inside a word of Latin letters, where no script needs them; soft hyphens do stand there
_STREWN: Final = re.compile("(?<=[A-Za-z])[\u034f\u200b-\u200f\u2060-\u2064\ufeff]++(?=[A-Za-z])")
_ALIEN: Final = "\u0370-\u052f\u0531-\u058f"
_MIXED: Final = re.compile(
    f"(?<![A-Za-z{_ALIEN}])(?=[{_ALIEN}]{{0,39}}[A-Za-z])(?=[A-Za-z]{{0,39}}[{_ALIEN}])[A-Za-z{_ALIEN}]{{3,40}}"
)
_INSTEAD: Final = re.compile(
    r"(?<![a-z0-9/=_.@&?#-])[a-z]{1,12}[0-9@$!|]{1,2}[a-z][a-z0-9@$!|]{1,14}(?![a-z0-9/=_.@&?#-])"
)
#: what stands in every match of the two, looked for first: it begins with a set of few characters
_INSTEAD_CORE: Final = re.compile(r"[0-9@$!|](?<=[a-z].)[0-9@$!|]?[a-z][a-z0-9@$!|]")
_APART_CORE: Final = re.compile(r"[ ._*-](?<=[a-z].)[a-z][ ._*-][a-z][ ._*-][a-z][ ._*-][a-z](?![^\W_])")
_LETTERS_BEFORE: Final = re.compile(r"[a-z]{1,12}\Z")
#: cores that are looked at one by one; behind so many the rest of the text is searched as a whole
_CORES: Final = 200
_APART: Final = re.compile(r"(?<![^\W_])(?:[a-z][ ._*-]){4,20}[a-z](?![^\W_])")
_LETTERS: Final = str.maketrans("013457@$!|", "oieastasil")
_MOST: Final = 60


@dataclass(frozen=True, slots=True)
class Undisguised:
    """text: folded, without invisible characters; hidden: words that were disguised, plain; strewn: invisible
    characters inside Latin words; mixed: words of two alphabets; invisible: all characters nobody sees.
    """

    text: str
    hidden: tuple[str, ...] = ()
    strewn: int = 0
    mixed: int = 0
    invisible: int = 0


def undisguise(text: str) -> Undisguised:
    """Fold a text and find what it hides."""
    strewn = mixed = invisible = 0
    hidden: list[str] = []
    if not text.isascii():
        strewn = sum(1 for _ in _STREWN.finditer(text))
        text, invisible = _INVISIBLE.subn("", text)
        for match in _MIXED.finditer(text):
            mixed += 1
            if len(hidden) < _MOST:
                hidden.append(_latin(match[0]))
    folded = fold(text)
    hidden += [word.translate(_LETTERS) for word in _limited(_INSTEAD, _INSTEAD_CORE, _before_sign, folded)]
    hidden += [re.sub(r"[ ._*-]", "", word) for word in _limited(_APART, _APART_CORE, _before_gap, folded)]
    return Undisguised(folded, tuple(dict.fromkeys(hidden)), strewn, mixed, invisible)


def _limited(pattern: re.Pattern[str], core: re.Pattern[str], begin: Callable[[str, int], int], text: str) -> list[str]:
    """What pattern.finditer finds, _MOST at most. core: is in every match; begin: where one with this core begins."""
    found: list[str] = []
    at = 0
    for _ in range(_CORES):
        inner = core.search(text, at)
        if inner is None or len(found) >= _MOST:
            return found
        match = pattern.match(text, begin(text, inner.start()))
        if match is None:
            at = inner.start() + 1
        else:
            found.append(match[0])
            at = match.end() + 1  # of the next match, one character stands before the core
    found += [match[0] for match in islice(pattern.finditer(text, max(at - 1, 0)), _MOST - len(found))]
    return found


def _before_sign(text: str, at: int) -> int:
    letters = _LETTERS_BEFORE.search(text, max(at - 12, 0), at)
    return letters.start() if letters is not None else at


def _before_gap(text: str, at: int) -> int:
    return at - 1


def _latin(word: str) -> str:
    """Its letters as they look. A skeleton makes i and l one, which a word of mail must not."""
    return "".join(letter if letter.isascii() else skeleton(letter) for letter in word).lower()
