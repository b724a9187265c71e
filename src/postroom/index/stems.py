"""Stems: what forms of one word have in common, in the languages most mail is written in.

Nobody says in which language a word is: "invoices" is looked at as if it were English, and German, and so on, and two
words are forms of one when they have the same stem in one of these. That is light work (endings of number, case and
gender, the commonest ones of verbs), because a stem that goes too far brings together what is different. Other
languages lose nothing: their words are themselves. Words that are everywhere need no list of their own in any language:
they count for little where results are ranked (fuzzy.py).
Pure; words are folded: without accents, in lower case. On failure: never.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

#: fewer letters are no stem
SHORTEST: Final = 3
#: longer words are ids and the like
_LONGEST: Final = 32

#: letters that forms of a word have in common
_ALIKE: Final = 2

#: a step: finds the longest ending that leaves a stem; and what takes its place
_Step = tuple[re.Pattern[str], dict[str, str]]
_Steps = tuple[_Step, ...]


def _to(instead: dict[str, str], off: str, *, keep: str = "") -> _Step:
    """Endings that become others, that are taken off, and that are no endings."""
    step = {**dict.fromkeys(off.split(), ""), **instead, **{ending: ending for ending in keep.split()}}
    endings = "|".join(sorted(step, key=len, reverse=True))
    return re.compile(f"(.{{{SHORTEST},}}?)({endings})"), step


_LANGUAGES: Final[dict[str, _Steps]] = {
    "en": (
        _to({"sses": "ss", "xes": "x", "ches": "ch", "shes": "sh", "zes": "z", "ies": "i"}, "s", keep="ss us is"),
        _to({"ied": "i"}, "ing ingly edly ed ly"),
        _to({"y": "i"}, "e"),
    ),
    "de": (_to({f"{letter}s": letter for letter in "bdfghklmnrt"}, "ern em en er es e"),),
    "nl": (_to({"heden": "heid"}, "eren en s e"),),
    "fr": (
        _to({"eaux": "eau", "aux": "al"}, "s x"),
        _to({}, "ements ement antes ante ants ant ees ee es er ez ent e"),
    ),
    "es": (
        _to({"ces": "z", "ciones": "cion"}, "s"),
        _to({}, "ando iendo ados adas idos idas ado ada ido ida es a e o"),
    ),
    "pt": (
        _to({"oes": "ao", "aes": "ao", "ais": "al", "eis": "el", "ns": "m"}, "s"),
        _to({}, "ando endo ado ada ido ida a e o"),
    ),
    "it": (
        _to(
            {"chi": "c", "che": "c", "ghi": "g", "ghe": "g"},
            "ando endo ati ata ate ato iti ita ite ito ii ie io ia i e o a",
        ),
    ),
    "nordic": (_to({}, "ernas arnas erna arna orna erne ene ane ens ets ar er or en et s"), _to({}, "e a")),
    "ru": (
        _to(
            {},
            "иями ями ами ыми ими ого его ому ему иях ях ах ием ием ыи ии ои еи ая яя ое ее ые ие ую юю ов ев ом ем"
            " ам ям ия ии ию а е и о у ы ь ю я",
        ),
    ),
}
#: of stems that end in a doubled letter one is enough: running, run; factuur, facturen
_DOUBLED: Final = {"en": re.compile(r"([bdfgmnprt])\1$"), "nl": re.compile(r"([aeou])\1(?=.$)|([bdfgklmnprst])\2$")}


@lru_cache(maxsize=512)
def stems(word: str) -> frozenset[tuple[str, str]]:
    """(language, stem) of a folded word, for each language in which it may be a form of another; nothing for ids."""
    if not word.isalpha() or not SHORTEST <= len(word) <= _LONGEST:
        return frozenset()
    found = []
    for language, steps in _LANGUAGES.items():
        stem = word
        for ending, instead in steps:
            match = ending.fullmatch(stem)
            if match:
                stem = match[1] + instead[match[2]]
        doubled = _DOUBLED.get(language)
        if doubled is not None and (match := doubled.search(stem)):
            stem = stem[: match.start()] + stem[match.start() + 1 :]
        if len(stem) >= SHORTEST:
            found.append((language, stem))
    return frozenset(found)


def common_start(word: str) -> str:
    """What a word must begin with to be found as a form of this one; "" when it has none.

    Two letters, or what all stems begin with but for their last letter: it may stand for others, or be doubled.
    """
    found = [stem for _, stem in stems(word)]
    if not found:
        return ""
    size = 0
    for letters in zip(word, *found, strict=False):
        if len(set(letters)) > 1:
            break
        size += 1
    return word[: max(size - 1, _ALIKE)]


def same_stem(one: str, other: str) -> bool:
    """Are these forms of one word, in a language?"""
    return one[:_ALIKE] == other[:_ALIKE] and not stems(one).isdisjoint(stems(other))
