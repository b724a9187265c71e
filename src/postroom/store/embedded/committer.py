"""Group commit: what waits while a commit runs becomes the next transaction.

Requests of one turn of the event loop are handed over together at its end. A thread takes everything that is waiting
(no timer; at most 256 requests or 8 MiB), makes one transaction for each database file touched, and tells the event
loop with one call for the whole batch. Committing in the loop itself would make batches of one (measured), and would
block it in fsync.

Rules for a piece of work: it gets the open unit of work and returns a function that makes the result once the
commit is durable. It may raise StoreError only before it has changed anything. Any other exception rolls the whole
transaction back, and its requests are tried again one by one, so that a poisoned one fails alone.

Lazy work (nobody waits for it) joins the next transaction on its file, or is committed without a sync when nothing
else has come for a moment.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, Final, Generic, Protocol, TypeVar

from postroom.observe.meters import Histogram
from postroom.store.api.errors import StoreError, StoreUnavailable
from postroom.store.embedded.database import unavailable

U = TypeVar("U", bound="Unit")
T = TypeVar("T")

MAX_REQUESTS: Final = 256
MAX_OCTETS: Final = 8 * 1024 * 1024
IDLE_SECONDS: Final = 0.05


class Unit(Protocol):
    """One open transaction on one file."""

    def changed(self) -> int:
        """A number that grows with every change made so far."""
        ...

    def commit(self) -> Callable[[], None] | None:
        """Commit; the result is called on the event loop before anyone is answered. May fail: then roll back."""
        ...

    def rollback(self) -> None: ...


class Database(Protocol[U]):  # type: ignore[misc]
    """A file that transactions are made on."""

    def begin(self, durable: bool) -> U:
        """BEGIN IMMEDIATE, the commit to be synced or not. Called on the committer's thread only."""
        ...


class _Request(Generic[U]):
    __slots__ = ("database", "failure", "finish", "future", "octets", "relaxed", "result", "work")

    def __init__(
        self,
        database: Database[U],
        work: Callable[[U], Callable[[], Any]],
        future: asyncio.Future[Any] | None,
        octets: int,
        relaxed: bool,
    ) -> None:
        self.database = database
        self.work = work
        self.future = future
        self.octets = octets
        self.relaxed = relaxed
        self.finish: Callable[[], Any] | None = None
        self.result: Any = None
        self.failure: Exception | None = None


_News = Callable[[], None]
_Item = _Request[Any] | Callable[[], None]


