"""Searching headers and sent dates in traits: the folded texts of a block are searched at once, without decoding.

What traits do not hold is looked for in ENVELOPEs, and so are few messages, which are quicker read than looked up.
Owns: what was found during one search.
On failure: StoreUnavailable. Damaged traits are forgotten, and the ENVELOPE is asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Iterator, Sequence, Set
from itertools import compress
from typing import Final

from postroom.mailbox.slices import Breathing
from postroom.mailbox.trait_keeper import complete
from postroom.mailbox.traits import DAY, NO_DAY, THREAD, TOO_LONG, DamagedTraits, numbers_of, text_column
from postroom.message.search import fold
from postroom.store.api import BLOCK, AccountStore, TraitRow, block_of
from postroom.store.api.traits import TEXTS

#: message ids to whether each matches
Look = Callable[[Sequence[int]], Awaitable[Sequence[bool]]]

#: messages that are looked at before traits are asked
_FEW: Final = 24


class TraitSearch:
    """What one search knows from traits."""

    __slots__ = ("_complete", "_pace", "_store")

    def __init__(self, store: AccountStore, pace: Breathing) -> None:
        self._store = store
        self._pace = pace
        self._complete = False

    def text(self, place: int, wanted: str, otherwise: Look) -> Look:
        """A test: does the text at `place` (see traits) hold what is wanted, which is not empty?"""
        needle = fold(wanted).encode("utf-8", "replace")

        def read(row: TraitRow) -> tuple[Iterator[int], Iterator[int]]:
            column = text_column(row.texts, place, TEXTS)
            return _lines_with(needle, column, row.first), _lines_equal(TOO_LONG, column, row.first)

        return self._test(read, otherwise, texts=True)

    def day(self, holds: Callable[[int], bool], otherwise: Look) -> Look:
        """A test of the day of the Date field; without one that can be read nothing matches."""

        def read(row: TraitRow) -> tuple[Iterator[int], Iterator[int]]:
            days = numbers_of(row, DAY)
            hits = [day != NO_DAY and holds(day) for day in days]
            return compress(range(row.first, row.first + row.count), hits), iter(())

        return self._test(read, otherwise, texts=False)

    def thread(self, number: int) -> Look:
        """A test: is the message in this thread? All messages have one, which is decided when it is asked for."""

        def read(row: TraitRow) -> tuple[Iterator[int], Iterator[int]]:
            hits = map(number.__eq__, numbers_of(row, THREAD))
            return compress(range(row.first, row.first + row.count), hits), iter(())

        async def nowhere(messages: Sequence[int]) -> Sequence[bool]:
            return [False] * len(messages)

        return self._test(read, nowhere, texts=False, few=0)

    def _test(
        self,
        read: Callable[[TraitRow], tuple[Iterator[int], Iterator[int]]],
        otherwise: Look,
        *,
        texts: bool,
        few: int = _FEW,
    ) -> Look:
        """read: the messages of a row that match, and those of which it cannot tell."""
        hits: set[int] = set()
        doubtful: set[int] = set()
        ends: dict[int, int] = {}  # block to the first message without traits

        async def look(messages: Sequence[int]) -> Sequence[bool]:
            nonlocal few
            few -= len(messages)
            if few >= 0:
                return await otherwise(messages)
            new = _blocks(messages) - ends.keys()
            if new:
                await self._prepare()
                try:
                    for row in await self._store.traits.rows(array("Q", sorted(new)), texts=texts):
                        matching, unclear = read(row)
                        hits.update(matching)
                        doubtful.update(unclear)
                        ends[block_of(row.first)] = row.first + row.count
                except DamagedTraits:
                    await self._store.traits.forget()
                for block in new:
                    ends.setdefault(block, block)
            return await self._decided(messages, hits, doubtful, ends, otherwise)

        return look

    async def _prepare(self) -> None:
        if not self._complete:
            self._complete = True
            await complete(self._store, self._pace)

    async def _decided(
        self, messages: Sequence[int], hits: Set[int], doubtful: Set[int], ends: dict[int, int], otherwise: Look
    ) -> Sequence[bool]:
        found = list(map(hits.__contains__, messages))
        last = max(messages, default=0)
        if doubtful or last >= ends[block_of(last)]:
            asked = [message for message in messages if message in doubtful or message >= ends[block_of(message)]]
            truth = dict(zip(asked, await otherwise(asked), strict=True)) if asked else {}
            return [truth.get(message, hit) for message, hit in zip(messages, found, strict=True)]
        return found


def _blocks(messages: Sequence[int]) -> set[int]:
    """The blocks that messages are in."""
    first, last = block_of(min(messages)), block_of(max(messages))
    if last - first <= BLOCK:
        return {first, last}
    return {number * BLOCK + 1 for number in {(message - 1) // BLOCK for message in messages}}


def _lines_with(needle: bytes, column: bytes, first: int) -> Iterator[int]:
    """Which values hold the octets, counted from `first`."""
    at = column.find(needle)
    counted, line = 0, first
    while at >= 0:
        line += column.count(b"\0", counted, at)
        yield line
        counted = column.find(b"\0", at)
        if counted < 0:
            return
        at = column.find(needle, counted)


def _lines_equal(value: bytes, column: bytes, first: int) -> Iterator[int]:
    if value not in column:
        return
    for line, each in enumerate(column.split(b"\0"), first):
        if each == value:
            yield line
