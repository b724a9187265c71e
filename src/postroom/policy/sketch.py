"""Counts by address in a fixed amount of memory that all workers share: count-min sketches.

An estimate is never below the true count (Cormode and Muthukrishnan 2005); with four rows of 32,768 cells it is above
it for hardly any of 40,000 open connections. Which cells an address has is keyed, so that nobody can aim at another's.
Owns: one column per worker and cell. A worker writes only its own column and reads all of them: no locks, and the
column of a worker that died is zeroed as a whole.
"""

from __future__ import annotations

import hashlib
from struct import Struct

ROWS = 4
#: seconds of a window, unless another length is asked for
WINDOW = 60

_FOUR = Struct("<4I")

#: a key's four cells, one in each row
Spot = tuple[int, int, int, int]


class Cells:
    """Where a key is counted: one cell in each of the four rows."""

    __slots__ = ("_keyed", "_mask", "_workers", "width")

    def __init__(self, key: bytes, width: int, workers: int) -> None:
        """key: secret, shared by all workers; width: cells of a row, a power of two; workers: columns of a cell."""
        self._keyed = hashlib.blake2b(digest_size=16, key=key)
        self._mask = width - 1
        self._workers = workers
        self.width = width

    def of(self, what: str) -> Spot:
        """Where the columns of a key's four cells begin. About 1 us."""
        mask, width, workers = self._mask, self.width, self._workers
        digest = self._keyed.copy()
        digest.update(what.encode("utf-8", "surrogatepass"))
        a, b, c, d = _FOUR.unpack(digest.digest())
        return (
            (a & mask) * workers,
            (width + (b & mask)) * workers,
            (2 * width + (c & mask)) * workers,
            (3 * width + (d & mask)) * workers,
        )


class CountSketch:
    """How many there are now."""

    __slots__ = ("_counts", "_workers")

    @staticmethod
    def size(width: int, workers: int) -> int:
        """Octets of memory."""
        return ROWS * width * workers * 4

    def __init__(self, memory: memoryview, workers: int) -> None:
        # the columns of a cell lie together, so that one slice has them all
        self._counts = memory.cast("i")
        self._workers = workers

    def add(self, cells: Spot, slot: int, amount: int) -> None:
        """Count in the column of worker `slot`."""
        counts = self._counts
        for cell in cells:
            counts[cell + slot] += amount

    def estimate(self, cells: Spot) -> int:
        """The count over all workers: right, or too high by what shares all four cells."""
        counts, workers = self._counts, self._workers
        return min([sum(counts[cell : cell + workers]) for cell in cells])

    def below(self, cells: Spot, limit: int) -> bool:
        """True if the estimate is below the limit; usually the first row tells."""
        counts, workers = self._counts, self._workers
        for cell in cells:  # noqa: SIM110 - twice as fast as any() on the way of every connection
            if sum(counts[cell : cell + workers]) < limit:
                return True
        return False

    def clear(self, slot: int) -> None:
        """Forget the column of a worker that is gone."""
        _zero(self._counts, slot, self._workers)


class WindowSketch:
    """How many there were in the last minute (or `window` seconds): this window's count, and what is left of the last.

    The usual sliding estimate: of the previous window, the part that the last 60 seconds still reach into. A column
    turns over to a new window when its worker next writes, so nothing is swept.
    """

    __slots__ = ("_before", "_counts", "_stamps", "_workers", "window")

    @staticmethod
    def size(width: int, workers: int) -> int:
        """Octets of memory."""
        return 3 * ROWS * width * workers * 4

    def __init__(self, memory: memoryview, workers: int, window: int = WINDOW) -> None:
        third = len(memory) // 3
        self.window = window
        self._stamps = memory[:third].cast("i")  # number of the window the column counts in
        self._counts = memory[third : 2 * third].cast("i")
        self._before = memory[2 * third :].cast("i")  # count of the window before that
        self._workers = workers

    def add(self, cells: Spot, slot: int, amount: int, now: float) -> None:
        """Count at `now` (seconds, monotonic). A negative amount takes back what another worker may have counted."""
        window = int(now // self.window)
        for cell in cells:
            place = cell + slot
            stamp = self._stamps[place]
            if stamp == window:
                self._counts[place] += amount
                continue
            self._before[place] = self._counts[place] if stamp == window - 1 else 0
            self._counts[place] = amount
            self._stamps[place] = window

    def estimate(self, cells: Spot, now: float) -> float:
        """The count of the last minute over all workers; never below zero."""
        return max(min([sum(self._row(cell, now)) for cell in cells]), 0.0)

    def below(self, cells: Spot, limit: float, now: float) -> bool:
        """True if the estimate is below the limit; usually the first row tells."""
        for cell in cells:  # noqa: SIM110
            if sum(self._row(cell, now)) < limit:
                return True
        return False

    def wait(self, cells: Spot, limit: int, now: float) -> float:
        """Seconds until the estimate is below `limit` if nothing is added; 0 if it is."""
        left = self.window - now % self.window
        current, faded = min([self._row(cell, now) for cell in cells], key=sum)
        if current + faded < limit:
            return 0.0
        if current < limit:  # the older part fades away in time: faded * (1 - t/left) = limit - current
            return left * (1 - (limit - current) / faded)
        return left + self.window * (1 - limit / current)

    def _row(self, cell: int, now: float) -> tuple[float, float]:
        """One row's count of this window, and the faded one of the window before."""
        window = int(now // self.window)
        current = before = 0
        for place, stamp in enumerate(self._stamps[cell : cell + self._workers], cell):
            if stamp == window:
                current += self._counts[place]
                before += self._before[place]
            elif stamp == window - 1:
                before += self._counts[place]
        return current, before * (1 - now % self.window / self.window)

    def clear(self, slot: int) -> None:
        """Forget the column of a worker that is gone."""
        for view in (self._stamps, self._counts, self._before):
            _zero(view, slot, self._workers)


def _zero(view: memoryview, slot: int, workers: int) -> None:
    column = view[slot::workers]
    column[:] = memoryview(bytes(4 * len(column))).cast("i")
