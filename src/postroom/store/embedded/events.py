"""The events of one process: collected on the event loop, written by a thread once a second, a file for each day.

Owns: data/events. Each writer has files of its own, so nobody waits for another's lock; commands share one.
`add` only appends to a list; everything else is done by the committer's thread for up to 500 events at a time.
Events give way to mail: when the disk has less than 200 MiB left, or the thread is far behind, they are dropped.
On failure: what could not be written is counted and told to `lost` once a minute; nothing is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from postroom.store.api.errors import StoreUnavailable
from postroom.store.api.events import EventQuery, Life
from postroom.store.embedded.committer import Committer
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.events_block import Waiting
from postroom.store.embedded.events_file import EventsFile, EventsUnit
from postroom.store.embedded.events_search import Search, Stream
from postroom.store.embedded.layout import Layout
from postroom.values.clock import Clock
from postroom.values.told import Told

FLUSH_SECONDS: Final = 1.0
MOST_WAITING: Final = 500
_MOST_BEHIND: Final = 20  # flushes under way: 10,000 events
_LEAST_FREE: Final = 200 * 1024 * 1024
_TELL_SECONDS: Final = 60.0

#: told that so many events were lost, and why
Lost = Callable[[int, str], None]


class EmbeddedEvents:
    """See postroom.store.api.EventStore."""

    def __init__(self, layout: Layout, slot: int | None, options: OpenOptions, clock: Clock) -> None:
        self._layout = layout
        self._writer = "command" if slot is None else str(slot)
        self._options = options
        self._clock = clock
        self._committer = Committer("postroom-events")
        self._waiting: list[Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self._behind: set[asyncio.Future[int]] = set()
        self._file: EventsFile | None = None
        self._day = ""
        self._lost = 0
        self._told = -_TELL_SECONDS
        self.lost: Lost | None = None

    def add(self, time: float, name: str, fields: Mapping[str, Any]) -> None:
        waiting = self._waiting
        waiting.append((time, name, fields))
        if len(waiting) == 1:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._hand_over)
        elif len(waiting) >= MOST_WAITING:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give what waits to the thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        if len(self._behind) >= _MOST_BEHIND:
            self._count_lost(len(waiting), "the disk is too slow for them")
            return

        def work(unit: EventsUnit) -> Callable[[], int]:
            if _free(self._layout.events) < _LEAST_FREE:
                raise StoreUnavailable("the disk is nearly full")
            unit.add(waiting)
            return lambda: len(waiting)

        try:
            future = self._committer.submit(self._today(), work)
        except StoreUnavailable as fault:
            self._count_lost(len(waiting), str(fault))
            return
        self._behind.add(future)
        future.add_done_callback(lambda done: self._written(done, len(waiting)))

    def _today(self) -> EventsFile:
        """The file of this day; yesterday's is closed after what is under way."""
        day = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%d")
        if self._file is None or day != self._day:
            if self._file is not None:
                self._committer.run_between(self._file.close)
            self._file, self._day = EventsFile(self._layout.events_file(day, self._writer), self._options), day
        return self._file

    def _written(self, done: asyncio.Future[int], count: int) -> None:
        self._behind.discard(done)
        fault = None if done.cancelled() else done.exception()
        if fault is not None:
            self._count_lost(count, str(fault))

    def _count_lost(self, count: int, reason: str) -> None:
        self._lost += count
        now = self._clock.monotonic()
        if self.lost is not None and now - self._told >= _TELL_SECONDS:
            self._told = now
            lost, self._lost = self._lost, 0
            self.lost(lost, reason)

    async def flush(self) -> None:
        self._hand_over()
        for future in list(self._behind):
            await asyncio.shield(future)

    async def find(self, query: EventQuery) -> list[Life]:
        return await asyncio.to_thread(self._find, query)

    def _find(self, query: EventQuery) -> list[Life]:
        search = Search(self._layout.events_days(), self._options)
        try:
            return search.lives(query)
        finally:
            search.close()

    async def told(self, name: str, since: float, until: float) -> AsyncIterator[list[Told]]:
        stream = await asyncio.to_thread(Stream, self._layout.events_days(), self._options, (since, until))
        try:
            while (found := await asyncio.to_thread(stream.next, name)) is not None:
                if found:
                    yield found
        finally:
            await asyncio.to_thread(stream.close)

    async def sweep(self, before: float) -> int:
        last = datetime.fromtimestamp(max(before, 0.0), UTC).strftime("%Y-%m-%d")
        old = [path for day, paths in self._layout.events_days().items() if day < last for path in paths]
        for path in old:
            for suffix in ("", "-wal", "-shm", ".damaged", ".damaged-wal", ".damaged-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path + suffix)
        return len(old)

    async def close(self) -> None:
        """Write what waits and close the file."""
        with contextlib.suppress(StoreUnavailable):
            await self.flush()
        await self._committer.close()
        if self._file is not None:
            self._file.close()
            self._file = None


def _free(folder: str) -> int:
    """Octets of the disk that are free for us."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