class Committer:
    """One writing thread. Started at the first request; `close` finishes what waits and ends it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._turn: list[_Item] = []  # asked for in this turn of the loop
        self._waiting: SimpleQueue[list[_Item] | None] = SimpleQueue()
        self._arrived: deque[_Item] = deque()  # taken from _waiting, not yet in a batch
        self._chores: list[Callable[[], None]] = []
        self._lazy: list[_Request[Any]] = []
        self._put_off: list[_Request[Any]] = []  # lazy work that failed: tried again beside the next real batch
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self.batches = 0
        self.requests = 0
        self.times = Histogram()  # of batches that somebody waited for

    def submit(
        self, database: Database[U], work: Callable[[U], Callable[[], T]], octets: int = 0, *, relaxed: bool = False
    ) -> asyncio.Future[T]:
        """Have work done in the next transaction on the file; the future is done when it is durable.

        relaxed: it need not be; a transaction of nothing else is not synced.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._put(loop, _Request(database, work, future, octets, relaxed))
        return future

    def submit_lazy(self, database: Database[U], work: Callable[[U], Callable[[], object]]) -> None:
        """Have work done soon; nobody is told. Lost when power fails before the next durable commit on the file."""
        self._put(asyncio.get_running_loop(), _Request(database, work, None, 0, relaxed=True))

    def run_between(self, chore: Callable[[], None]) -> None:
        """Run a quick function that must not raise on the thread that writes, after the current batch."""
        if self._thread is None or self._closed:
            chore()
        else:
            self._hand_over()
            self._waiting.put([chore])

    def _put(self, loop: asyncio.AbstractEventLoop, request: _Request[Any]) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._loop = loop
        if not self._turn:
            loop.call_soon(self._hand_over)
        self._turn.append(request)

    def _hand_over(self) -> None:
        if self._turn:
            turn, self._turn = self._turn, []
            self._waiting.put(turn)

    async def close(self) -> None:
        """Commit what waits, then end the thread."""
        self._closed = True
        if self._thread is not None:
            self._hand_over()
            self._waiting.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _run(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._gather()
            begun = perf_counter()
            self._commit_batch(batch, durable=bool(batch) or ending)
            if batch:
                self.times.add(perf_counter() - begun)
            chores, self._chores = self._chores, []
            for chore in chores:
                chore()

    def _gather(self) -> tuple[list[_Request[Any]], bool]:
        """Requests for the next batch, and whether the committer is to end. Empty: idle, time for lazy work."""
        batch: list[_Request[Any]] = []
        octets = 0
        arrived = self._arrived
        while True:
            while arrived:
                octets += self._sort_in(arrived.popleft(), batch)
                if len(batch) >= MAX_REQUESTS or octets >= MAX_OCTETS:
                    return batch, False
            try:
                if batch or self._chores or len(self._lazy) >= MAX_REQUESTS:
                    more = self._waiting.get_nowait()
                else:
                    more = self._waiting.get(timeout=IDLE_SECONDS if self._lazy else None)
            except Empty:
                return batch, False
            if more is None:
                return batch, True
            arrived.extend(more)

    def _sort_in(self, item: _Item, batch: list[_Request[Any]]) -> int:
        """Put what came where it belongs; gives its octets."""
        if not isinstance(item, _Request):
            self._chores.append(item)
        elif item.future is None:
            self._lazy.append(item)
        else:
            batch.append(item)
            return item.octets
        return 0

    def _commit_batch(self, batch: list[_Request[Any]], *, durable: bool) -> None:
        """Commit by file: lazy requests join the file's transaction; the rest of them wait unless we are idle."""
        by_file: dict[Database[Any], list[_Request[Any]]] = {}
        for request in batch:
            by_file.setdefault(request.database, []).append(request)
        lazy, self._lazy = self._lazy, []
        if durable:
            lazy = self._put_off + lazy
            self._put_off = []
        for request in lazy:
            if request.database in by_file:
                by_file[request.database].append(request)
            elif batch:
                self._lazy.append(request)
            else:
                by_file[request.database] = [request]
        news: list[_News] = []
        for database, requests in by_file.items():
            self._commit_file(database, requests, durable, news)
        self._put_off += [request for request in lazy if isinstance(request.failure, StoreUnavailable)]
        self.batches += 1
        self.requests += len(batch)
        self._tell(batch, news)

    def _commit_file(
        self, database: Database[Any], requests: list[_Request[Any]], durable: bool, news: list[_News]
    ) -> None:
        if _commit_together(database, requests, durable, news) or len(requests) == 1:
            return
        for request in requests:
            _commit_together(database, [request], durable, news)

    def _tell(self, batch: list[_Request[Any]], news: list[_News]) -> None:
        if self._loop is None or not (batch or news):
            return
        try:
            self._loop.call_soon_threadsafe(_deliver, batch, news)
        except RuntimeError:  # the loop was closed: nobody is left to tell
            return


def _commit_together(database: Database[Any], requests: list[_Request[Any]], durable: bool, news: list[_News]) -> bool:
    """One transaction. False: everything was rolled back and each request carries the failure."""
    unit: Unit | None = None
    try:
        unit = database.begin(durable and not all(request.relaxed for request in requests))
        for request in requests:
            if request.future is None or not request.future.cancelled():
                _work(unit, request)
        told = unit.commit()
    except Exception as fault:
        failure = unavailable(fault)
        if unit is not None:
            unit.rollback()
        for request in requests:
            request.failure = failure
        return False
    for request in requests:
        if request.failure is None and request.finish is not None:
            try:
                request.result = request.finish()
            except Exception as fault:
                request.failure = unavailable(fault)
    if told is not None:
        news.append(told)
    return True


def _work(unit: Unit, request: _Request[Any]) -> None:
    before = unit.changed()
    request.finish = request.failure = None
    try:
        request.finish = request.work(unit)
    except StoreError as no:
        if unit.changed() != before:
            raise RuntimeError("work raised StoreError after it changed something") from no
        request.failure = no


def _deliver(batch: list[_Request[Any]], news: list[_News]) -> None:
    """On the event loop: first the news (caches, hints), then the answers."""
    for tell in news:
        tell()
    for request in batch:
        future = request.future
        if future is None or future.done():
            continue
        if request.failure is not None:
            future.set_exception(request.failure)
        else:
            future.set_result(request.result)
