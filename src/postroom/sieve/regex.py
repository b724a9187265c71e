"""Regular expressions whose time grows with the text and not with its cleverness.

All ways through an expression are followed side by side, so there is nothing to go back to. Whether there is a match
is decided by states that are worked out once and remembered; where its groups lie is looked for only in text that
matches. The leftmost match counts, and of these the longest.
Standards: draft-ietf-sieve-regex.
On failure: BadRegex when an expression is made. Searching never fails; its cost goes to `spend`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from postroom.sieve.regex_syntax import ASSERT, CHAR, JUMP, MATCH, SAVE, SPLIT, BadRegex, assemble, is_word

__all__ = ["BadRegex", "Regex"]

_MOST_STATES: Final = 500
#: what stands before and behind a place: nothing, part of a word, something else
_EDGE, _WORD, _OTHER = range(3)

Span = tuple[int, int]
Spend = Callable[[int], None]


class _State:
    """places: of instructions, before anything that takes no character was followed; before: what stands before.

    known: by the next character ("" at the end): is there a match now, and the state behind the character.
    """

    __slots__ = ("before", "known", "places")

    def __init__(self, places: tuple[int, ...], before: int) -> None:
        self.places = places
        self.before = before
        self.known: dict[str, tuple[bool, _State | None]] = {}


class Regex:
    """One expression. fold: what the texts it is used on have been through."""

    __slots__ = ("_code", "_groups", "_states")

    def __init__(self, pattern: str, fold: Callable[[str], str]) -> None:
        """Raises BadRegex."""
        self._code, self._groups = assemble(pattern, fold)
        self._states: dict[tuple[tuple[int, ...], int], _State] = {}

    def search(self, text: str, spend: Spend, *, captures: bool) -> list[Span] | None:
        """None when nothing in the text matches. With captures: the places of the match and of each group.

        A group that took no part lies at (0, 0). spend is given the cost, and may raise.
        """
        if not self._found(text, spend):
            return None
        return self._places(text, spend) if captures else [(0, 0)]

    def _found(self, text: str, spend: Spend) -> bool:
        spend(1 + (len(text) >> 3))
        state: _State | None = self._state((0,), _EDGE)
        for character in text:
            assert state is not None
            known = state.known.get(character)
            if known is None:
                known = self._follow(state, character, spend)
            if known[0]:
                return True
            state = known[1]
        assert state is not None
        known = state.known.get("")
        return (known or self._follow(state, "", spend))[0]

    def _state(self, places: tuple[int, ...], before: int) -> _State:
        key = places, before
        found = self._states.get(key)
        if found is None:
            if len(self._states) >= _MOST_STATES:
                self._states.clear()
            found = self._states[key] = _State(places, before)
        return found

    def _follow(self, state: _State, character: str, spend: Spend) -> tuple[bool, _State | None]:
        """Work out what a character leads to; a match may begin at every place."""
        reached, matched = self._closure(state.places, state.before, _kind(character))
        spend(2 + (len(reached) >> 1))
        if matched or not character:
            known: tuple[bool, _State | None] = matched, None
        else:
            after = {0}
            for place in reached:
                step = self._code[place]
                if step.test is not None and step.test(character):
                    after.add(step.to)
            known = False, self._state(tuple(sorted(after)), _kind(character))
        state.known[character] = known
        return known

    def _closure(self, places: Sequence[int], before: int, behind: int) -> tuple[list[int], bool]:
        """The CHAR instructions that are reached from places without a character, and whether the end is."""
        code = self._code
        seen: set[int] = set()
        waiting = list(places)
        reached: list[int] = []
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            step = code[place]
            if step.kind == CHAR:
                reached.append(place)
            elif step.kind == MATCH:
                return reached, True
            elif step.kind == SPLIT:
                waiting += (step.to, step.other)
            elif step.kind != ASSERT or _holds(step.name, before, behind):
                waiting.append(step.to)
        return reached, False

    def _places(self, text: str, spend: Spend) -> list[Span]:
        """Follow all ways at once, each with what it has captured; an earlier way wins over a later one."""
        slots = 2 * self._groups + 2
        best: tuple[int, ...] = ()
        threads: list[tuple[int, tuple[int, ...]]] = []
        before = _EDGE
        for at in range(len(text) + 1):
            character = text[at] if at < len(text) else ""
            if not best:
                threads.append((0, (at,) + (-1,) * (slots - 1)))
            if not threads:
                break
            alive, matches = self._spread(threads, at, before, _kind(character))
            spend(1 + len(alive) + len(threads))
            for found in matches:
                if not best or found[0] < best[0] or (found[0] == best[0] and at > best[1]):
                    best = (found[0], at, *found[2:])
            threads = []
            taken: set[int] = set()
            for place, captured in alive:
                step = self._code[place]
                if not character or step.to in taken or (best and captured[0] > best[0]):
                    continue
                if step.test is not None and step.test(character):
                    taken.add(step.to)
                    threads.append((step.to, captured))
            before = _kind(character)
        return [(max(best[n], 0), max(best[n + 1], 0)) for n in range(0, slots, 2)]

    def _spread(
        self, threads: Sequence[tuple[int, tuple[int, ...]]], at: int, before: int, behind: int
    ) -> tuple[list[tuple[int, tuple[int, ...]]], list[tuple[int, ...]]]:
        """The threads that wait for a character, in order, and what those that are at the end have captured."""
        code = self._code
        seen: set[int] = set()
        alive: list[tuple[int, tuple[int, ...]]] = []
        matches: list[tuple[int, ...]] = []
        waiting = list(reversed(threads))
        while waiting:
            place, captured = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            step = code[place]
            if step.kind == CHAR:
                alive.append((place, captured))
            elif step.kind == MATCH:
                matches.append(captured)
            elif step.kind == SPLIT:
                waiting += ((step.other, captured), (step.to, captured))
            elif step.kind == SAVE:
                waiting.append((step.to, (*captured[: step.number], at, *captured[step.number + 1 :])))
            elif step.kind == JUMP or _holds(step.name, before, behind):
                waiting.append((step.to, captured))
        return alive, matches


def _kind(character: str) -> int:
    if not character:
        return _EDGE
    return _WORD if is_word(character) else _OTHER


def _holds(name: str, before: int, behind: int) -> bool:
    """Does an assertion hold between these two."""
    if name == "^":
        return before == _EDGE
    if name == "$":
        return behind == _EDGE
    starts = before != _WORD and behind == _WORD
    ends = before == _WORD and behind != _WORD
    if name == "begin":
        return starts
    if name == "end":
        return ends
    return (starts or ends) == (name == "boundary")
