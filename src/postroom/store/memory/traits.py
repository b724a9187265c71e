"""Traits in lists, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from postroom.store.api.account import NewMessage
from postroom.store.api.traits import BLOCK, TraitRow, TraitSource, block_of


class MemoryTraits:
    """See postroom.store.api.traits.TraitStore. messages: of the account, by id; next_message: the next id."""

    def __init__(self, messages: Mapping[int, tuple[NewMessage, bytes]], next_message: Callable[[], int]) -> None:
        self._messages = messages
        self._next_message = next_message
        self._rows: list[TraitRow] = []
        self._threads: dict[int, int] = {}

    async def sources(self, most: int) -> tuple[int, int, list[TraitSource]]:
        first = self._end()
        after = max(min(self._next_message(), first + most, block_of(first) + BLOCK), first)
        found = []
        for number in range(first, after):
            if number in self._messages:
                new, _ = self._messages[number]
                found.append(TraitSource(number, new.internaldate, new.envelope, new.references))
        return first, after, found

    def _end(self) -> int:
        return self._rows[-1].first + self._rows[-1].count if self._rows else 1

    async def keep(self, row: TraitRow, first: int, threads: Mapping[int, int]) -> bool:
        if first != self._end():
            return False
        self._rows = [*(old for old in self._rows if old.first < row.first), row]
        self._threads = {**threads, **self._threads}
        return True

    async def rows(self, messages: Sequence[int], *, keys: bool = False, texts: bool = False) -> list[TraitRow]:
        blocks = {block_of(message) for message in messages}
        without = {name: b"" for name, wanted in (("keys", keys), ("texts", texts)) if not wanted}
        return [structs.replace(row, **without) for row in self._rows if block_of(row.first) in blocks]

    async def threads_of(self, references: Sequence[int]) -> dict[int, int]:
        return {number: self._threads[number] for number in references if number in self._threads}

    async def forget(self) -> None:
        self._rows = []
