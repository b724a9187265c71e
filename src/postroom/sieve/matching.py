"""Match types: does any of these values match any of these keys.

Standards: RFC 5228 2.7.1 (:is, :contains, :matches), RFC 5231 4 (:count, :value), RFC 5229 3.2 (match variables),
draft-ietf-sieve-regex (:regex).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from postroom.sieve.comparators import COMPARATORS, DEFAULT, Comparator
from postroom.sieve.extensions import FREE_COMPARATORS
from postroom.sieve.faults import ScriptError
from postroom.sieve.regex import BadRegex, Regex
from postroom.sieve.run import PER_UNIT_SHIFT
from postroom.sieve.texts import Texts, constant, get_all
from postroom.sieve.wildcards import Span, Wildcards
from postroom.sieve.words import Call

if TYPE_CHECKING:
    from postroom.sieve.run import Run

#: does any of the values match
Matcher: TypeAlias = "Callable[[Run, Sequence[str]], bool]"

_RELATIONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}
_TYPES: Final = ("contains", "matches", "regex", "count", "value")


def counting(call: Call) -> bool:
    """Does the call count its values instead of reading them."""
    return call.has("count")


class Keys:
    """What values are held against. fixed: when no variable is in it; split: keys are lists of words (RFC 5232 2)."""

    __slots__ = ("_split", "_texts", "fixed")

    def __init__(self, texts: Texts, split: bool) -> None:
        self._texts = texts
        self._split = split
        fixed = constant(texts)
        self.fixed = None if fixed is None else self._words(fixed)

    def now(self, run: Run) -> Sequence[str]:
        """As they are now."""
        return self.fixed if self.fixed is not None else self._words(get_all(self._texts, run))

    def _words(self, texts: Sequence[str]) -> tuple[str, ...]:
        if self._split:
            return tuple(word for text in texts for word in text.split())
        return tuple(texts)


def matcher(call: Call, number: int, *, split: bool = False, remember: bool = True) -> Matcher:
    """The match of a call with the keys in its argument of this number.

    split: they are lists of words; remember: what wildcards stood for is kept in the match variables.
    """
    comparator = comparator_of(call)
    texts = call.texts(number)
    keys = Keys(texts, split)
    remember = remember and call.scope.allows("variables")
    kind = next((tag for tag in _TYPES if call.has(tag)), "is")
    if kind in ("contains", "matches", "regex") and not comparator.substrings:
        call.fault(f"{comparator.name} cannot be used with :{kind}", "use :is, :value or :count", call.place_of(kind))
    if kind in ("count", "value"):
        return _relational(call, kind, keys, comparator)
    if kind == "regex":
        _check_patterns(call, texts, number, comparator)
        return _regex(keys, comparator, remember)
    if kind == "matches":
        return _matches(keys, comparator, remember)
    return _contains(keys, comparator) if kind == "contains" else _is(keys, comparator)


def comparator_of(call: Call) -> Comparator:
    """RFC 5228 2.7.3."""
    at = call.place_of("comparator")
    name = call.constant(call.tag_text("comparator"), "the name of a comparator", at)
    if name is None:
        return DEFAULT
    found = COMPARATORS.get(name)
    if found is None:
        call.fault(f'there is no comparator "{name[:60]}"', f"there are {', '.join(COMPARATORS)}", at)
        return DEFAULT
    if name not in FREE_COMPARATORS and not call.scope.allows(f"comparator-{name}"):
        call.fault(f'the comparator "{name}" is not required', f'add "comparator-{name}" to require', at)
    return found


def _charge(run: Run, values: Sequence[str], keys: int) -> None:
    for value in values:
        run.spend(1 + (len(value) * keys >> PER_UNIT_SHIFT))


def _is(keys: Keys, comparator: Comparator) -> Matcher:
    fold = comparator.fold
    fixed = keys.fixed
    if fixed is not None:
        wanted = frozenset(map(fold, fixed))

        def fixed_keys(run: Run, values: Sequence[str]) -> bool:
            for value in values:
                run.fuel -= 1 + (len(value) >> PER_UNIT_SHIFT)
                if run.fuel < run.look_at:
                    run.look()
                if fold(value) in wanted:
                    return True
            return False

        return fixed_keys

    def moving_keys(run: Run, values: Sequence[str]) -> bool:
        _charge(run, values, 1)
        now = {fold(key) for key in keys.now(run)}
        return any(fold(value) in now for value in values)

    return moving_keys


def _contains(keys: Keys, comparator: Comparator) -> Matcher:
    fold = comparator.fold
    fixed = keys.fixed
    folded = None if fixed is None else tuple(map(fold, fixed))

    def contains(run: Run, values: Sequence[str]) -> bool:
        wanted = folded if folded is not None else [fold(key) for key in keys.now(run)]
        for value in values:
            run.fuel -= 1 + (len(value) * len(wanted) >> PER_UNIT_SHIFT)
            if run.fuel < run.look_at:
                run.look()
            text = fold(value)
            for key in wanted:
                if key in text:
                    return True
        return False

    return contains


@lru_cache(maxsize=512)
def _wildcards(pattern: str) -> Wildcards:
    return Wildcards(pattern)


def _matches(keys: Keys, comparator: Comparator, remembered: bool) -> Matcher:
    fold = comparator.fold
    fixed = keys.fixed
    folded = None if fixed is None else tuple(Wildcards(fold(key)) for key in fixed)

    def matches(run: Run, values: Sequence[str]) -> bool:
        patterns = folded if folded is not None else [_wildcards(fold(key)) for key in keys.now(run)]
        _charge(run, values, 4 * len(patterns))
        for value in values:
            text = fold(value)
            for pattern in patterns:
                spans = pattern.match(text)
                if spans is not None:
                    if remembered:
                        run.matches = _captured(value, text, spans, comparator)
                    return True
        return False

    return matches


def _captured(value: str, folded: str, spans: Sequence[Span], comparator: Comparator) -> tuple[str, ...]:
    """RFC 5229 3.2: the whole, and what each wildcard stood for, as it was before it was folded."""
    if comparator.each is None or len(folded) == len(value):
        return (value, *[value[start:end] for start, end in spans])
    places: list[int] = []  # of each folded character in the value
    for place, character in enumerate(value):
        places += [place] * len(comparator.each(character))
    places.append(len(value))
    return (value, *[value[places[start] : places[end]] for start, end in spans])


def _relational(call: Call, kind: str, keys: Keys, comparator: Comparator) -> Matcher:
    at = call.place_of(kind)
    name = (call.constant(call.tag_text(kind), f"the relation of :{kind}", at) or "").lower()
    relation = _RELATIONS.get(name)
    if relation is None:
        call.fault(f'"{name[:20]}" is no relation', f"one of {', '.join(_RELATIONS)}", at)
        relation = operator.eq
    holds, order = relation, comparator.order

    def compare(run: Run, values: Sequence[str]) -> bool:
        wanted = [order(key) for key in keys.now(run)]
        _charge(run, values, len(wanted))
        return any(holds(order(value), key) for value in values for key in wanted)

    if kind == "value":
        return compare
    return lambda run, values: compare(run, (str(len(values)),))


def _check_patterns(call: Call, keys: Texts, number: int, comparator: Comparator) -> None:
    for place, key in enumerate(keys):
        if isinstance(key, str):
            try:
                _pattern(key, comparator.name)
            except BadRegex as fault:
                call.fault(f"this is no regular expression: {fault}", at=call.place(number, place))


@lru_cache(maxsize=256)
def _pattern(pattern: str, comparator: str) -> Regex:
    """Raises BadRegex."""
    return Regex(pattern, COMPARATORS[comparator].fold)


def _regex(keys: Keys, comparator: Comparator, remembered: bool) -> Matcher:
    fold, name = comparator.fold, comparator.name

    def regex(run: Run, values: Sequence[str]) -> bool:
        try:
            patterns = [_pattern(key, name) for key in keys.now(run)]
        except BadRegex as fault:
            raise ScriptError(f"this is no regular expression: {fault}") from None
        for value in values:
            text = fold(value)
            for pattern in patterns:
                spans = pattern.search(text, run.spend, captures=remembered)
                if spans is not None:
                    if remembered:
                        first = value[spans[0][0] : spans[0][1]] if len(text) == len(value) else ""
                        run.matches = (first, *_captured(value, text, spans[1:], comparator)[1:])
                    return True
        return False

    return regex
