"""An account's index.db: segments in pieces, each with a checksum, and one row that says which there are.

SQLite does not notice octets that changed on the disk, so every piece carries its CRC, and the state names sizes: what
is missing or wrong becomes IndexDamaged, never a wrong answer. Commits are not synced; SQLite syncs when it moves the
WAL into the file, so a power cut takes the last changes only.
An index that was dropped is another file: whoever holds the old one open sees by its inode that it is gone. Who finds
it damaged leaves a mark beside it (index.bad), so that the one process that may drop it hears of it.
On failure: IndexDamaged, StoreUnavailable.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from zlib import crc32

import apsw
import msgspec

from postroom.store.api.errors import StoreError
from postroom.store.api.index import IndexChange, IndexDamaged, IndexState, SegmentRow, waiting_after
from postroom.store.embedded import schema
from postroom.store.embedded.database import OpenOptions, open_database, rollback, set_up, unavailable

#: octets of a segment in one row
PIECE: Final = 64 * 1024
#: of the names of the files that belong to the database
_ENDS: Final = ("", "-wal", "-shm")
#: what another process or the disk may do to a sound file; whatever else SQLite says of one means that it is damaged:
#: a schema that lost an octet gives SQLError, a row that is there twice ConstraintError
_PASSING: Final = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.IOError,
    apsw.FullError,
    apsw.CantOpenError,
    apsw.NoMemError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
    apsw.AuthError,
    apsw.InterruptError,
    apsw.ThreadingViolationError,
    apsw.ConnectionClosedError,
)
_CHECKPOINT_PAGES: Final = 250
#: pages of the file; larger ones make long rows quicker to read
_PAGE: Final = 16 * 1024

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(IndexState)


class EmbeddedIndex:
    """See postroom.store.api.IndexFile."""

    __slots__ = ("_connection", "_inode", "_lock", "_options", "_path", "_told")

    def __init__(self, path: str, options: OpenOptions, told: Callable[[], None] = lambda: None) -> None:
        """told: called, on the event loop, when somebody should look at it."""
        self._path = path
        self._told = told
        self._options = options
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None
        self._inode = 0

    @contextlib.contextmanager
    def read(self) -> Iterator[Reading]:
        with self._lock, self._marking(), _told():
            connection = self._open(create=False)
            if connection is None:
                yield Reading(None)
                return
            connection.execute("BEGIN")
            try:
                yield Reading(connection)
            finally:
                rollback(connection)

    def change(self, change: IndexChange) -> IndexState:
        with self._lock, self._marking(), _told():
            connection = self._open(create=True)
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")
            try:
                state = _write(connection, change)
                connection.execute("COMMIT")
            except BaseException:
                rollback(connection)
                raise
            return state

    def drop(self) -> None:
        with self._lock:
            self._close()
            try:
                for path in (*(self._path + end for end in _ENDS), self._bad):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path)
            except OSError as fault:
                raise unavailable(fault) from fault

    @property
    def _bad(self) -> str:
        return f"{self._path.removesuffix('.db')}.bad"

    @contextlib.contextmanager
    def _marking(self) -> Iterator[None]:
        """Damage that is found is marked."""
        try:
            yield
        except IndexDamaged:
            self._close()
            with contextlib.suppress(OSError):
                condemn(self._path)
            raise

    def report(self) -> None:
        self._told()

    def connection(self) -> apsw.Connection:
        """Of the file that is there, without its promises. Raises apsw.Error, IndexDamaged."""
        return self._connect()

    def close(self) -> None:
        if self._lock.acquire(blocking=False):  # in use: it stays open until the next time
            try:
                self._close()
            finally:
                self._lock.release()

    def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(apsw.Error):
                connection.close()

    def _open(self, *, create: bool) -> apsw.Connection | None:
        """The connection to the file that is there now; None when there is none."""
        if os.path.exists(self._bad):
            raise IndexDamaged("it was found damaged")
        inode = self._number()
        if self._connection is not None and inode != self._inode:
            self._close()
        if self._connection is None:
            if not inode:
                if not create:
                    return None
                self._make()
            self._connection = self._connect()
            self._inode = self._number()
        return self._connection

    def _number(self) -> int:
        try:
            return os.stat(self._path).st_ino
        except FileNotFoundError:
            return 0

    def _make(self) -> None:
        """The file, empty, under its name in one step."""
        new = f"{self._path}.new"
        for end in _ENDS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new + end)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = apsw.Connection(new, flags=apsw.SQLITE_OPEN_READWRITE, vfs=self._options.vfs)
        try:
            connection.pragma("page_size", _PAGE)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", 1)
            set_up(connection, schema.INDEX, schema.INDEX_VERSION)
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()
        for end in _ENDS[1:]:  # a WAL of a file that was dropped must not be taken for the new one's
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + end)
        os.rename(new, self._path)

    def _connect(self) -> apsw.Connection:
        connection = open_database(
            self._path, self._options, cache_kib=self._options.reader_cache_kib, checkpoint=_CHECKPOINT_PAGES
        )
        try:
            connection.pragma("synchronous", 1)
            if connection.pragma("user_version") != schema.INDEX_VERSION:
                raise IndexDamaged("an index of another version")
        except BaseException:
            connection.close()
            raise
        return connection


def faults_of(path: str, options: OpenOptions) -> Iterator[str]:
    """What is wrong with an index, for `postroom check`; one that is marked as damaged is made anew, and is no fault.

    Reads all of it. Raises StoreUnavailable.
    """
    if not os.path.exists(path) or os.path.exists(f"{path.removesuffix('.db')}.bad"):
        return
    index = EmbeddedIndex(path, options)
    try:
        with _told():
            connection = index.connection()
            connection.execute("BEGIN")
            yield from (line for (line,) in connection.execute("PRAGMA integrity_check(10)") if line != "ok")
            reading = Reading(connection)
            for row in reading.state.segments:
                reading.segment(row)(0, row.size)
            for message, crc, data in connection.execute("SELECT message, crc, data FROM text"):
                if crc32(data) != crc:
                    yield f"what was read in the attachments of message {message} has changed"
            known = {row.id for row in reading.state.segments}
            pieces: list[Any] = connection.execute("SELECT DISTINCT id >> 24 FROM piece").fetchall()
            yield from (f"pieces belong to no segment: {number}" for (number,) in pieces if number not in known)
    except IndexDamaged as fault:
        yield str(fault)
    finally:
        index.close()


def condemn(path: str) -> None:
    """Mark an index as damaged: nobody reads it any more, and it is made anew. Raises OSError."""
    os.close(os.open(f"{path.removesuffix('.db')}.bad", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


class Reading:
    """See postroom.store.api.IndexReading."""

    __slots__ = ("_connection", "state")

    def __init__(self, connection: apsw.Connection | None) -> None:
        self._connection = connection
        self.state = IndexState() if connection is None else _state(connection)

    def segment(self, row: SegmentRow) -> Callable[[int, int], bytes]:
        return _Pieces(self._connection, row).read

    def texts(self, messages: Sequence[int]) -> dict[int, bytes]:
        if self._connection is None or not messages:
            return {}
        found = self._connection.execute(
            "SELECT message, crc, data FROM carray(?) AS wanted JOIN text ON text.message = wanted.value",
            (apsw.carray(_signed(messages)),),
        )
        return {message: _checked(crc, data) for message, crc, data in found}


class _Pieces:
    """A segment's octets, read a piece at a time; pieces that were read stay at hand."""

    __slots__ = ("_connection", "_known", "_row")

    def __init__(self, connection: apsw.Connection | None, row: SegmentRow) -> None:
        self._connection = connection
        self._row = row
        self._known: dict[int, bytes] = {}

    def read(self, start: int, end: int) -> bytes:
        """Octets start to end. Raises IndexDamaged."""
        end = min(end, self._row.size)
        if start >= end:
            return b""
        first, last = start // PIECE, (end - 1) // PIECE
        if first == last:
            return self._piece(first)[start - first * PIECE : end - first * PIECE]
        joined = b"".join([self._piece(number) for number in range(first, last + 1)])
        return joined[start - first * PIECE : end - first * PIECE]

    def _piece(self, number: int) -> bytes:
        found = self._known.get(number)
        if found is None:
            assert self._connection is not None
            with _told():
                row: Any = self._connection.execute(
                    "SELECT crc, data FROM piece WHERE id = ?", (_piece_id(self._row.id, number),)
                ).fetchone()
            if row is None:
                raise IndexDamaged(f"a piece of segment {self._row.id} is missing")
            found = self._known[number] = _checked(*row)
            if len(found) != min(PIECE, self._row.size - number * PIECE):
                raise IndexDamaged(f"a piece of segment {self._row.id} is cut off")
        return found


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors of SQLite and the system as the store's."""
    try:
        yield
    except StoreError:
        raise
    except (*_PASSING, OSError) as fault:
        raise unavailable(fault) from fault
    except apsw.Error as fault:
        raise IndexDamaged(f"{type(fault).__name__}: {fault}") from fault


