"""Who works on a request with a key of its own: locked octets of one file, which all processes see.

An octet whose place comes of the key is locked (an open file description lock), so it is free again when the process
that holds it dies, and nothing is left to tidy up. Two keys that fall on one octet wait for each other, once in 2**56.
Owns: one descriptor, opened at first use. On failure: StoreUnavailable.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import Final

from postroom.store.api.errors import StoreUnavailable

#: struct flock: type, whence, start, length, pid
_FLOCK: Final = struct.Struct("hhqqi4x")


class Claims:
    """The claims of one process on the keys of a data folder."""

    __slots__ = ("_file", "_held", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._held: set[int] = set()

    @contextlib.contextmanager
    def claim(self, key: bytes) -> Iterator[bool]:
        """See QueueStore.claim. key: 7 octets at least, of a digest."""
        place = int.from_bytes(key[:7], "big")
        if place in self._held or not self._lock(place, fcntl.F_WRLCK):
            yield False
            return
        self._held.add(place)
        try:
            yield True
        finally:
            self._held.discard(place)
            self._lock(place, fcntl.F_UNLCK)

    def _lock(self, place: int, kind: int) -> bool:
        try:
            if self._file < 0:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, place, 1, 0))
        except (BlockingIOError, PermissionError):  # F_SETLK may say either
            return False
        except OSError as fault:
            raise StoreUnavailable(f"{self._path}: {fault}") from fault
        return True

    def close(self) -> None:
        """Give everything back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
