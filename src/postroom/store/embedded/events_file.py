"""One day of events of one writer: a SQLite file of blocks, written by the committer, read by anyone.

Blocks of quiet times are small; sixteen neighbours of one size are joined, so that a search has few to look at and
each event is written three times at most. A commit is not synced: SQLite syncs when it moves the WAL into the file, and
a power cut takes the last commits but never damages what was there. A whole day goes by removing its file.
On failure: apsw.Error to the committer. A file that is no database (any more) is set aside as `….damaged`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import apsw
from msgspec import Struct

from postroom.store.embedded import schema
from postroom.store.embedded.database import OpenOptions, open_database, rollback, set_up
from postroom.store.embedded.events_block import Block, Events, Waiting, among, join, pack

_SIBLINGS: Final = 16
_LARGEST: Final = 2  # blocks of this level are not joined any more
_LEVEL_OF: Final = (64, 256)  # a block with fewer events than this has level 0, 1
_CHECKPOINT_PAGES: Final = 1000
_DAMAGED = (apsw.NotADBError, apsw.CorruptError)


class EventsUnit:
    """One transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def changed(self) -> int:
        """Grows with every change."""
        return self._connection.total_changes()

    def commit(self) -> Callable[[], None] | None:
        """Commit."""
        self._connection.execute("COMMIT")
        return None

    def rollback(self) -> None:
        """As if it never was."""
        rollback(self._connection)

    def add(self, waiting: Sequence[Waiting]) -> None:
        """Keep events that have just been told."""
        block = pack(waiting)
        self._insert(block, sum(block.count >= least for least in _LEVEL_OF))
        self._join_neighbours()

    def _insert(self, block: Block, level: int) -> None:
        self._connection.execute(
            "INSERT INTO block(level, count, first, last, keys, data) VALUES (?, ?, ?, ?, ?, ?)",
            (level, block.count, block.first, block.last, block.keys, block.data),
        )

    def _join_neighbours(self) -> None:
        """The last sixteen blocks are of one level: make them one of the next."""
        while True:
            tail: list[Any] = self._connection.execute(
                "SELECT id, level FROM block ORDER BY id DESC LIMIT ?", (_SIBLINGS,)
            ).fetchall()
            levels = {level for _, level in tail}
            if len(tail) < _SIBLINGS or len(levels) > 1 or (level := levels.pop()) >= _LARGEST:
                return
            since = (tail[-1][0],)
            rows: Iterable[Any] = self._connection.execute(
                "SELECT count, first, last, keys, data FROM block WHERE id >= ? ORDER BY id", since
            )
            try:
                block = join([Block(*row) for row in rows])
            except ValueError:  # a damaged block stays as it is, and so do its neighbours
                return
            self._connection.execute("DELETE FROM block WHERE id >= ?", since)
            self._insert(block, level + 1)


class EventsFile:
    """The file as the committer sees it; made when there is something to write."""

    def __init__(self, path: str, options: OpenOptions) -> None:
        self._path = path
        self._options = options
        self._writer: apsw.Connection | None = None

    def begin(self, durable: bool = True) -> EventsUnit:
        """Open a transaction, never a synced one. Raises apsw.Error."""
        if self._writer is None:
            try:
                self._writer = self._open()
            except _DAMAGED:
                _set_aside(self._path)
                self._writer = self._open()
        self._writer.execute("BEGIN IMMEDIATE")
        return EventsUnit(self._writer)

    def _open(self) -> apsw.Connection:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = open_database(
            self._path, self._options, cache_kib=self._options.reader_cache_kib, checkpoint=_CHECKPOINT_PAGES
        )
        try:
            connection.pragma("synchronous", 1)
            set_up(connection, schema.EVENTS, schema.EVENTS_VERSION)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Move everything into the file itself and close it."""
        if self._writer is not None:
            with contextlib.suppress(apsw.Error):
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            with contextlib.suppress(apsw.Error):
                self._writer.close()
            self._writer = None


class Hit(Struct, frozen=True):
    """A block that may hold what is looked for. last: its greatest time; numbers: those that it may hold."""

    path: str
    id: int
    last: float
    numbers: frozenset[int]


def _set_aside(path: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.rename(path + suffix, path + ".damaged" + suffix)


class EventsReader:
    """A look at one file; close it after use. Raises apsw.Error when it cannot be opened."""

    def __init__(self, path: str, options: OpenOptions) -> None:
        self._path = path
        self._connection = open_database(path, options, cache_kib=options.reader_cache_kib)
        self._connection.execute("BEGIN")  # everything is seen as of the first look

    def choose(self, numbers: frozenset[int], since: float, until: float) -> Iterator[Hit]:
        """Blocks between the times that may have one of the numbers; all of them without any. Raises apsw.Error."""
        rows: Iterable[Any] = self._connection.execute(
            "SELECT id, last, keys FROM block WHERE last >= ? AND first <= ?", (since, until)
        )
        for row, last, keys in rows:
            found = among(keys, numbers)
            if found or not numbers:
                yield Hit(self._path, row, last, found)

    def events(self, hit: Hit) -> Events:
        """The block's events. Raises apsw.Error, ValueError."""
        return Events(self._connection.execute("SELECT data FROM block WHERE id = ?", (hit.id,)).get)

    def close(self) -> None:
        """Close."""
        self._connection.close()
