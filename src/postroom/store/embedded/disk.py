"""The few things we ask of a file system outside SQLite, and the one way a file becomes durable.

Owns: the order temporary name, write, fsync, rename or link, fsync of the folder. After a crash a name that was
never answered for may exist (a sweep removes it) but never a name with half its octets.
`Disk` is a Protocol so that tests can fail or lose power at every single step.
On failure: OSError, passed on by the committer as StoreUnavailable.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from typing import Protocol

#: hard links are refused across file systems, by some file systems, and past a count; then we copy
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP})
_COPY_SLICE = 256 * 1024


class Disk(Protocol):
    """Primitive steps; each may fail with OSError. All but `write` are durable only after a sync."""

    def create(self, path: str) -> int:
        """A descriptor for a new, empty, private file. Raises FileExistsError."""
        ...

    def write(self, file: int, data: bytes) -> None:
        """Append all of data."""
        ...

    def sync(self, file: int) -> None:
        """The file's octets survive power loss when this returns."""
        ...

    def sync_path(self, path: str) -> None:
        """The octets of a file that others write survive power loss when this returns. Raises FileNotFoundError."""
        ...

    def close(self, file: int) -> None: ...

    def link(self, source: str, target: str) -> None: ...

    def rename(self, source: str, target: str) -> None: ...

    def unlink(self, path: str) -> None: ...

    def make_folder(self, path: str) -> None:
        """Make the folder unless it is there."""
        ...

    def sync_folder(self, path: str) -> None:
        """Names made in or removed from the folder survive power loss when this returns."""
        ...


class OsDisk:
    """The real one."""

    __slots__ = ()

    def create(self, path: str) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, file: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]

    def sync(self, file: int) -> None:
        os.fdatasync(file)

    def sync_path(self, path: str) -> None:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)

    def close(self, file: int) -> None:
        os.close(file)

    def link(self, source: str, target: str) -> None:
        os.link(source, target)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def make_folder(self, path: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)

    def sync_folder(self, path: str) -> None:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def keep_octets(disk: Disk, data: bytes, target: str) -> None:
    """Make the new file `target` of these octets, durable but for its name: sync_folder its folder afterwards."""
    _keep(disk, [data], target)


def keep_file(disk: Disk, source: str, target: str) -> None:
    """Give the sealed file `source` a second name `target`; a copy where links are refused. Then sync_folder."""
    try:
        disk.link(source, target)
    except OSError as fault:
        if fault.errno not in _NO_LINK:
            raise
        with open(source, "rb", buffering=0) as file:
            _keep(disk, iter(lambda: file.read(_COPY_SLICE), b""), target)


def discard(disk: Disk, path: str) -> None:
    """Remove a file if it is there. What cannot be removed is left to the next sweep."""
    with contextlib.suppress(OSError):
        disk.unlink(path)


def _keep(disk: Disk, slices: Iterable[bytes], target: str) -> None:
    temporary = f"{target}.new"
    discard(disk, temporary)
    file = disk.create(temporary)
    try:
        for data in slices:
            disk.write(file, data)
        disk.sync(file)
    except OSError:
        discard(disk, temporary)
        raise
    finally:
        disk.close(file)
    try:
        disk.link(temporary, target)  # not rename: a target that is there belongs to another message
        discard(disk, temporary)
    except OSError as fault:
        if fault.errno not in _NO_LINK or os.path.exists(target):
            discard(disk, temporary)
            raise
        disk.rename(temporary, target)
