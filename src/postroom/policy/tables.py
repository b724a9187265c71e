"""The memory that the policies of all workers share.

Owns: one anonymous mapping, made before the workers are forked and inherited by them; untouched pages cost nothing.
Counts survive a worker's restart, except its own, and do not survive the server's.
"""

from __future__ import annotations

import mmap

from postroom.policy.sketch import Cells, CountSketch, WindowSketch

#: four rows of this many cells; see postroom.policy.sketch
_WIDE = 32768
_NARROW = 4096


class Tables:
    """All shared counts. key: 16 to 64 secret random octets, the same in every process."""

    __slots__ = ("cells", "connections", "failures", "few", "logins", "memory", "rates", "workers")

    def __init__(self, workers: int, key: bytes) -> None:
        self.workers = workers
        self.cells = Cells(key, _WIDE, workers)
        self.few = Cells(key, _NARROW, workers)
        sizes = [
            CountSketch.size(_WIDE, workers),
            WindowSketch.size(_WIDE, workers),
            WindowSketch.size(_NARROW, workers),
            WindowSketch.size(_NARROW, workers),
        ]
        self.memory = mmap.mmap(-1, sum(sizes))
        views, start = [], 0
        for size in sizes:
            views.append(memoryview(self.memory)[start : start + size])
            start += size
        self.connections = CountSketch(views[0], workers)  # open, by service and address
        self.rates = WindowSketch(views[1], workers)  # connections and messages, by address
        self.failures = WindowSketch(views[2], workers)  # failed logins, by network
        self.logins = WindowSketch(views[3], workers)  # failed logins, by network and login

    def forget(self, slot: int) -> None:
        """The worker of this slot is gone (the supervisor calls it before it starts another)."""
        for table in (self.connections, self.rates, self.failures, self.logins):
            table.clear(slot)
