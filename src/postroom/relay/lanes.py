"""What waits for one destination, in a fair order: each sender's mail stands in a lane of its own.

Owns: the order only. Lanes take turns, so a thousand letters of one sender hold back a single one of another by one
place. Bulk mail lets the rest go first, but for one turn in a few. On failure: nothing raises.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


#: of so many turns one is for bulk mail, while other mail waits too
BULK_TURN = 5


class Lanes(Generic[T]):
    """Jobs by sender, in two classes."""

    __slots__ = ("_bulk", "_lanes", "_turn")

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[T]] = OrderedDict()
        self._bulk: OrderedDict[str, deque[T]] = OrderedDict()
        self._turn = 0

    def __bool__(self) -> bool:
        return bool(self._lanes or self._bulk)

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values())) + sum(map(len, self._bulk.values()))

    def add(self, lane: str, job: T, *, bulk: bool = False) -> None:
        """Last in its lane."""
        (self._bulk if bulk else self._lanes).setdefault(lane, deque()).append(job)

    def put_back(self, lane: str, job: T, *, bulk: bool = False) -> None:
        """First of all: it had its turn already."""
        lanes = self._bulk if bulk else self._lanes
        lanes.setdefault(lane, deque()).appendleft(job)
        lanes.move_to_end(lane, last=False)

    def take(self) -> T:
        """The next; its lane goes to the end. Raises IndexError when nothing waits."""
        if not self:
            raise IndexError("nothing waits")
        lanes = self._lanes
        if self._bulk:
            self._turn = (self._turn + 1) % BULK_TURN
            if not lanes or not self._turn:
                lanes = self._bulk
        lane, jobs = lanes.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            lanes[lane] = jobs
        return job

    def drain(self) -> Iterator[T]:
        """Everything, and nothing is left."""
        while self:
            yield self.take()
