"""What an administrator does to the queue: look, try again, hold, release, send another way, drop.

Owns: the meaning of the commands. They work on the store's files, so also when no server runs; afterwards the
workers are poked. Standards: none. On failure: NotFound, StoreUnavailable.
"""

from __future__ import annotations

from dataclasses import replace

from postroom.store.api import Entry, NotFound, QueueFilter, QueueStore, RecipientState

NOW = 0.0  # a next try in the past
USUAL = "usual"  # the configured way, instead of one that was given by `reroute`


class Administration:
    """The queue commands. Those that change give the number of messages they changed."""

    __slots__ = ("_store",)

    def __init__(self, store: QueueStore) -> None:
        self._store = store

    async def list(self, which: QueueFilter) -> list[Entry]:
        """Entries of all workers, oldest first."""
        return await self._store.entries(which)

    async def show(self, entry: str) -> Entry:
        """One entry with its octets. Raises NotFound."""
        found = await self._store.entries(QueueFilter(ids=(entry,)))
        if not found:
            raise NotFound(f"there is no message {entry} in the queue")
        return found[0]

    async def retry(self, which: QueueFilter) -> int:
        """Try what waits now; what is held stays held."""
        return await self._store.change(replace(which, state=RecipientState.WAITING), None, NOW)

    async def hold(self, which: QueueFilter) -> int:
        """Keep what waits from being tried."""
        return await self._store.change(replace(which, state=RecipientState.WAITING), RecipientState.HELD, None)

    async def release(self, which: QueueFilter) -> int:
        """Let what is held be tried, now."""
        return await self._store.change(replace(which, state=RecipientState.HELD), RecipientState.WAITING, NOW)

    async def reroute(self, which: QueueFilter, place: str) -> int:
        """Send what waits or is held another way: "mx", "host", "host:port", or USUAL; what waits is tried now."""
        nexthop = "" if place == USUAL else place
        return await self._store.change(which, None, NOW, nexthop)

    async def drop(self, which: QueueFilter) -> int:
        """Forget mail without telling its sender."""
        return await self._store.change(which, RecipientState.DROPPED, None)
