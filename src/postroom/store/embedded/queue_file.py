"""One slot's queue file for writing. Inserts of a batch are gathered and made together at its end.

Owns: the writer connection (committer's thread only), numbers of body rows, and body files whose entry is gone: they
are removed only after a synced commit, so that no entry that a power loss brings back lacks its body.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw
from msgspec.structs import replace

from postroom.store.api.errors import NotFound
from postroom.store.api.queue import ANSWERS_KEPT, Entry, Once, Place, QueueFilter, Recipient
from postroom.store.embedded import schema
from postroom.store.embedded.database import OpenOptions, open_database, rollback, set_up
from postroom.store.embedded.disk import Disk, discard
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.queue_rows import (
    TERMINAL,
    Change,
    chosen,
    is_over,
    merge,
    next_try,
    pack,
    settle,
    unpack,
)
from postroom.values.content import Content

_FULL: Final = 2
_NORMAL: Final = 1
_KNOWN: Final = 100_000


class QueueFile:
    """queue/<slot>.db as the committer sees it."""

    def __init__(self, layout: Layout, slot: int, options: OpenOptions, disk: Disk) -> None:
        self.layout = layout
        self.slot = slot
        self.disk = disk
        self.garbage: list[str] = []
        self.next_body = 0
        self.known: dict[str, tuple[int, int]] = {}  # entries accepted here: body row, number of recipients
        self._options = options
        self._level = _FULL
        self._writer: apsw.Connection | None = None

    def begin(self, durable: bool = True) -> QueueUnit:
        """Open a transaction. Raises apsw.Error."""
        if self._writer is None:
            path = self.layout.slot(self.slot)
            self._writer = open_database(path, self._options, cache_kib=4 * self._options.writer_cache_kib)
            self._level = _FULL
            self.next_body = self._writer.execute("SELECT coalesce(max(id), 0) + 1 FROM body").get
        level = _FULL if durable else _NORMAL
        if level != self._level:
            self._writer.pragma("synchronous", level)
            self._level = level
        self._writer.execute("BEGIN IMMEDIATE")
        return QueueUnit(self, self._writer, durable)

    def close(self) -> None:
        """Close; a checkpoint syncs what lazy commits left, after which garbage may go."""
        if self._writer is None:
            return
        with contextlib.suppress(apsw.Error):
            self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self.sweep_garbage()
        with contextlib.suppress(apsw.Error):
            self._writer.close()
        self._writer = None

    def remember(self, entered: list[tuple[Any, ...]], removed: list[str]) -> None:
        """After a commit: what is in the file, so that finishing it needs no look."""
        known = self.known
        for entry in removed:
            known.pop(entry, None)
        if len(known) < _KNOWN:
            for row in entered:
                known[row[0]] = (row[4], row[6])

    def sweep_garbage(self) -> None:
        """Remove body files whose removal from the queue is durable now."""
        paths, self.garbage = self.garbage, []
        for path in paths:
            discard(self.disk, path)


class QueueUnit:
    """One transaction on a queue file."""

    __slots__ = ("_bodies", "_dead", "_durable", "_entries", "_files", "_gone", "connection", "file", "news")

    def __init__(self, file: QueueFile, connection: apsw.Connection, durable: bool) -> None:
        self.file = file
        self.connection = connection
        self.news: list[Callable[[], None]] = []
        self._durable = durable
        self._entries: list[tuple[Any, ...]] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._dead: dict[str, int] = {}  # entries to remove, and their body rows
        self._files: list[str] = []
        self._gone: list[str] = []

    # work

    def add(self, entry: Entry, packed: bytes) -> None:
        """Insert an entry; its body file, if it has one, is in place (see `new_file`)."""
        body = 0
        if not entry.content.path:
            body, self.file.next_body = self.file.next_body, self.file.next_body + 1
            self._bodies.append((body, entry.content.data))
        row = (entry.id, next_try(entry), entry.received, entry.size, body, packed, len(entry.recipients))
        self._entries.append(row)

    def new_file(self, path: str) -> None:
        """A body file was made: it goes when the transaction does not stand."""
        self._files.append(path)

    def finish(self, entry: str, results: Sequence[Recipient]) -> None:
        """Merge results in; an entry that is over is removed. Nothing happens when it is gone already."""
        known = self.file.known.get(entry)
        if known is not None and _all_over(results, known[1]):
            self._remove(entry, known[0])
            return
        self._insert()
        found = None if entry in self._dead else self._find(entry)
        if found is not None:
            self._put(found[0], settle(found[1], results))

    def change(self, which: QueueFilter, change: Change) -> int:
        """Change what the filter means; how many entries changed."""
        self._insert()
        self._delete()
        changed = 0
        for body, entry in select(self.connection, self.file.layout, self.file.slot, which.ids):
            meant = chosen(entry, which)
            if meant and (which.limit is None or changed < which.limit):
                self._put(body, merge(entry, [change.apply(entry, item) for item in meant]))
                changed += 1
        return changed

    def has(self, entry: str) -> bool:
        """Is the entry in this file?"""
        return self.connection.execute("SELECT 1 FROM entry WHERE id = ?", (entry,)).fetchone() is not None

    def _find(self, entry: str) -> tuple[int, Entry] | None:
        found = list(select(self.connection, self.file.layout, self.file.slot, (entry,)))
        return found[0] if found else None

    def _put(self, body: int, entry: Entry) -> None:
        if is_over(entry):
            self._remove(entry.id, body)
        else:
            self.connection.execute(
                "UPDATE entry SET next = ?, envelope = ? WHERE id = ?", (next_try(entry), pack(entry), entry.id)
            )

    def _remove(self, entry: str, body: int) -> None:
        self._dead[entry] = body
        if not body:
            self._gone.append(f"{self.file.layout.queue_bodies}/{entry}")

    def _delete(self) -> None:
        """Remove dead entries and their octets, each kind with one statement."""
        dead, self._dead = self._dead, {}
        if not dead:
            return
        self.connection.execute("DELETE FROM entry WHERE id IN carray(?)", (apsw.carray(tuple(dead)),))
        rows = array("q", [body for body in dead.values() if body])
        if rows:
            self.connection.execute("DELETE FROM body WHERE id IN carray(?)", (apsw.carray(rows),))

    def _insert(self) -> None:
        entries, self._entries = self._entries, []
        bodies, self._bodies = self._bodies, []
        if bodies:
            self.connection.executemany("INSERT INTO body VALUES (?, ?)", bodies)
        if entries:
            self.connection.executemany(
                "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6)", [row[:6] for row in entries]
            )

    # the committer

    def changed(self) -> int:
        """Grows with every change."""
        return self.connection.total_changes() + len(self._entries) + len(self._dead)

    def commit(self) -> Callable[[], None] | None:
        """Body files first, so that a row never names a file that is not there."""
        if self._files:
            self.file.disk.sync_folder(self.file.layout.queue_bodies)
        entered, removed = self._entries, list(self._dead)
        self._insert()
        self._delete()
        self.connection.execute("COMMIT")
        self.file.remember(entered, removed)
        self.file.garbage += self._gone
        if self._durable and self.file.garbage:
            self.file.sweep_garbage()
        news = self.news
        return (lambda: _tell(news)) if news else None

    def rollback(self) -> None:
        """As if it never was."""
        rollback(self.connection)
        for path in self._files:
            discard(self.file.disk, path)


def _all_over(results: Sequence[Recipient], count: int) -> bool:
    """Do these results end an entry of so many recipients?"""
    if any(result.state not in TERMINAL for result in results):
        return False
    return len({result.index for result in results}) == count


def _tell(news: list[Callable[[], None]]) -> None:
    for tell in news:
        tell()


def open_slot(path: str, options: OpenOptions) -> apsw.Connection:
    """A reader of a slot's file, which is made if it is not there. Raises apsw.Error."""
    reader = open_database(path, options, cache_kib=options.reader_cache_kib, create=True)
    set_up(reader, schema.QUEUE, schema.QUEUE_VERSION)
    return reader


