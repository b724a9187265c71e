"""Events in memory, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from postroom.store.api import EventQuery, Life
from postroom.store.api.events import key, keys_of
from postroom.values.told import Told

_DAY = 86400.0


class MemoryEvents:
    """See postroom.store.api.EventStore."""

    def __init__(self) -> None:
        self._told: list[Told] = []

    def add(self, time: float, name: str, fields: Mapping[str, Any]) -> None:
        self._told.append(Told(time, name, dict(fields)))

    async def flush(self) -> None:
        """Everything is there already."""

    async def find(self, query: EventQuery) -> list[Life]:
        word = key(query.word)
        newest: dict[object, float] = {}
        for place, told in enumerate(self._told):
            if query.since <= told.time <= query.until and (not word or word in keys_of(told.name, told.fields)):
                name = told.id or place
                if isinstance(name, int) and not query.alone:
                    continue
                newest[name] = max(told.time, newest.get(name, 0.0))
        names = sorted(newest, key=lambda name: newest[name], reverse=True)[: query.limit]
        lives = [self._life(name) for name in names]
        return sorted(lives, key=lambda life: life.events[-1].time, reverse=True)

    def _life(self, name: object) -> Life:
        if isinstance(name, int):
            return Life("", (self._told[name],))
        events = sorted((told for told in self._told if told.id == name), key=lambda told: told.time)
        return Life(str(name), tuple(events))

    async def told(self, name: str, since: float, until: float) -> AsyncIterator[list[Told]]:
        yield [one for one in self._told if one.name == name and since <= one.time < until]

    async def sweep(self, before: float) -> int:
        first = before // _DAY * _DAY
        kept = [told for told in self._told if told.time >= first]
        days = {told.time // _DAY for told in self._told if told.time < first}
        self._told = kept
        return len(days)
