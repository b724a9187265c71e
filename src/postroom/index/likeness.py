"""How alike two words are: the same, forms of one, one the beginning or a part of the other, or mistyped.

Pure; words are folded. On failure: never.
"""

from __future__ import annotations

from typing import Final

from postroom.index.stems import same_stem

SAME: Final = 1.0
#: another form of the word: invoice, invoicing
FORM: Final = 0.85
#: the looked-for word begins the other: invoice, invoices
BEGINS: Final = 0.8
#: a slip, two slips: letters missing, too many, wrong, or changed places
ONE_SLIP: Final = 0.7
TWO_SLIPS: Final = 0.5
#: the looked-for word stands within the other: fort, comfortable
WITHIN: Final = 0.4

_ONE_FROM: Final = 4
_TWO_FROM: Final = 8
#: longer words are ids and the like: nobody mistypes them
_LONGEST: Final = 32


def slips_allowed(word: str) -> int:
    """How many slips a word of this length may hold and still be itself."""
    if not word.isalpha() or len(word) > _LONGEST:
        return 0
    return (len(word) >= _ONE_FROM) + (len(word) >= _TWO_FROM)


def likeness(wanted: str, word: str) -> float:
    """From 0 (nothing in common) to 1 (the same)."""
    if wanted == word:
        return SAME
    if same_stem(wanted, word):
        return FORM
    if word.startswith(wanted):
        return BEGINS
    if wanted in word:
        return WITHIN
    allowed = slips_allowed(wanted)
    made = slips(wanted, word, allowed) if allowed else 1
    return 0.0 if made > allowed else (ONE_SLIP if made == 1 else TWO_SLIPS)


def slips(one: str, other: str, most: int) -> int:
    """Letters missing, added, wrong or changed with their neighbour; `most` + 1 when there are more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end_one, end_other = len(one), len(other)
    while end_one > start and end_other > start and one[end_one - 1] == other[end_other - 1]:
        end_one, end_other = end_one - 1, end_other - 1
    one, other = one[start:end_one], other[start:end_other]
    if not one or not other:
        return len(one) + len(other)
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        older, before, row = before, row, [place]
        for at, found in enumerate(other, 1):
            cost = min(before[at] + 1, row[at - 1] + 1, before[at - 1] + (letter != found))
            if place > 1 and at > 1 and letter == other[at - 2] and one[place - 2] == found:
                cost = min(cost, older[at - 2] + 1)
            row.append(cost)
        if min(row) > most and (not before or min(before) > most):
            return most + 1
    return min(row[-1], most + 1)
