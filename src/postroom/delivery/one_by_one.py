"""Entries of a quiet route, worked off one after the other: what consumers that are in no hurry have in common.

Owns: what waits; it is in the queue all the same, and goes back there at the end.
On failure: whoever does the work gives outcomes, always.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from postroom.delivery.service import Queue
from postroom.queue.outcome import Outcome
from postroom.store.api import Entry, Recipient


class OneByOne(ABC):
    """A consumer of one route of the queue. Give `take` to the queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._pending: deque[tuple[Entry, Sequence[Recipient]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @abstractmethod
    async def outcomes(self, entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Do an entry for these recipients. Never raises."""

    def take(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """Recipients of an entry to do now."""
        if self._stopping:
            self._queue.give_back(entry, recipients)
            return
        self._pending.append((entry, recipients))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def settled(self) -> None:
        """Wait until nothing is being done."""
        while self._task is not None and not self._task.done():
            await self._task

    async def stop(self) -> None:
        """Finish the one that is being done; what has not begun stays in the queue."""
        self._stopping = True
        while self._pending:
            self._queue.give_back(*self._pending.popleft())
        await self.settled()

    async def _work(self) -> None:
        while self._pending:
            entry, recipients = self._pending.popleft()
            await self._queue.settle(entry, await self.outcomes(entry, recipients))
