"""The memory that the policies of all workers share.

Owns: one anonymous mapping, made before the workers are forked and inherited by them; untouched pages cost nothing.
Counts survive a worker's restart, except its own, and do not survive the server's.
"""

from __future__ import annotations

import mmap
from typing import Final

from postroom.policy.sketch import WINDOW, Cells, CountSketch, WindowSketch

#: four rows of this many cells; see postroom.policy.sketch
_WIDE: Final = 32768
_NARROW: Final = 4096
#: seconds that abuse and wrong passwords are added up over, and that a successful login is remembered at least
ABUSE: Final = 600
KNOWN: Final = 43_200

#: windows: name, cells of a row, seconds
_WINDOWS: Final = (
    ("rates", _WIDE, WINDOW),  # connections and messages, by address and network
    ("octets", _WIDE, WINDOW),  # KiB of messages, by address and network
    ("failures", _NARROW, WINDOW),  # failed logins, by network
    ("logins", _NARROW, WINDOW),  # failed logins, by network and login
    ("targets", _NARROW, ABUSE),  # failed logins, by login
    ("abuse", _WIDE, ABUSE),  # points, by address and network
    ("repeats", _WIDE, ABUSE),  # wrong passwords, by address, login and password
    ("known", _WIDE, KNOWN),  # successful logins, by address, and by network and login
)


class Tables:
    """All shared counts. key: 16 to 64 secret random octets, the same in every process."""

    __slots__ = (
        "abuse",
        "cells",
        "connections",
        "failures",
        "few",
        "known",
        "logins",
        "memory",
        "octets",
        "rates",
        "repeats",
        "targets",
        "workers",
    )

    rates: WindowSketch
    octets: WindowSketch
    failures: WindowSketch
    logins: WindowSketch
    targets: WindowSketch
    abuse: WindowSketch
    repeats: WindowSketch
    known: WindowSketch

    def __init__(self, workers: int, key: bytes) -> None:
        self.workers = workers
        self.cells = Cells(key, _WIDE, workers)
        self.few = Cells(key, _NARROW, workers)
        start = CountSketch.size(_WIDE, workers)
        self.memory = mmap.mmap(-1, start + sum(WindowSketch.size(width, workers) for _, width, _ in _WINDOWS))
        memory = memoryview(self.memory)
        self.connections = CountSketch(memory[:start], workers)  # open, by service and address or network
        for name, width, window in _WINDOWS:
            size = WindowSketch.size(width, workers)
            setattr(self, name, WindowSketch(memory[start : start + size], workers, window))
            start += size

    def forget(self, slot: int) -> None:
        """The worker of this slot is gone (the supervisor calls it before it starts another).

        Its connections are over, and its counts of rates may be half written. What it knew of abuse and of people
        who logged in stays.
        """
        for table in (self.connections, self.rates, self.octets, self.failures, self.logins):
            table.clear(slot)
