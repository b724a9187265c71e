"""Finding lives among the events of all days and writers: choose blocks by their keys, then look into few of them.

First the newest blocks that have the word, until there are lives enough; then everything else of these lives, from
all days. Each file is read in one transaction, so that blocks that are joined meanwhile neither come twice nor go.
On failure: a file or block that cannot be read is left out.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Mapping, Set
from datetime import UTC, datetime

import apsw

from postroom.store.api.events import EventQuery, Life, key, keys_of
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.events_block import Events, number
from postroom.store.embedded.events_file import EventsReader, Hit
from postroom.values.told import Told

_DAY = 86400.0
_LATE = 60.0  # an event may be written a little after the day it belongs to
_BLOCKS = 200  # opened blocks that are kept: 30 MB


def _meant(told: Told, query: EventQuery, word: str) -> bool:
    if not query.since <= told.time <= query.until or not (told.id or query.alone):
        return False
    return not word or word in keys_of(told.name, told.fields)


class Search:
    """One search over files that belong to it until `close`. days: paths by day, the newest day first."""

    def __init__(self, days: Mapping[str, list[str]], options: OpenOptions) -> None:
        self._days = days
        self._options = options
        self._readers: dict[str, EventsReader] = {}
        self._decoded: dict[tuple[str, int], Events] = {}

    def close(self) -> None:
        """Close what was opened."""
        for reader in self._readers.values():
            with contextlib.suppress(apsw.Error):
                reader.close()
        self._readers.clear()

    def lives(self, query: EventQuery) -> list[Life]:
        """The newest lives that the query means."""
        newest, alone = self._newest(query)
        found = [Life("", (told,)) for told in alone]
        if newest:
            found += [Life(name, tuple(events)) for name, events in self._whole(newest).items()]
        found.sort(key=lambda life: life.events[-1].time, reverse=True)
        return found[: query.limit]

    def _newest(self, query: EventQuery) -> tuple[set[str], list[Told]]:
        """Ids of the newest lives with the word; and events with it that belong to no life."""
        word = key(query.word)
        numbers = frozenset((number(word),)) if word else frozenset()
        times: dict[str, float] = {}
        alone: list[Told] = []
        for hits in self._by_day(numbers, query.since, query.until):
            for hit in hits:
                if hit.last < self._cut(times, alone, query.limit):
                    break
                for told in self._events(hit, word):
                    if not _meant(told, query, word):
                        continue
                    if told.id:
                        times[told.id] = max(told.time, times.get(told.id, 0.0))
                    else:
                        alone.append(told)
            if len(times) + len(alone) >= query.limit:
                break
        cut = self._cut(times, alone, query.limit)
        return {name for name, time in times.items() if time >= cut}, [told for told in alone if told.time >= cut]

    @staticmethod
    def _cut(times: dict[str, float], alone: list[Told], limit: int) -> float:
        """The time before which nothing is wanted any more."""
        if len(times) + len(alone) < limit:
            return 0.0
        return heapq.nlargest(limit, [*times.values(), *(told.time for told in alone)])[-1]

    def _whole(self, names: Set[str]) -> dict[str, list[Told]]:
        """All events of these lives, in order."""
        found: dict[str, list[Told]] = {name: [] for name in names}
        numbers = {number(key(name)): name for name in names}
        for hits in self._by_day(frozenset(numbers), 0.0, 1e18):
            for hit in hits:
                for one in hit.numbers:
                    name = numbers[one]
                    found[name] += [told for told in self._events(hit, name) if told.id == name]
        for events in found.values():
            events.sort(key=lambda told: told.time)
        return {name: events for name, events in found.items() if events}

    def blocks(self, since: float, until: float) -> Iterator[Hit]:
        """Every block with events between the times."""
        for hits in self._by_day(frozenset(), since, until):
            yield from hits

    def containing(self, hit: Hit, word: str) -> list[Told]:
        """The block's events in which the word stands, and perhaps others; not remembered."""
        try:
            return list(self._reader(hit.path).events(hit).containing(word))
        except (apsw.Error, ValueError):
            return []

    def _by_day(self, numbers: frozenset[int], since: float, until: float) -> Iterator[list[Hit]]:
        """The blocks that may have one of the numbers, by day, the newest first."""
        for day, paths in self._days.items():
            start = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
            if start + _DAY + _LATE < since or start - _LATE > until:
                continue
            hits: list[Hit] = []
            for path in paths:
                with contextlib.suppress(apsw.Error):
                    hits += self._reader(path).choose(numbers, since, until)
            hits.sort(key=lambda hit: hit.last, reverse=True)
            yield hits

    def _reader(self, path: str) -> EventsReader:
        reader = self._readers.get(path)
        if reader is None:
            reader = self._readers[path] = EventsReader(path, self._options)
        return reader

    def _events(self, hit: Hit, word: str) -> list[Told]:
        """Events of the block that contain the word, and perhaps others; none of a block that is damaged."""
        place = hit.path, hit.id
        try:
            events = self._decoded.get(place)
            if events is None:
                events = self._reader(hit.path).events(hit)
                if len(self._decoded) < _BLOCKS:
                    self._decoded[place] = events
            return list(events.containing(word))
        except (apsw.Error, ValueError):
            return []


class Stream:
    """All events between two times, block by block, for whoever wants everything. May move between threads."""

    def __init__(self, days: Mapping[str, list[str]], options: OpenOptions, times: tuple[float, float]) -> None:
        """times: since, and until, which does not belong to it."""
        self._search = Search(days, options)
        self._times = times
        self._hits = self._search.blocks(*times)

    def next(self, name: str) -> list[Told] | None:
        """The events of this name in the next block; None after the last block."""
        hit = next(self._hits, None)
        if hit is None:
            return None
        since, until = self._times
        events = self._search.containing(hit, name)
        return [told for told in events if told.name == name and since <= told.time < until]

    def close(self) -> None:
        """Close what was opened."""
        self._search.close()
