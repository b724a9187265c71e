"""The TrainingStore: data/training.db, and training.db in the folder of each account that has trained.

Reading is done at once, through connections that stay open (the least recently used account's is closed); writing in a
thread, one transaction a call, through a few more that stay open. Files are made at first use; who never trained has
none, and asking costs one look at the folder. A file that is no database is moved aside: training can be had again,
mail must not wait for it.
On failure: StoreUnavailable.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import apsw

from postroom.store.api.errors import NotFound
from postroom.store.api.training import (
    EVERYBODY,
    HALF_LIFE,
    LESSONS_KEPT,
    RARE_KEPT,
    Learned,
    Lesson,
    Standing,
)
from postroom.store.embedded import schema
from postroom.store.embedded.database import OpenOptions, open_database, rollback, set_up, unavailable
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.words import WordTable, give_up, read_learned, write

T = TypeVar("T")

_OPEN: Final = 32
_WRITTEN: Final = 8
#: a standing below this weight is forgotten
_LIGHT: Final = 0.01
_NORMAL: Final = 1
#: of everybody's file: tokens of a message are spread over all of it
_CACHE_KIB: Final = 4096


class EmbeddedTraining:
    """See postroom.store.api.TrainingStore."""

    def __init__(self, layout: Layout, options: OpenOptions) -> None:
        self._layout = layout
        self._options = options
        self._readers: OrderedDict[str, apsw.Connection] = OrderedDict()
        self._writers: OrderedDict[str, apsw.Connection] = OrderedDict()
        self._writing = threading.Lock()
        self._table = WordTable(layout.words)

    def close(self) -> None:
        """Close the files."""
        with self._writing:
            for pool in (self._readers, self._writers):
                while pool:
                    pool.popitem()[1].close()
        self._table.close()

    # reading

    def learned(self, account: str, tokens: Sequence[int]) -> Learned:
        nothing = Learned(counts=((0, 0),) * len(tokens))
        if account != EVERYBODY:
            return self._read(account, lambda db: read_learned(db, tokens), nothing)
        return self._read(account, lambda db: self._table.learned(db, tokens), nothing)

    def lesson(self, account: str, id: str) -> bool | None:
        def look(db: apsw.Connection) -> bool | None:
            row: Any = db.execute("SELECT spam FROM lesson WHERE id = ?", (id,)).fetchone()
            return None if row is None else bool(row[0])

        return self._read(account, look, None)

    def standings(self, keys: Sequence[str], now: float) -> list[Standing]:
        return self._read(EVERYBODY, lambda db: [_standing(db, key, now) for key in keys], [Standing()] * len(keys))

    def _read(self, account: str, look: Callable[[apsw.Connection], T], nothing: T) -> T:
        path = self._path(account)
        try:
            reader = self._readers.get(path)
            if reader is None:
                if not os.path.exists(path):
                    return nothing
                reader = self._open(path)
                self._readers[path] = reader
                if len(self._readers) > _OPEN:
                    self._readers.popitem(last=False)[1].close()
            else:
                self._readers.move_to_end(path)
            return look(reader)
        except (apsw.NotADBError, apsw.CorruptError):
            self._put_aside(path)
            return nothing
        except (apsw.Error, OSError) as fault:
            raise unavailable(fault) from fault

    # changing

    async def learn(self, account: str, lessons: Sequence[Lesson], now: float) -> int:
        def work(db: apsw.Connection) -> int:
            changed = [lesson for lesson in lessons if _learn(db, lesson, now)]
            if changed and account == EVERYBODY:
                write(self._layout.words, db, [token for lesson in changed for token in lesson.tokens])
            return len(changed)

        return await self._write(account, work)

    async def unlearn(self, account: str) -> None:
        def work(db: apsw.Connection) -> None:
            db.execute("DELETE FROM token; DELETE FROM lesson; UPDATE total SET spam = 0, ham = 0")
            if account == EVERYBODY:
                write(self._layout.words, db, None)

        await self._write(account, work)

    async def rate(self, keys: Sequence[str], good: float, bad: float, now: float) -> None:
        def work(db: apsw.Connection) -> None:
            for key in dict.fromkeys(keys):
                found = _standing(db, key, now)
                values = (key, max(found.good + good, 0.0), max(found.bad + bad, 0.0), now)
                db.execute("REPLACE INTO standing(name, good, bad, at) VALUES (?, ?, ?, ?)", values)

        await self._write(EVERYBODY, work)

    async def sweep(self, now: float) -> int:
        def work(db: apsw.Connection) -> int:
            before = db.total_changes()
            db.execute("DELETE FROM token WHERE spam + ham <= 1 AND at < ?", (now - RARE_KEPT,))
            fewer = db.changes() > 0
            db.execute("DELETE FROM lesson WHERE at < ?", (now - LESSONS_KEPT,))
            rows: Any = db.execute("SELECT name, good, bad, at FROM standing").fetchall()
            for name, good, bad, at in rows:
                if (good + bad) * _left(now - at) < _LIGHT:
                    db.execute("DELETE FROM standing WHERE name = ?", (name,))
            gone = db.total_changes() - before
            if fewer:
                write(self._layout.words, db, None)
            return gone

        return await self._write(EVERYBODY, work)

    async def _write(self, account: str, work: Callable[[apsw.Connection], T]) -> T:
        path = self._path(account)
        try:
            return await asyncio.to_thread(self._in_thread, path, work)
        except (apsw.NotADBError, apsw.CorruptError):
            self._put_aside(path)
            return await self._write(account, work)
        except (apsw.Error, OSError) as fault:
            raise unavailable(fault) from fault

    def _in_thread(self, path: str, work: Callable[[apsw.Connection], T]) -> T:
        with self._writing:
            db = self._writers.get(path)
            if db is None:
                db = self._writers[path] = self._open(path)
                if len(self._writers) > _WRITTEN:
                    self._writers.popitem(last=False)[1].close()
            else:
                self._writers.move_to_end(path)
            try:
                db.execute("BEGIN IMMEDIATE")
                result = work(db)
                db.execute("COMMIT")
                return result
            finally:
                rollback(db)

    def _open(self, path: str) -> apsw.Connection:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        everybody = path == self._layout.training
        db = open_database(path, self._options, cache_kib=_CACHE_KIB if everybody else self._options.reader_cache_kib)
        try:
            db.pragma("synchronous", _NORMAL)
            set_up(db, schema.TRAINING, schema.TRAINING_VERSION)
        except BaseException:
            db.close()
            raise
        return db

    def _path(self, account: str) -> str:
        if account == EVERYBODY:
            return self._layout.training
        layout = self._layout.account(account)
        if not os.path.exists(layout.database):
            self._forget(layout.training)
            raise NotFound(f"there is no account {account}")
        return layout.training

    def _forget(self, path: str) -> None:
        with self._writing:
            for pool in (self._readers, self._writers):
                connection = pool.pop(path, None)
                if connection is not None:
                    connection.close()

    def _put_aside(self, path: str) -> None:
        self._forget(path)
        if path == self._layout.training:
            self._table.close()
            give_up(self._layout.words)
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(path + end, f"{path}.damaged{end}")


def _learn(db: apsw.Connection, lesson: Lesson, now: float) -> bool:
    row: Any = db.execute("SELECT spam FROM lesson WHERE id = ?", (lesson.id,)).fetchone()
    before = None if row is None else bool(row[0])
    if before is lesson.spam:
        return False
    if before is not None:
        _count(db, lesson, before, -1, now)
        db.execute("DELETE FROM lesson WHERE id = ?", (lesson.id,))
    if lesson.spam is not None:
        _count(db, lesson, lesson.spam, 1, now)
        db.execute("INSERT INTO lesson(id, spam, at) VALUES (?, ?, ?)", (lesson.id, int(lesson.spam), now))
    return True


def _count(db: apsw.Connection, lesson: Lesson, spam: bool, step: int, now: float) -> None:
    kind = "spam" if spam else "ham"
    db.execute(f"UPDATE total SET {kind} = max({kind} + ?, 0)", (step,))
    if step > 0:
        sql = (
            f"INSERT INTO token(id, {kind}, at) VALUES (?, 1, ?)"
            f" ON CONFLICT(id) DO UPDATE SET {kind} = {kind} + 1, at = excluded.at"
        )
        db.executemany(sql, [(token, now) for token in lesson.tokens])
        return
    db.executemany(f"UPDATE token SET {kind} = max({kind} - 1, 0) WHERE id = ?", [(one,) for one in lesson.tokens])
    db.executemany("DELETE FROM token WHERE id = ? AND spam = 0 AND ham = 0", [(one,) for one in lesson.tokens])


def _standing(db: apsw.Connection, key: str, now: float) -> Standing:
    row: Any = db.execute("SELECT good, bad, at FROM standing WHERE name = ?", (key,)).fetchone()
    if row is None:
        return Standing()
    left = _left(now - row[2])
    return Standing(good=row[0] * left, bad=row[1] * left)


def _left(age: float) -> float:
    return float(0.5 ** (max(age, 0.0) / HALF_LIFE))
