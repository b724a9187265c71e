"""Open alarms in a small SQLite file that is opened only when there is something to write or to read.

Owns: data/alarms.db. What happens often is added up in memory for a second and written once.
On failure: what could not be written is dropped; the log has it all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, TypeVar

import apsw
import msgspec
from msgspec import Struct

from postroom.store.api.alarms import Alarm
from postroom.store.embedded import schema
from postroom.store.embedded.database import OpenOptions, open_database, rollback, set_up, unavailable
from postroom.store.embedded.layout import Layout

T = TypeVar("T")

_SECONDS: Final = 1.0
_MOST: Final = 200  # different alarms that wait, and that are open
_encode = msgspec.json.Encoder(enc_hook=str).encode


class _Noted(Struct):
    count: int
    first: float
    last: float
    fields: bytes


class EmbeddedAlarms:
    """See postroom.store.api.AlarmStore."""

    def __init__(self, layout: Layout, options: OpenOptions) -> None:
        self._path = layout.alarms
        self._options = options
        self._waiting: dict[tuple[str, str], _Noted | None] = {}  # None: it is over
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, time: float, name: str, subject: str, fields: Mapping[str, Any]) -> None:
        place = name, subject
        noted = self._waiting.get(place)
        if noted is not None:
            noted.count += 1
            noted.last, noted.fields = time, _encode(fields)
        elif len(self._waiting) < _MOST:
            self._wait(place, _Noted(1, time, time, _encode(fields)))

    def end(self, names: Collection[str], subject: str) -> None:
        for name in names:
            self._wait((name, subject), None)

    def _wait(self, place: tuple[str, str], noted: _Noted | None) -> None:
        if not self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._start)
        self._waiting[place] = noted

    def _start(self) -> None:
        task = asyncio.get_running_loop().create_task(self._write())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._write()
        if self._writing:
            await asyncio.gather(*self._writing)

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        if waiting:
            with contextlib.suppress(apsw.Error, OSError):
                await asyncio.to_thread(self._keep, waiting)

    def keep(self, time: float, name: str, subject: str, fields: Mapping[str, Any]) -> None:
        """Note it at once, for who has no event loop. Never raises."""
        with contextlib.suppress(apsw.Error, OSError):
            self._keep({(name, subject): _Noted(1, time, time, _encode(fields))})

    def end_now(self, names: Collection[str], subject: str) -> None:
        """The same for `end`."""
        with contextlib.suppress(apsw.Error, OSError):
            self._keep({(name, subject): None for name in names})

    def _keep(self, waiting: Mapping[tuple[str, str], _Noted | None]) -> None:
        if not any(waiting.values()) and not os.path.exists(self._path):
            return
        with self._changing() as connection:
            for (name, subject), noted in waiting.items():
                if noted is None:
                    connection.execute("DELETE FROM alarm WHERE name = ? AND subject = ?", (name, subject))
                    continue
                connection.execute(
                    "INSERT INTO alarm(name, subject, first, last, count, fields) VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT(name, subject) DO UPDATE SET last = max(last, excluded.last), "
                    "count = count + excluded.count, fields = excluded.fields",
                    (name, subject, noted.first, noted.last, noted.count, noted.fields),
                )
            connection.execute(
                "DELETE FROM alarm WHERE id NOT IN (SELECT id FROM alarm ORDER BY last DESC LIMIT ?)", (_MOST,)
            )

    @contextlib.contextmanager
    def _changing(self) -> Iterator[apsw.Connection]:
        """One transaction."""
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = open_database(self._path, self._options, cache_kib=64)
        try:
            set_up(connection, schema.ALARMS, schema.ALARMS_VERSION)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                rollback(connection)
                raise
        finally:
            connection.close()

    async def open(self) -> list[Alarm]:
        return await self._asked(self._open)

    def _open(self) -> list[Alarm]:
        if not os.path.exists(self._path):
            return []
        with self._changing() as connection:
            rows: list[Any] = connection.execute(
                "SELECT id, name, subject, first, last, count, fields FROM alarm ORDER BY last, id"
            ).fetchall()
        return [
            Alarm(
                id=row[0],
                name=row[1],
                subject=row[2],
                first=row[3],
                last=row[4],
                count=row[5],
                fields=msgspec.json.decode(row[6], type=dict[str, Any]),
            )
            for row in rows
        ]

    async def close(self, ids: Collection[int]) -> int:
        def work() -> int:
            if not os.path.exists(self._path):
                return 0
            with self._changing() as connection:
                connection.executemany("DELETE FROM alarm WHERE id = ?", [(one,) for one in ids])
                return connection.total_changes()

        return await self._asked(work)

    async def _asked(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (apsw.Error, OSError) as fault:
            raise unavailable(fault) from fault
