"""Which workers want to hear of an account: a hint that nobody would listen to costs no write and wakes nobody.

Nearly all accounts have no session in most of the workers, and every commit has a hint. So each worker notes in memory
that all of them share for which accounts somebody listens to its feed; who commits looks there first.
Owns: one octet for each worker and cell; accounts share a cell by a checksum, so a worker may hear of too much, never
of too little. A worker writes only its own octets.
Order: who begins to listen notes it first and looks at the store afterwards; who commits looks here once the commit is
there to be read. So one of the two sees the other. What was read before the note counts for nothing: everybody who
listens to the account is told to look again (Ears.began).
"""

from __future__ import annotations

import asyncio
import mmap
from collections import Counter
from typing import Final
from zlib import crc32

from postroom.store.api import Feed, Hint

_CELLS: Final = 16_384
#: seconds after which the notes of accounts that nobody listens to any more are taken back
LINGER: Final = 30.0


class Wanted:
    """The notes of all workers, made before they are forked."""

    __slots__ = ("_memory", "workers")

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, _CELLS * workers)

    @staticmethod
    def cell(account: str) -> int:
        """Where an account is noted."""
        return crc32(account.encode()) % _CELLS

    def by(self, account: str) -> bytes:
        """An octet for each worker, not zero where the account is wanted."""
        at = self.cell(account) * self.workers
        return self._memory[at : at + self.workers]

    def note(self, slot: int, cell: int, wanted: bool) -> bool:
        """Write a worker's octet of a cell; was it another before?"""
        at = cell * self.workers + slot
        before = self._memory[at]
        self._memory[at] = wanted
        return before != wanted

    def forget(self, slot: int) -> None:
        """A worker begins: what an earlier one of its slot listened to counts no more."""
        for cell in range(_CELLS):
            self._memory[cell * self.workers + slot] = 0


class Ears:
    """One worker's notes. They stay for a while when the last listener has gone: many come back at once.

    To be made before anybody listens to the feed.
    """

    __slots__ = ("_counts", "_feed", "_left", "_slot", "_timer", "_wanted")

    def __init__(self, feed: Feed, wanted: Wanted, slot: int) -> None:
        self._feed = feed
        self._wanted = wanted
        self._slot = slot
        self._counts: Counter[int] = Counter()  # accounts with listeners in each cell
        self._left: set[int] = set()  # cells that may have none any more
        self._timer: asyncio.TimerHandle | None = None
        wanted.forget(slot)
        feed.began, feed.ended = self.began, self.ended

    def began(self, account: str) -> None:
        """The account has its first listener here."""
        cell = self._wanted.cell(account)
        self._counts[cell] += 1
        if self._wanted.note(self._slot, cell, wanted=True):
            asyncio.get_running_loop().call_soon(self._feed.receive, Hint(account, 0, 0))

    def ended(self, account: str) -> None:
        """The account has no listener here any more."""
        cell = self._wanted.cell(account)
        self._counts[cell] -= 1
        if not self._counts[cell]:
            del self._counts[cell]
            self._left.add(cell)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LINGER, self.tidy)

    def tidy(self) -> None:
        """Take back the notes of cells that nobody listens to."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left, self._left = self._left, set()
        for cell in left:
            if cell not in self._counts:
                self._wanted.note(self._slot, cell, wanted=False)

    def close(self) -> None:
        """Note nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
