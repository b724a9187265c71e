"""A database file so rarely used that nobody keeps it open: each piece of work opens it, is one transaction, closes it.

Owns: nothing between two calls. The file is made at first use, with its schema.
On failure: StoreUnavailable, and nothing of the work was done; what the work itself raises passes through.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final, TypeVar

import apsw

from postroom.store.embedded.database import OpenOptions, open_database, rollback, set_up, unavailable

T = TypeVar("T")


def _nothing_more() -> None:
    """The file alone."""


class BriefFile:
    """One file, for one process; others may use it at the same time."""

    def __init__(
        self, path: str, options: OpenOptions, schema: tuple[str, int], made: Callable[[], None] = _nothing_more
    ) -> None:
        """schema: its SQL and version; made: called when the file has just been made, before anything is in it."""
        self.path: Final = path
        self._options = options
        self._schema = schema
        self._made = made

    async def do(self, work: Callable[[apsw.Connection], T]) -> T:
        """One synced transaction, in a thread."""
        return await asyncio.to_thread(self._in_thread, work)

    async def read(self, work: Callable[[apsw.Connection], T], nothing: T) -> T:
        """The same; where the file was never used, `nothing`, and no file is made for the question."""

        def asked() -> T:
            return self._in_thread(work) if os.path.exists(self.path) else nothing

        return await asyncio.to_thread(asked)

    def _in_thread(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            connection = self._open()
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
                return result
            finally:
                rollback(connection)
                connection.close()
        except (apsw.Error, OSError) as fault:
            raise unavailable(fault) from fault

    def _open(self) -> apsw.Connection:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            self._made()
        connection = open_database(self.path, self._options, cache_kib=self._options.reader_cache_kib)
        try:
            set_up(connection, *self._schema)
        except BaseException:
            connection.close()
            raise
        return connection
