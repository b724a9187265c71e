"""Work in slices: generators that yield now and then, so that whoever drives them can let others have their turn.

Owns nothing; pure. Sorting in slices gives what list.sort gives: equal values keep their order, also in reverse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

#: yields between slices of a few milliseconds
Slices = Generator[None, None, T]

#: values sorted at once
SLICE: Final = 16_384
#: sorted runs that are merged at once
_FAN: Final = 16
#: whole numbers below this are exact as floats
_EXACT: Final = 2.0**53


class Breathing(Protocol):
    """Gives others their turn when it is time (mailbox.search.Pace)."""

    async def breathe(self) -> None: ...


class EachTime:
    """Gives them their turn whenever it is asked."""

    __slots__ = ()

    async def breathe(self) -> None:
        """One turn of the loop."""
        await asyncio.sleep(0)


async def drive(slices: Slices[T], pace: Breathing) -> T:
    """Run to the end; gives the result."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: T = end.value
            return result
        await pace.breathe()


def sort_places(places: list[int], key: Callable[[int], Any], *, reverse: bool = False) -> Slices[None]:
    """Sort a list in place."""
    count = len(places)
    if count <= SLICE:
        places.sort(key=key, reverse=reverse)
        return
    for begin in range(0, count, SLICE):
        places[begin : begin + SLICE] = sorted(places[begin : begin + SLICE], key=key, reverse=reverse)
        yield
    width = SLICE
    while width < count:
        # runs in order, one behind the other: sorting sees them and merges
        for begin in range(0, count - width, _FAN * width):
            end = begin + _FAN * width
            places[begin:end] = sorted(places[begin:end], key=key, reverse=reverse)
            yield
        width *= _FAN


def sort_by_number(places: list[int], numbers: Sequence[int], *, reverse: bool = False) -> Slices[None]:
    """Sort a list of places in `numbers` (of 64 bits) by those, in place.

    As floats they are compared at half the price of large integers.
    """
    before = places[:]
    yield from sort_places(places, list(map(float, numbers)).__getitem__, reverse=reverse)
    if places and max(abs(numbers[places[0]]), abs(numbers[places[-1]])) >= _EXACT:
        places[:] = before
        yield from sort_places(places, numbers.__getitem__, reverse=reverse)
