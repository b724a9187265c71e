"""The folder data/run: locks and sockets by which the processes of one server find each other.

Owns: file names in data/run, created with mode 0700 because whoever may write here may command the server.
Unix socket paths are limited to 107 octets (unix(7)), so sockets are reached through /proc/self/fd of the open folder.
On failure: OSError with the path; `AlreadyRunning` when another server holds the data folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

SUPERVISOR_LOCK = "server.lock"
SWEEPER_LOCK = "sweeper.lock"
INDEX_LOCK = "index.lock"


class AlreadyRunning(Exception):
    """Another server works on this data folder; `pid` is its supervisor."""

    def __init__(self, folder: Path, pid: int) -> None:
        super().__init__(f"a server (process {pid}) already works on {folder}")
        self.pid = pid


class Lock:
    """An exclusive lock on a file, held as long as this process (or a child it forked) keeps the file open."""

    __slots__ = ("_fd", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def take(self) -> bool:
        """Try to become the holder, without waiting."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.truncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        return True

    def release(self) -> None:
        """Give it up; the file stays."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def holder(self) -> int:
        """The process id that took the lock, 0 when nobody holds it."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with contextlib.suppress(ValueError):
                return int(os.pread(fd, 32, 0) or b"0")
        finally:
            os.close(fd)
        return 0


class RunFolder:
    """Paths in data/run."""

    __slots__ = ("_fd", "path")

    def __init__(self, data: str | Path) -> None:
        self.path = Path(data) / "run"
        self._fd = -1

    def create(self) -> None:
        """Make the folder; only its owner may enter."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def lock(self, name: str) -> Lock:
        """A lock of that name."""
        return Lock(self.path / name)

    def socket_path(self, slot: int) -> str:
        """Where worker `slot` listens, in a form short enough for any data folder."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/worker-{slot}.sock"

    def forget_socket(self, slot: int) -> None:
        """Remove a worker's socket, if there is one."""
        (self.path / f"worker-{slot}.sock").unlink(missing_ok=True)

    def sockets(self) -> list[int]:
        """Slots whose sockets are there (their workers may be gone)."""
        slots = []
        for path in self.path.glob("worker-*.sock"):
            with contextlib.suppress(ValueError):
                slots.append(int(path.stem.removeprefix("worker-")))
        return sorted(slots)

    def flight(self, slot: int) -> Path:
        """Where the relay of a worker notes what is open."""
        return self.path / f"relay-{slot}.flight"

    def flights(self) -> Iterator[tuple[int, Path]]:
        """Such files that are there, with the slots of their workers."""
        for path in self.path.glob("relay-*.flight"):
            with contextlib.suppress(ValueError):
                yield int(path.stem.removeprefix("relay-")), path

    def server_pid(self) -> int:
        """The supervisor's process id, 0 when no server runs on this data folder."""
        return self.lock(SUPERVISOR_LOCK).holder()
