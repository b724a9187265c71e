"""What an administrator does to the queue: look, try again, hold, release, drop.

Owns: the meaning of the commands. They work on the store's files, so also when no server runs; afterwards the
workers are poked. Standards: none. On failure: StoreUnavailable.
"""

from __future__ import annotations

from dataclasses import replace

from postroom.store.api import Entry, NotFound, QueueFilter, QueueStore, RecipientState
from postroom.values.clock import Clock


class Administration:
    """The queue commands. Each gives the number of messages it changed."""

    __slots__ = ("_clock", "_store")

    def __init__(self, store: QueueStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list(self, which: QueueFilter) -> list[Entry]:
        """Entries of all workers, oldest first."""
        return sorted(await self._store.entries(which), key=lambda entry: (entry.received, entry.id))

    async def show(self, entry: str) -> Entry:
        """One entry. Raises NotFound."""
        found = await self._store.entries(QueueFilter(ids=(entry,)))
        if not found:
            raise NotFound(f"There is no message {entry} in the queue")
        return found[0]

    async def retry(self, which: QueueFilter) -> int:
        """Try what waits now; what is held stays held."""
        return await self._store.change(replace(which, state=RecipientState.WAITING), None, self._clock.now())

    async def flush(self) -> int:
        """Try everything that waits now."""
        return await self.retry(QueueFilter(limit=2**31 - 1))

    async def hold(self, which: QueueFilter) -> int:
        """Keep what waits from being tried."""
        return await self._store.change(replace(which, state=RecipientState.WAITING), RecipientState.HELD, None)

    async def release(self, which: QueueFilter) -> int:
        """Let what is held be tried, now."""
        held = replace(which, state=RecipientState.HELD)
        return await self._store.change(held, RecipientState.WAITING, self._clock.now())

    async def drop(self, which: QueueFilter) -> int:
        """Forget mail without telling its sender."""
        return await self._store.change(which, RecipientState.DROPPED, None)
