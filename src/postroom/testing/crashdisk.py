"""A disk that fails, or loses power, at the n-th step, for the store's Disk and for SQLite alike.

It works on real files and remembers beside them what a power loss would leave: of each file the octets of its last
sync, of each folder the names of its last sync. After the crash `after_power_loss` builds that tree somewhere else,
either without anything unsynced, or (with a seed) with some unsynced sectors and names and not others, as real disks
do. Steps are writes, syncs, truncations, and everything that changes names.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from postroom.store.embedded.disk import OsDisk

_SECTOR = 512


class _File:
    """One file (inode): its octets at the last sync."""

    __slots__ = ("synced",)

    def __init__(self, synced: bytes = b"") -> None:
        self.synced = synced


class CrashDisk:
    """A Disk, and a VFS of the name `vfs`, that count steps together. crash_at 0: never. lasting: power stays off."""

    def __init__(self, root: Path, *, crash_at: int = 0, lasting: bool = True) -> None:
        self.root = os.fspath(root)
        self.crash_at = crash_at
        self.lasting = lasting
        self.steps = 0
        self.crashed = False
        self._real = OsDisk()
        self._open: dict[int, str] = {}
        self._names: dict[str, _File | None] = {}  # None: a folder
        for path in Path(root).rglob("*"):
            if not path.name.endswith("-shm"):
                self._names[os.fspath(path)] = _File(path.read_bytes()) if path.is_file() else None
        self._synced_names = dict(self._names)
        self.vfs = f"crash-{id(self)}"
        self._vfs = _CrashVfs(self)

    def end(self) -> None:
        """Forget the VFS; no connection may be open."""
        self._vfs.unregister()

    def step(self) -> None:
        """One step. Raises OSError when it is the one to fail, or when the power is off."""
        self.steps += 1
        if self.crashed and self.lasting:
            raise OSError(errno.EIO, "the power is off")
        if self.steps == self.crash_at:
            self.crashed = True
            raise OSError(errno.EIO, "the disk failed")

    # what SQLite's files report

    def appeared(self, path: str) -> None:
        """A file was opened: if it is new its name is not synced yet."""
        self._names.setdefault(path, _File())

    def synced(self, path: str) -> None:
        """A SQLite file was synced; SQLite syncs the folder of a new journal too."""
        self._keep_octets(path)
        self._keep_names(os.path.dirname(path))

    def vanished(self, path: str, durable: bool) -> None:
        """A SQLite file was removed."""
        self._names.pop(path, None)
        if durable:
            self._synced_names.pop(path, None)

    def _keep_octets(self, path: str) -> None:
        file = self._names.get(path)
        if file is not None:
            file.synced = Path(path).read_bytes()

    def _keep_names(self, folder: str) -> None:
        for path in [path for path in self._synced_names if os.path.dirname(path) == folder]:
            if path not in self._names:
                del self._synced_names[path]
        for path, file in self._names.items():
            if os.path.dirname(path) == folder:
                self._synced_names[path] = file

    # postroom.store.embedded.disk.Disk

    def create(self, path: str) -> int:
        self.step()
        file = self._real.create(path)
        self._names[path] = _File()
        self._open[file] = path
        return file

    def write(self, file: int, data: bytes) -> None:
        self.step()
        self._real.write(file, data)

    def sync(self, file: int) -> None:
        self.step()
        self._keep_octets(self._open[file])

    def sync_path(self, path: str) -> None:
        self.step()
        self._keep_octets(path)

    def close(self, file: int) -> None:
        self._open.pop(file, None)
        self._real.close(file)

    def link(self, source: str, target: str) -> None:
        self.step()
        self._real.link(source, target)
        self._names[target] = self._names[source]

    def rename(self, source: str, target: str) -> None:
        self.step()
        self._real.rename(source, target)
        for names in (self._names, self._synced_names):  # what is synced in a folder goes with it
            for path in [path for path in names if path.startswith(f"{source}/")]:
                names[target + path[len(source) :]] = names[path]
        for path in [path for path in self._names if path.startswith(f"{source}/")]:
            del self._names[path]
        self._names[target] = self._names.pop(source)

    def unlink(self, path: str) -> None:
        self.step()
        self._real.unlink(path)
        self._names.pop(path, None)

    def make_folder(self, path: str) -> None:
        self.step()
        self._real.make_folder(path)
        self._names.setdefault(path, None)

    def sync_folder(self, path: str) -> None:
        self.step()
        self._keep_names(path)

    # afterwards

    def after_power_loss(self, target: Path, seed: int | None = None) -> None:
        """Build at `target` what the disk holds after the power came back."""
        luck = random.Random(seed) if seed is not None else None  # noqa: S311 - not for secrets
        for path, file in sorted(self._left(luck).items()):
            place = target / os.path.relpath(path, self.root)
            if not place.parent.is_dir() and place.parent != target:
                continue  # its folder was lost
            target.mkdir(exist_ok=True)
            if file is None:
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(file.synced if luck is None else _torn(file.synced, path, luck))

    def _left(self, luck: random.Random | None) -> dict[str, _File | None]:
        names = dict(self._synced_names)
        if luck is not None:
            for path in sorted(names.keys() ^ self._names.keys()):
                if luck.random() < 0.5:
                    if path in self._names:
                        names[path] = self._names[path]
                    else:
                        del names[path]
        return names


def _torn(synced: bytes, path: str, luck: random.Random) -> bytes:
    """The octets with some unsynced sectors written and others not."""
    try:
        current = Path(path).read_bytes()
    except FileNotFoundError:
        return synced
    if current == synced or luck.random() < 0.3:
        return synced
    size = luck.choice((len(synced), len(current)))
    old, new = synced.ljust(size, b"\0")[:size], current.ljust(size, b"\0")[:size]
    sectors = []
    for begin in range(0, size, _SECTOR):
        source = new if luck.random() < 0.5 else old
        sectors.append(source[begin : begin + _SECTOR])
    return b"".join(sectors)


class _CrashVfs(apsw.VFS):
    def __init__(self, disk: CrashDisk) -> None:
        self._disk = disk
        super().__init__(disk.vfs, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        file = _CrashFile(self._disk, name, flags, path)
        if path:
            self._disk.appeared(path)
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        _as_sqlite(self._disk.step)
        super().xDelete(filename, syncdir)
        self._disk.vanished(filename, syncdir)


class _CrashFile(apsw.VFSFile):
    def __init__(self, disk: CrashDisk, name: Any, flags: list[int], path: str) -> None:
        self._disk = disk
        self._path = path
        super().__init__("unix", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        _as_sqlite(self._disk.step)
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        _as_sqlite(self._disk.step)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        _as_sqlite(self._disk.step)
        self._disk.synced(self._path)


def _as_sqlite(step: Callable[[], None]) -> None:
    try:
        step()
    except OSError as fault:
        raise apsw.IOError(str(fault)) from None
