"""Text that stands in everything a regular expression matches, so that most texts need not be searched with it.

Pure. Trusts nothing. On failure: never; of an expression that is too free nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

# how re itself reads an expression; there is no public name for it
_parser: Any = re._parser  # type: ignore[attr-defined]
_constants: Any = re._constants  # type: ignore[attr-defined]

#: more ways to begin than these are not worth looking for
_MOST: Final = 40
_LEAST: Final = 3  # letters; what is shorter stands everywhere
_REPEATS: Final = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
#: other letters that an expression without regard to case takes for s and i (re.IGNORECASE); lower() has the others
_TAKEN_FOR: Final = (("\u017f", "s"), ("\u0130", "i"), ("\u0131", "i"))


def literals(pattern: str) -> tuple[tuple[str, ...], ...]:
    """In whatever the expression matches, one of each of these stands, once it is lowered; () when nothing is known.

    Raises re.error for what is no expression.
    """
    found = [one for one in _candidates(list(_parser.parse(pattern))) if min(map(len, one)) >= _LEAST]
    return tuple(sorted(found, key=lambda one: -min(map(len, one))))


def of_lowered(pattern: str) -> str:
    """The expression that finds in lowered text what this one, made without regard to case, finds; "" for none.

    Without that regard re looks for the beginning of a match far faster.
    """
    rest = pattern.removeprefix("(?i)")
    if rest == pattern or "(?" in _GROUP.sub("", rest) or not _LOWER.fullmatch(rest):
        return ""
    return "" if _capitals(_parser.parse(rest)) else rest


def lowered(text: str) -> str:
    """The text in which `literals` are looked for."""
    if not text.isascii():
        for other, letter in _TAKEN_FOR:
            text = text.replace(other, letter)
    return text.lower()


#: no letter that has another case, but in the names of classes such as \\S
_LOWER: Final = re.compile(r"(?:\\[bBsSdDwW]|\\[^A-Za-z0-9]|[^\\A-Z\u0080-\U0010ffff])*")


_GROUP: Final = re.compile(r"\(\?(?:[:=!>]|<[=!])")


def _capitals(items: Any) -> bool:
    """Is there a range of characters that holds capital letters?"""
    for item in items:
        if isinstance(item, tuple) and len(item) == 2 and item[0] is _constants.RANGE:
            if item[1][0] <= ord("Z") and item[1][1] >= ord("A"):
                return True
        elif isinstance(item, (tuple, list, _parser.SubPattern)) and _capitals(item):
            return True
    return False


def _of(items: list[Any]) -> tuple[str, ...]:
    """The longest of what must be there; of ways to choose from, the shortest counts."""
    return max(_candidates(items), key=lambda found: (min(map(len, found)), -len(found)), default=())


def _candidates(items: list[Any]) -> Iterator[tuple[str, ...]]:
    run: list[str] = []
    for op, given in items:
        if op is _constants.AT:
            continue  # takes no room
        if op is _constants.LITERAL and given < 128:
            run.append(chr(given).lower())
            continue
        if run:
            yield ("".join(run),)
            run = []
        inner = _inside(op, given)
        if inner:
            yield inner
    if run:
        yield ("".join(run),)


def _inside(op: Any, given: Any) -> tuple[str, ...]:
    """Of a group."""
    if op is _constants.SUBPATTERN:
        return _of(list(given[3]))
    if op is _constants.ATOMIC_GROUP:
        return _of(list(given))
    if op in _REPEATS and given[0]:
        return _of(list(given[2]))
    if op is _constants.BRANCH:
        ways = [_of(list(branch)) for branch in given[1]]
        if all(ways):
            found = tuple(dict.fromkeys(word for way in ways for word in way))
            return found if len(found) <= _MOST else ()
    return ()
