"""One way to open a SQLite file, and what its errors mean to a caller.

WAL with synchronous=FULL: a commit that returned survives power loss. Small page caches, because a worker holds
hundreds of accounts open. Closing a connection does not checkpoint (that costs two syncs); the committer does.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

import apsw

from postroom.store.api.errors import StoreBusy, StoreDamaged, StoreError, StoreUnavailable

#: a shared file: p99 of a commit 5 ms at 4,000 pages, 28 ms at 1,000, and the WAL stays bounded (16 MiB)
CHECKPOINT_PAGES: Final = 4000
#: an account's file: commits cost the same at 250 and at 4,000 (docs/store.md), so thousands of accounts keep it small
ACCOUNT_CHECKPOINT_PAGES: Final = 1000


#: small blocks SQLite keeps ready for each connection: size, number (its own choice takes 110 KiB a connection more)
_LOOKASIDE: Final = (128, 64)


def _save_memory() -> None:
    """A worker holds a connection or two for each open account; SQLite takes this before its first one only."""
    with contextlib.suppress(apsw.MisuseError):
        apsw.shutdown()
        apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, *_LOOKASIDE)
    # SQLite may be built not to do this by itself; without it the page caches of all threads share memory unlocked
    apsw.initialize()


_save_memory()


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How files are opened. vfs: name of an apsw VFS, for tests; busy_ms: wait for another process's commit."""

    vfs: str | None = None
    busy_ms: int = 10_000
    reader_cache_kib: int = 256
    writer_cache_kib: int = 512


def open_database(
    path: str, options: OpenOptions, *, cache_kib: int, create: bool = False, checkpoint: int = CHECKPOINT_PAGES
) -> apsw.Connection:
    """A connection in WAL mode. Raises apsw.Error (see `unavailable`)."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOMUTEX | (apsw.SQLITE_OPEN_CREATE if create else 0)
    connection = apsw.Connection(path, flags=flags, vfs=options.vfs, statementcachesize=64)
    try:
        connection.set_busy_timeout(options.busy_ms)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", 2)
        connection.pragma("cache_size", -cache_kib)
        connection.wal_autocheckpoint(checkpoint)
    except BaseException:
        connection.close()
        raise
    return connection


def set_up(connection: apsw.Connection, schema: str, version: int) -> None:
    """Make the tables unless they are there; several processes may try at once. Raises StoreError if too new."""
    found = connection.pragma("user_version")
    if found == version:
        return
    if found:
        raise StoreError(f"the file has schema {found}; this version of Postroom knows {version}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not connection.pragma("user_version"):
            connection.execute(schema)
            connection.pragma("user_version", version)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def unavailable(fault: Exception) -> Exception:
    """What a caller is told: disk and lock trouble as StoreUnavailable, everything else as it is."""
    if isinstance(fault, StoreError):
        return fault
    if isinstance(fault, (apsw.CorruptError, apsw.NotADBError)):
        return StoreDamaged(f"{type(fault).__name__}: {fault}")
    if isinstance(fault, (apsw.BusyError, apsw.LockedError)):
        return StoreBusy(f"{type(fault).__name__}: {fault}")
    if isinstance(fault, (apsw.Error, OSError)):
        return StoreUnavailable(f"{type(fault).__name__}: {fault}")
    return fault


def rollback(connection: apsw.Connection) -> None:
    """End the transaction whatever happened; SQLite may have rolled back by itself (disk full)."""
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except apsw.Error:
            if connection.in_transaction:
                raise
