"""The QueueStore of the embedded store: one file per worker slot, written by the slot's owner.

Owns: the lock that says who owns the slot, and results that were handed in but are not committed yet (`finish`), so
that `due` never gives out again what is finished. Results are committed after the deliveries they tell of are durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, TypeVar

import apsw
from msgspec.structs import replace

from postroom.net.drive import drive
from postroom.store.api.errors import StoreError, StoreUnavailable
from postroom.store.api.queue import (
    ANSWERS_KEPT,
    Depth,
    Entry,
    NewEntry,
    Once,
    Place,
    QueueFilter,
    Recipient,
    RecipientState,
    new_entry,
)
from postroom.store.embedded.claims import Claims
from postroom.store.embedded.committer import Committer
from postroom.store.embedded.database import OpenOptions, unavailable
from postroom.store.embedded.disk import Disk, keep_file, keep_octets
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.queue_file import (
    QueueFile,
    QueueUnit,
    answer_of,
    due_rows,
    keep_answers,
    loaded,
    look_rows,
    open_slot,
    select,
    with_octets,
)
from postroom.store.embedded.queue_rows import Change, chosen, is_over, next_try, pack, settle
from postroom.values.content import Content

T = TypeVar("T")

IN_ROW: Final = 64 * 1024
#: seconds that results wait for others, and how many wait at most: the accounts they tell of are synced once for all
_TOGETHER: Final = 0.5
_MOST_RESULTS: Final = 500
#: listings up to this long come with octets; longer ones only when asked by id
_WITH_OCTETS: Final = 100
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class EmbeddedQueue:
    """See postroom.store.api.QueueStore. slot None: a command's look at all slots; it cannot accept."""

    def __init__(
        self,
        layout: Layout,
        slot: int | None,
        options: OpenOptions,
        disk: Disk,
        committer: Committer,
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        """settle: makes durable what was delivered so far. Raises StoreUnavailable."""
        self._layout = layout
        self._options = options
        self._disk = disk
        self._committer = committer
        self._own: QueueFile | None = None
        self._reader: apsw.Connection | None = None
        if slot is not None:
            self._reader = open_slot(layout.slot(slot), options)
            self._own = QueueFile(layout, slot, options, disk)
        self._finished: dict[str, list[Recipient]] = {}
        self._results: deque[tuple[str, Sequence[Recipient]]] = deque()
        self._timer: asyncio.TimerHandle | None = None  # until results are written
        self._settle = settle
        self._claims = Claims(layout.claims)

    def close(self) -> None:
        """Close both connections; the committer has ended."""
        self._claims.close()
        if self._own is not None:
            self._own.close()
        if self._reader is not None:
            self._reader.close()

    @property
    def own(self) -> QueueFile:
        """This process's file. Raises StoreError when it has none."""
        if self._own is None:
            raise StoreError("this process owns no queue slot")
        return self._own

    async def accept(self, entry: NewEntry) -> Entry:
        file = self.own
        if not _SAFE_ID.fullmatch(entry.id):
            raise StoreError(f"not a queue id: {entry.id!r}")
        given = content = entry.content.with_prefix(entry.trace) if entry.trace else entry.content
        large = bool(given.path) or given.size > IN_ROW
        if large:
            path = f"{self._layout.queue_bodies}/{entry.id}"
            digest = given.digest if given.path else sha256(given.data).digest()
            content = Content(size=given.size, path=path, prefix=given.prefix, digest=digest)
        kept = new_entry(entry, file.slot, content)
        packed = pack(kept)

        def work(unit: QueueUnit) -> Callable[[], Entry]:
            if large:
                _place(unit, given, content.path)
            unit.add(kept, packed)
            if entry.once is not None:
                keep_answers(unit.connection, [(entry.received, entry.once)])
            return lambda: kept

        return await self._committer.submit(file, work, len(content.data))

    def finish(self, entry: str, results: Sequence[Recipient]) -> None:
        self._finished.setdefault(entry, []).extend(results)
        self._results.append((entry, results))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self._write_soon)
        elif len(self._results) == _MOST_RESULTS:
            self._timer.cancel()
            self._write_soon()

    def _write_soon(self) -> None:
        self._timer = None
        drive(self._write(len(self._results)))

    async def _write(self, count: int) -> None:
        """Have the oldest results committed, soon. They wait on when the disk does not take the deliveries."""
        try:
            await self._settle()
        except StoreUnavailable:
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_TOGETHER, self._write_soon)
            return
        taken = [self._results.popleft() for _ in range(min(count, len(self._results)))]
        if taken:
            self._committer.submit_lazy(self.own, _Finish(self, taken))

    async def flush(self) -> None:
        """Have all results written with the next commit, or soon."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._results:
            await self._write(len(self._results))

    def results_kept(self, taken: list[tuple[str, Sequence[Recipient]]]) -> None:
        """These are in the file now: readers see them there."""
        for entry, results in taken:
            left = [result for result in self._finished.pop(entry, ()) if result not in results]
            if left:
                self._finished[entry] = left

    async def answered(self, key: bytes, now: float) -> Once | None:
        for slot in self._slots():
            with self._reading(slot) as reader:
                found = answer_of(reader, key, now - ANSWERS_KEPT)
            if found is not None:
                return found
        return None

    def claim(self, key: bytes) -> contextlib.AbstractContextManager[bool]:
        return self._claims.claim(key)

    async def take_over(self, entries: Sequence[Entry], answers: Sequence[tuple[float, Once]] = ()) -> int:
        """Keep entries of a slot that is no more; those we have already are left as they are. How many are new.

        answers: of requests it has accepted, with their times.
        """
        slot = self.own.slot

        def work(unit: QueueUnit) -> Callable[[], int]:
            new = [entry for entry in entries if not unit.has(entry.id)]
            for entry in new:
                unit.add(replace(entry, slot=slot), pack(entry))
            keep_answers(unit.connection, answers)
            return lambda: len(new)

        return await self._committer.submit(self.own, work)

    async def update(self, entry: str, results: Sequence[Recipient]) -> None:
        await self._settle()

        def work(unit: QueueUnit) -> Callable[[], None]:
            unit.finish(entry, results)
            return lambda: None

        await self._committer.submit(self.own, work)

    async def due(self, now: float, limit: int = 100, skip: Collection[str] = ()) -> list[Entry]:
        slot = self.own.slot
        reader = self._reader
        assert reader is not None
        try:
            rows = due_rows(reader, self._layout, slot, now, limit + len(self._finished) + len(skip))
            found: list[Entry] = []
            for body, entry in rows:
                if entry.id in skip:
                    continue
                late = self._as_finished(entry)
                when = next_try(late)
                if when is not None and when <= now and len(found) < limit:
                    found.append(with_octets(reader, body, late))
        except apsw.Error as fault:
            raise unavailable(fault) from fault
        return found

    def _as_finished(self, entry: Entry) -> Entry:
        results = self._finished.get(entry.id)
        return settle(entry, results) if results else entry

    async def look(self, now: float, limit: int, after: Place | None = None) -> tuple[list[Entry], Place | None]:
        slot = self.own.slot
        reader = self._reader
        assert reader is not None
        try:
            found, last = look_rows(reader, self._layout, slot, now, (limit, after))
        except apsw.Error as fault:
            raise unavailable(fault) from fault
        if not self._finished:
            return found, last
        late = [self._as_finished(entry) for entry in found]
        return [entry for entry in late if (when := next_try(entry)) is not None and when <= now], last

    def load(self, entry: Entry) -> Entry:
        if entry.content.path:
            return entry
        reader = self._reader
        assert reader is not None
        try:
            return loaded(reader, entry)
        except apsw.Error as fault:
            raise unavailable(fault) from fault

    async def next_due(self) -> float | None:
        slot = self.own.slot
        reader = self._reader
        assert reader is not None
        try:
            if not self._finished:
                when: float | None = reader.execute("SELECT min(next) FROM entry WHERE next IS NOT NULL").get
                return when
            rows = due_rows(reader, self._layout, slot, float("inf"), 1 + len(self._finished))
        except apsw.Error as fault:
            raise unavailable(fault) from fault
        return min(
            (when for _, entry in rows if (when := next_try(self._as_finished(entry))) is not None), default=None
        )

    async def depth(self) -> Depth:
        reader = self._reader
        assert reader is not None
        try:
            found: Any = reader.execute("SELECT count(*), ifnull(min(received), 0.0) FROM entry").get
        except apsw.Error as fault:
            raise unavailable(fault) from fault
        return Depth(*found)

    async def entries(self, which: QueueFilter) -> list[Entry]:
        found: list[Entry] = []
        for slot in self._slots():
            with self._reading(slot) as reader:
                meant = [
                    (body, entry)
                    for body, entry in self._looked_at(reader, slot, which)
                    if chosen(entry, which) and not is_over(entry)
                ]
                if which.ids or len(meant) <= _WITH_OCTETS:
                    found += [with_octets(reader, body, entry) for body, entry in meant]
                else:
                    found += [entry for _, entry in meant]
        found.sort(key=lambda entry: (entry.received, entry.id))
        return found[: which.limit]

    def _looked_at(self, reader: apsw.Connection, slot: int, which: QueueFilter) -> list[tuple[int, Entry]]:
        rows = select(reader, self._layout, slot, which.ids)
        if self._own is None or slot != self._own.slot:
            return rows
        return [(body, self._as_finished(entry)) for body, entry in rows]

    async def change(
        self,
        which: QueueFilter,
        state: RecipientState | None,
        next_try: float | None,
        nexthop: str | None = None,
    ) -> int:
        change = Change(state, next_try, nexthop)

        def work(unit: QueueUnit) -> Callable[[], int]:
            changed = unit.change(which, change)
            return lambda: changed

        changed = 0
        for slot in self._slots():
            if self._own is not None and slot == self._own.slot:
                changed += await self._committer.submit(self._own, work)
                continue
            other = QueueFile(self._layout, slot, self._options, self._disk)
            try:
                changed += await self._committer.submit(other, work)
            finally:
                self._committer.run_between(other.close)
        return changed

    def _slots(self) -> list[int]:
        return self._layout.slots()

    @contextlib.contextmanager
    def _reading(self, slot: int) -> Iterator[apsw.Connection]:
        own = self._reader if self._own is not None and slot == self._own.slot else None
        try:
            reader = own or open_slot(self._layout.slot(slot), self._options)
            try:
                yield reader
            finally:
                if own is None:
                    reader.close()
        except apsw.Error as fault:
            raise unavailable(fault) from fault


class _Finish:
    """Lazy work: results on their way into the file."""

    __slots__ = ("_queue", "_taken")

    def __init__(self, queue: EmbeddedQueue, taken: list[tuple[str, Sequence[Recipient]]]) -> None:
        self._queue = queue
        self._taken = taken

    def __call__(self, unit: QueueUnit) -> Callable[[], None]:
        taken = self._taken
        for entry, results in taken:
            unit.finish(entry, results)
        unit.news.append(lambda: self._queue.results_kept(taken))
        return _done


def _done() -> None:
    """Nobody waits for lazy work."""


def _place(unit: QueueUnit, given: Content, target: str) -> None:
    """Give a large body its file beside the queue; the committer syncs the folder before the row."""
    if given.path:
        keep_file(unit.file.disk, given.path, target)
    else:
        keep_octets(unit.file.disk, given.data, target)
    unit.new_file(target)