_COLUMNS: Final = "SELECT id, received, size, envelope, body FROM entry"


def select(connection: apsw.Connection, layout: Layout, slot: int, ids: Sequence[str] = ()) -> list[tuple[int, Entry]]:
    """(body row, entry) without octets in memory: those with these ids, or all, oldest first."""
    if ids:
        rows: list[Any] = []
        for number in ids:
            rows += connection.execute(f"{_COLUMNS} WHERE id = ?", (number,)).fetchall()
    else:
        rows = connection.execute(f"{_COLUMNS} ORDER BY received, id").fetchall()
    return _entries(rows, layout, slot)


def with_octets(connection: apsw.Connection, body: int, entry: Entry) -> Entry:
    """The entry with its octets, when they lie in a row."""
    if not body:
        return entry
    data: bytes | None = connection.execute("SELECT data FROM body WHERE id = ?", (body,)).get
    return replace(entry, content=Content.of(data or b""))


def due_rows(connection: apsw.Connection, layout: Layout, slot: int, now: float, limit: int) -> list[tuple[int, Entry]]:
    """(body row, entry) of entries whose next try has come, earliest first."""
    rows: list[Any] = connection.execute(
        f"{_COLUMNS} WHERE next IS NOT NULL AND next <= ? ORDER BY next LIMIT ?", (now, limit)
    ).fetchall()
    return _entries(rows, layout, slot)