def _piece_id(segment: int, number: int) -> int:
    return segment << 24 | number


def _signed(messages: Sequence[int]) -> Any:
    from postroom.store.embedded.account_read import signed

    return signed(messages)


def _checked(crc: int, data: bytes) -> bytes:
    if crc32(data) != crc:
        raise IndexDamaged("octets of the index have changed")
    return data


def _state(connection: apsw.Connection) -> IndexState:
    row: Any = connection.execute("SELECT crc, data FROM state").fetchone()
    if row is None:
        return IndexState()
    try:
        return _decoder.decode(_checked(*row))
    except msgspec.MsgspecError as fault:
        raise IndexDamaged(str(fault)) from fault


def _write(connection: apsw.Connection, change: IndexChange) -> IndexState:
    state = _state(connection)
    removed = frozenset(change.remove)
    segments = [row for row in state.segments if row.id not in removed]
    for segment in removed:
        connection.execute(
            "DELETE FROM piece WHERE id BETWEEN ? AND ?", (_piece_id(segment, 0), _piece_id(segment + 1, 0) - 1)
        )
    number = max((row.id for row in state.segments), default=0)
    for block, messages, octets in change.add:
        number += 1
        segments.append(SegmentRow(number, block, messages, len(octets)))
        pieces = [octets[at : at + PIECE] for at in range(0, len(octets), PIECE)]
        connection.executemany(
            "INSERT INTO piece VALUES (?, ?, ?)",
            [(_piece_id(number, place), crc32(piece), piece) for place, piece in enumerate(pieces)],
        )
    for message, text in change.texts.items():
        connection.execute("REPLACE INTO text VALUES (?, ?, ?)", (message, crc32(text), text))
    for message in change.forget:
        connection.execute("DELETE FROM text WHERE message = ?", (message,))
    named = {name: getattr(change, name) for name in ("form", "until", "witness", "swept")}
    given = {name: value for name, value in named.items() if value is not None}
    state = msgspec.structs.replace(state, segments=tuple(segments), waiting=waiting_after(state, change), **given)
    packed = _encoder.encode(state)
    connection.execute("REPLACE INTO state VALUES (1, ?, ?)", (crc32(packed), packed))
    return state
