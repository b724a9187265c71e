"""Numbers of all processes, where each of them can read them: what /metrics and /health tell.

Every process writes what it counted into a place of its own in memory that all inherited, once a second; who is asked
reads all places. So nobody asks anybody, and a process that hangs does not hang the others: its time stands still.
Owns: one anonymous mapping, made before the fork. A place is written as a whole with its checksum; a reader that came
in the middle reads again.
On failure: a place that cannot be read counts as one that was never written.
"""

from __future__ import annotations

import mmap
import zlib
from bisect import bisect_left
from struct import Struct as Format
from typing import Final

import msgspec

#: octets of one process's place; untouched pages cost nothing
_PLACE: Final = 32 * 1024
_HEAD: Final = Format("=II")
_TRIES: Final = 5

#: upper bounds of a histogram of seconds; one more count is for what is above them all
BOUNDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Histogram(msgspec.Struct):
    """How long something took. counts: for each bound of BOUNDS, and what is above; not cumulative. sum: seconds."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one; by one thread only."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def plus(self, other: Histogram) -> Histogram:
        """Both together."""
        return Histogram([a + b for a, b in zip(self.counts, other.counts, strict=True)], self.sum + other.sum)


class Reading(msgspec.Struct):
    """What one process wrote. time: when, Unix seconds; counts: events since the start of the server.

    gauges: what is true now, by name; "of" names have a label after a slash ("sessions/imap").
    """

    time: float = 0.0
    started: float = 0.0
    pid: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    gauges: dict[str, float] = msgspec.field(default_factory=dict)
    histograms: dict[str, Histogram] = msgspec.field(default_factory=dict)


class Meters:
    """The places of all processes: 0 … workers-1, and the supervisor's after them."""

    __slots__ = ("_memory", "places")

    def __init__(self, places: int) -> None:
        self.places = places
        self._memory = mmap.mmap(-1, places * _PLACE)

    def write(self, place: int, reading: Reading) -> None:
        """What this process has to tell now; too much of it is dropped."""
        data = msgspec.msgpack.encode(reading)
        if len(data) + _HEAD.size <= _PLACE:
            start = place * _PLACE
            self._memory[start : start + _HEAD.size + len(data)] = _HEAD.pack(len(data), zlib.crc32(data)) + data

    def read(self, place: int) -> Reading | None:
        """What that process told last; None when it never did."""
        start = place * _PLACE
        for _ in range(_TRIES):
            length, checksum = _HEAD.unpack_from(self._memory, start)
            if not 0 < length <= _PLACE - _HEAD.size:
                return None
            data = self._memory[start + _HEAD.size : start + _HEAD.size + length]
            if zlib.crc32(data) == checksum:
                return msgspec.msgpack.decode(data, type=Reading)
        return None
