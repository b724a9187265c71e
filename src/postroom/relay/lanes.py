"""What waits for one destination, in a fair order: each sender's mail stands in a lane of its own.

Owns: the order only. Lanes take turns, so a thousand letters of one sender hold back a single one of another by one
place. On failure: nothing raises.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """Jobs by sender."""

    __slots__ = ("_lanes", "_size")

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, deque[T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, lane: str, job: T) -> None:
        """Last in its lane."""
        self._lanes.setdefault(lane, deque()).append(job)
        self._size += 1

    def put_back(self, lane: str, job: T) -> None:
        """First of all: it had its turn already."""
        self._lanes.setdefault(lane, deque()).appendleft(job)
        self._lanes.move_to_end(lane, last=False)
        self._size += 1

    def take(self) -> T:
        """The next; its lane goes to the end. Raises IndexError when nothing waits."""
        if not self._lanes:
            raise IndexError("nothing waits")
        lane, jobs = self._lanes.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._lanes[lane] = jobs
        self._size -= 1
        return job

    def drain(self) -> Iterator[T]:
        """Everything, and nothing is left."""
        while self._size:
            yield self.take()
