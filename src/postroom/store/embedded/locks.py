"""Locks between processes that vanish with the process that holds them (flock on a file)."""

from __future__ import annotations

import contextlib
import fcntl
import os


class FileLock:
    """An exclusive lock with a named holder and, within the process, an expiry.

    Another process's holder is trusted to give it back or to die: its own sessions end at their deadlines.
    """

    __slots__ = ("_expires", "_file", "_holder", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._holder = ""
        self._expires = 0.0

    @property
    def held(self) -> bool:
        """Does this object hold the lock?"""
        return self._file >= 0

    def take(self, holder: str, now: float, expires: float) -> bool:
        """Take the lock, or renew it for the same holder; False when someone else has it. Raises OSError."""
        if self._file >= 0:
            if self._holder != holder and now < self._expires:
                return False
            self._holder, self._expires = holder, expires
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            os.close(file)
            if isinstance(fault, BlockingIOError):
                return False
            raise
        self._file, self._holder, self._expires = file, holder, expires
        return True

    def give_back(self, holder: str) -> None:
        """Release the lock if this holder has it."""
        if self._file >= 0 and self._holder == holder:
            self.release()

    def release(self) -> None:
        """Release whatever is held."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = -1

    def __del__(self) -> None:
        self.release()