def look_rows(
    connection: apsw.Connection, layout: Layout, slot: int, now: float, page: tuple[int, Place | None]
) -> tuple[list[Entry], Place | None]:
    """Entries due, earliest first, without octets in memory, and the place of the last one. page: most, after."""
    limit, after = page
    rows: list[Any] = connection.execute(
        "SELECT id, received, size, envelope, body, next FROM entry"
        " WHERE next IS NOT NULL AND next <= ?1 AND (next, id) > (?2, ?3) ORDER BY next, id LIMIT ?4",
        (now, *(after or (float("-inf"), "")), limit),
    ).fetchall()
    place = (rows[-1][5], rows[-1][0]) if len(rows) == limit else None
    return [entry for _, entry in _entries([row[:5] for row in rows], layout, slot)], place


def loaded(connection: apsw.Connection, entry: Entry) -> Entry:
    """The entry with the octets that lie in a row. Raises NotFound."""
    data: bytes | None = connection.execute(
        "SELECT data FROM body WHERE id = (SELECT body FROM entry WHERE id = ?)", (entry.id,)
    ).get
    if data is None:
        raise NotFound(f"{entry.id} is not in the queue any more")
    return replace(entry, content=Content.of(data))


def keep_answers(connection: apsw.Connection, answers: Sequence[tuple[float, Once]]) -> None:
    """Write down what requests were told, with their times; what is too old goes."""
    for at, once in answers:
        connection.execute("DELETE FROM answer WHERE at < ?", (at - ANSWERS_KEPT,))
        connection.execute("REPLACE INTO answer VALUES (?, ?, ?, ?)", (once.key, at, once.request, once.answer))


def answer_of(connection: apsw.Connection, key: bytes, since: float) -> Once | None:
    """What the request with this key was told."""
    row = connection.execute("SELECT request, answer FROM answer WHERE key = ? AND at >= ?", (key, since)).fetchone()
    return Once(key=key, request=row[0], answer=row[1]) if row is not None else None


def answers(connection: apsw.Connection) -> list[tuple[float, Once]]:
    """All of them."""
    rows: list[Any] = connection.execute("SELECT at, key, request, answer FROM answer").fetchall()
    return [(at, Once(key=key, request=request, answer=answer)) for at, key, request, answer in rows]


def _entries(rows: list[Any], layout: Layout, slot: int) -> list[tuple[int, Entry]]:
    folder = layout.queue_bodies
    return [
        (body, unpack((number, received, size, envelope), slot, f"{folder}/{number}", b"" if body else None))
        for number, received, size, envelope, body in rows
    ]
