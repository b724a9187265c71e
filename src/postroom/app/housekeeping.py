"""Work of one worker for all: dropping what was expunged long ago, and events of long ago.

Whoever holds the lock does it; when that worker dies another takes over at its next look.
On failure: told as an event, tried again at the next turn.
"""

from __future__ import annotations

import asyncio

from postroom.app.runfolder import SWEEPER_LOCK, RunFolder
from postroom.config import Retention
from postroom.observe.log import Events
from postroom.store.api import Store, StoreError
from postroom.values.clock import Clock, SystemClock

FIRST_SECONDS = 60.0
TURN_SECONDS = 3600.0
DAY = 86400.0


class Housekeeping:
    """A loop that runs while its worker does."""

    def __init__(
        self, store: Store, folder: RunFolder, retention: Retention, events: Events, clock: Clock | None = None
    ) -> None:
        self._store = store
        self._lock = folder.lock(SWEEPER_LOCK)
        self._keep = retention.expunged_days * DAY
        self._keep_events = retention.events_days * DAY
        self._events = events
        self._clock = clock or SystemClock()

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_SECONDS
        try:
            while True:
                await asyncio.sleep(pause)
                pause = TURN_SECONDS
                if self._lock.take():
                    await self.turn()
        finally:
            self._lock.release()

    async def turn(self) -> None:
        """Sweep once."""
        try:
            now = self._clock.now()
            gone = await self._store.sweep(now, self._keep)
            await self._store.events.sweep(now - self._keep_events)
        except StoreError as fault:
            self._events("sweep.failed", reason=str(fault))
        else:
            self._events("sweep.done", messages=gone)
