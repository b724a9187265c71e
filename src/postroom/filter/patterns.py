"""How long a regular expression may take, told from the expression itself.

Python's expressions try one way after the other. How many ways there are follows from repeats that can take the same
characters: each of them in a row multiplies the steps, one within another makes them grow without any bound. What is
found here is never less than the truth for what the rules of a filter look like; some harmless expressions are
refused, and say the same when written with bounds ({0,80}) or without a way back (*+, ++, (?>...)).
Pure. Trusts nothing. On failure: BadPattern, which says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Final

# how re itself reads an expression; there is no public name for it
_parser: Any = re._parser  # type: ignore[attr-defined]
_constants: Any = re._constants  # type: ignore[attr-defined]

#: steps that one expression may take for one text
_STEPS: Final = 5_000_000
#: characters that it must be able to look at with so many steps
_LEAST: Final = 500
#: repeats of a group that are looked at one after the other
_UNROLLED: Final = 3
_OTHERS: Final = 1 << 256  # every character above U+00FF
_ALL: Final = (1 << 257) - 1
_NEWLINE: Final = 1 << 10


class BadPattern(ValueError):
    """It could take for ever, or is no regular expression."""


@dataclass(frozen=True, slots=True)
class _Repeat:
    """chars: a bit for each that it can take; most: how many; lead: characters that must stand before it."""

    chars: int
    most: int
    lead: int = 0


@lru_cache(maxsize=1024)
def reach(pattern: str, longest: int) -> int:
    """How many characters of a text it can look at, `longest` at most. Raises BadPattern."""
    try:
        tree = _parser.parse(pattern)
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as fault:
        raise BadPattern(f"it is no regular expression: {fault}") from None
    seen = longest
    while seen >= _LEAST:
        walk = _Walk(tree.state.flags, seen)
        walk.begin(tree)
        walk.sequence(list(tree), [])
        if walk.steps <= _STEPS:
            return seen
        seen = seen * 3 // 4
    raise BadPattern(
        "it can take very long: several repeats in a row can take the same characters. Give them bounds, as {0,80}, or"
        " let one end where the next begins, as [^:]*:"
    )


class _Walk:
    """Through one expression. size: characters of the text; steps: the most that were found."""

    def __init__(self, flags: int, size: int) -> None:
        self._fold = bool(flags & re.IGNORECASE)
        self._dotall = bool(flags & re.DOTALL)
        self._lines = bool(flags & re.MULTILINE)
        self._size = size
        self._first = _ALL  # what a match can begin with
        self._anchored = False
        self._lead = 0  # characters that must have been there so far
        self.steps = size

    def begin(self, tree: Any) -> None:
        """Where matches can begin."""
        for op, given in tree:
            if op is _constants.AT and given in (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING):
                if given is _constants.AT_BEGINNING_STRING or not self._lines:
                    self._anchored = True
                    return
            elif op is not _constants.AT and op not in (_constants.ASSERT, _constants.ASSERT_NOT):
                chars, least, _ = self._measure([(op, given)])
                if least:
                    self._first = self._head([(op, given)])
                else:
                    self._first = _ALL if chars else self._first
                return

    def _head(self, items: list[Any]) -> int:
        """What the first character can be; everything when that is not plain."""
        op, given = items[0]
        if op is _constants.SUBPATTERN:
            inner = list(given[3])
            return self._head(inner) if inner else _ALL
        if op is _constants.BRANCH:
            found = 0
            for branch in given[1]:
                found |= self._head(list(branch)) if len(branch) else _ALL
            return found
        if op in _REPEATS and given[0]:
            inner = list(given[2])
            return self._head(inner) if inner else _ALL
        return self._chars(op, given) or _ALL

    def sequence(self, items: list[Any], active: list[_Repeat]) -> list[_Repeat]:
        """active: the repeats before, which may give characters back; gives those behind it. Raises BadPattern."""
        for op, given in items:
            if op in _REPEATS:
                active = self._repeat(op, given, active)
            elif op is _constants.SUBPATTERN:
                active = self.sequence(list(given[3]), active)
            elif op is _constants.ATOMIC_GROUP:
                self.sequence(list(given), active)
                active = self._past(list(given), active)
            elif op is _constants.BRANCH:
                active = self._branches([list(branch) for branch in given[1]], active)
            elif op in (_constants.ASSERT, _constants.ASSERT_NOT):
                lead = self._lead
                self.sequence(list(given[1]), list(active))
                self._lead = lead
            elif op in (_constants.GROUPREF, _constants.GROUPREF_EXISTS, _constants.GROUPREF_IGNORE):
                raise BadPattern("it refers back to what it has found (\\1), which is not supported")
            elif op is not _constants.AT:
                active = _without(active, self._chars(op, given))
                self._lead += 1
        return active

    def _past(self, items: list[Any], active: list[_Repeat]) -> list[_Repeat]:
        """Behind what gives nothing back."""
        for item in items:
            chars, least, _ = self._measure([item])
            if least:
                active = _without(active, chars)
        return active

    def _branches(self, branches: list[list[Any]], active: list[_Repeat]) -> list[_Repeat]:
        found: dict[_Repeat, None] = {}
        before, leads = self._lead, []
        for branch in branches:
            self._lead = before
            found.update(dict.fromkeys(self.sequence(branch, active)))
            leads.append(self._lead)
        self._lead = min(leads)
        return list(found)

    def _repeat(self, op: Any, given: Any, active: list[_Repeat]) -> list[_Repeat]:
        least, most, body = given[0], min(int(given[1]), self._size), list(given[2])
        chars, length, wide = self._measure(body)
        if most <= 1:
            return self.sequence(body, active) if least else self._branches([body, []], active)
        final = op is _constants.POSSESSIVE_REPEAT
        lead = self._lead
        if wide and not final:
            if most > _UNROLLED:
                self._nested(body)
            inner = active
            for _ in range(min(most, _UNROLLED)):
                inner = self.sequence(body, inner)
        elif wide:
            self.sequence(body, active)
        self._lead = lead + least * length
        if least == most:
            return _without(active, chars) if length else active
        one = _Repeat(chars, min(most * max(length, 1), self._size), lead)
        self._cost(active, one)
        if least and length:
            active = _without(active, chars)
        return active if final else [*active, one]

    def _nested(self, body: list[Any]) -> None:
        """A repeat within a repeat is safe when each turn needs a character that the inner one cannot take."""
        needed = [self._measure([item]) for item in body]
        for chars in self._inner(body):
            if not any(least and not (other & chars) for other, least, _ in self._flat(body, needed)):
                raise BadPattern(
                    "it can take for ever: a repeat within a repeat can take the same characters in many ways. Let each"
                    " turn end in a character of its own, or write ++ and *+, which give nothing back"
                )

    def _flat(self, body: list[Any], measured: list[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
        """What must be there at each turn, groups opened."""
        found = list(measured)
        for op, given in body:
            if op is _constants.SUBPATTERN:
                inner = list(given[3])
                found += self._flat(inner, [self._measure([item]) for item in inner])
        return found

    def _inner(self, items: list[Any]) -> list[int]:
        """What repeats in it, or ways through it that begin alike, can take."""
        found: list[int] = []
        for op, given in items:
            if op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
                if given[0] != given[1]:
                    found.append(self._measure(list(given[2]))[0])
                found += self._inner(list(given[2]))
            elif op is _constants.SUBPATTERN:
                found += self._inner(list(given[3]))
            elif op is _constants.BRANCH:
                branches = [list(branch) for branch in given[1]]
                for place, branch in enumerate(branches):
                    if any(self._alike(branch, other) for other in branches[place + 1 :]):
                        found.append(self._measure([(op, given)])[0])
                    found += self._inner(branch)
        return found

    def _alike(self, one: list[Any], other: list[Any]) -> bool:
        """Could both ways take the same characters? Not when they differ in one that both must have."""
        for mine, theirs in zip(one, other, strict=False):
            if mine[0] not in _SINGLE or theirs[0] not in _SINGLE:
                return bool(self._head([mine]) & self._head([theirs]))
            if not self._chars(*mine) & self._chars(*theirs):
                return False
        return True

    def _cost(self, active: list[_Repeat], one: _Repeat) -> None:
        chain = [other for other in active if other.chars & one.chars] + [one]
        rest = prod(other.most for other in chain[1:])
        if self._anchored or not chain[0].chars & self._first:
            self.steps = max(self.steps, self._size * rest)
        else:  # each place where it can begin may take what lies before the next such place
            self.steps = max(self.steps, (self._size // max(chain[0].lead, 1) + 1) * chain[0].most * rest)

    def _measure(self, items: list[Any]) -> tuple[int, int, bool]:
        """What characters it can take, how many at least, and does it hold a choice of how many or of which way."""
        chars = least = 0
        wide = False
        for op, given in items:
            if op in _REPEATS:
                inner, length, _ = self._measure(list(given[2]))
                chars, least = chars | inner, least + length * int(given[0])
                wide = wide or (given[0] != given[1] and op is not _constants.POSSESSIVE_REPEAT)
                wide = wide or self._measure(list(given[2]))[2]
            elif op is _constants.SUBPATTERN or op is _constants.ATOMIC_GROUP:
                inner, length, other = self._measure(list(given[3] if op is _constants.SUBPATTERN else given))
                chars, least = chars | inner, least + length
                wide = wide or (other and op is _constants.SUBPATTERN)
            elif op is _constants.BRANCH:
                found = [self._measure(list(branch)) for branch in given[1]]
                for inner, _, _ in found:
                    chars |= inner
                least += min(length for _, length, _ in found)
                wide = True
            elif op not in _WITHOUT:
                chars, least = chars | self._chars(op, given), least + 1
        return chars, least, wide

    def _chars(self, op: Any, given: Any) -> int:
        """A bit for each character that one item takes."""
        if op is _constants.LITERAL:
            found = _bit(given)
        elif op is _constants.NOT_LITERAL:
            return _ALL ^ _bit(given) | _OTHERS
        elif op is _constants.ANY:
            return _ALL if self._dotall else _ALL ^ _NEWLINE
        elif op is _constants.IN:
            return self._class(given)
        elif op is _constants.CATEGORY:
            found = _category(str(given))
        elif op is _constants.RANGE:
            found = _range(*given)
        else:
            return _ALL
        return _folded(found) if self._fold else found

    def _class(self, items: list[Any]) -> int:
        found = 0
        negated = items[0][0] is _constants.NEGATE
        for op, given in items[1:] if negated else items:
            found |= self._chars(op, given)
        if not negated:
            return found
        return (_ALL & ~found) | _OTHERS


_REPEATS: Final = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_SINGLE: Final = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN)
_WITHOUT: Final = (_constants.AT, _constants.ASSERT, _constants.ASSERT_NOT)


def _without(active: list[_Repeat], chars: int) -> list[_Repeat]:
    """Those that could have taken a character of these as well."""
    return [one for one in active if one.chars & chars]


def _bit(code: int) -> int:
    return 1 << code if code < 256 else _OTHERS


def _range(first: int, last: int) -> int:
    low = ((1 << (min(last, 255) + 1)) - 1) & ~((1 << first) - 1) if first < 256 else 0
    return low | (_OTHERS if last > 255 else 0)


def _folded(chars: int) -> int:
    found = chars
    for code in range(256):
        if chars >> code & 1:
            for other in (chr(code).lower(), chr(code).upper()):
                found |= _bit(ord(other)) if len(other) == 1 else _OTHERS
    return found


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


_TESTS: Final[dict[str, Callable[[str], bool]]] = {"DIGIT": str.isdigit, "SPACE": str.isspace, "WORD": _is_word}


@lru_cache(maxsize=32)
def _category(name: str) -> int:
    """All of them hold characters above U+00FF."""
    test = _TESTS.get(name.rpartition("_")[2])
    if test is None:
        return _ALL
    found = sum(1 << code for code in range(256) if test(chr(code)))
    return ((_ALL & ~found) if "_NOT_" in name else found) | _OTHERS
