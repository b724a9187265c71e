"""A message on its way in: memory up to 64 KiB, then a file in queue/tmp.

Owns: the file until it is closed. The store that takes the content over gives the file a second name, so closing is
always right. Files whose process died are removed when their slot starts again.
"""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from postroom.store.api.errors import StoreUnavailable
from postroom.store.embedded.disk import Disk, discard
from postroom.values.content import Content

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

IN_MEMORY: Final = 64 * 1024
_WRITE_AT: Final = 256 * 1024


class FileSpool:
    """See postroom.store.api.Spool."""

    __slots__ = ("_content", "_disk", "_failed", "_file", "_hash", "_parts", "_path", "_pending", "_size")

    def __init__(self, disk: Disk, path: str) -> None:
        """path: of the file if one is needed; what makes it unique is put behind it then."""
        self._disk = disk
        self._path = path
        self._parts: list[bytes] = []
        self._pending = 0  # octets in _parts
        self._size = 0
        self._file = -1
        self._hash: Hash | None = None  # of what is in the file
        self._content: Content | None = None
        self._failed = False

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: bytes) -> None:
        self._parts.append(bytes(data))
        self._size += len(data)
        self._pending += len(data)
        if self._pending > (IN_MEMORY if self._file < 0 else _WRITE_AT):
            self._flush()

    def _flush(self) -> None:
        if self._failed:
            raise StoreUnavailable("no room for a message")
        data = b"".join(self._parts)
        self._parts.clear()
        self._pending = 0
        if self._hash is None:
            self._hash = sha256()
            self._path += f"-{token_hex(4)}"
        self._hash.update(data)
        try:
            if self._file < 0:
                self._file = self._disk.create(self._path)
            self._disk.write(self._file, data)
        except OSError as fault:
            self._failed = True
            self.close()
            raise StoreUnavailable(f"no room for a message: {fault}") from fault

    async def seal(self) -> Content:
        if self._content is None:
            self._content = await self._seal()
        return self._content

    async def _seal(self) -> Content:
        if self._file < 0 and not self._failed:
            return Content.of(b"".join(self._parts))
        if self._pending or self._failed:
            self._flush()
        assert self._hash is not None
        file, self._file = self._file, -1
        try:
            await asyncio.to_thread(self._sync, file)
        except OSError as fault:
            self._failed = True
            self.close()
            raise StoreUnavailable(f"a message could not be written: {fault}") from fault
        return Content(size=self._size, path=self._path, digest=self._hash.digest())

    def _sync(self, file: int) -> None:
        try:
            self._disk.sync(file)
        finally:
            self._disk.close(file)

    def close(self) -> None:
        if self._file >= 0:
            file, self._file = self._file, -1
            self._disk.close(file)
        self._parts.clear()
        if self._size > IN_MEMORY:
            discard(self._disk, self._path)


def sweep_spools(disk: Disk, folder: str, prefix: str) -> int:
    """Remove files that spools of a process that is gone left behind; how many."""
    left = [name for name in os.listdir(folder) if name.startswith(prefix)]
    for name in left:
        discard(disk, f"{folder}/{name}")
    return len(left)
