"""A number that all processes see and that changes whenever the directory does.

Owns: eight octets in a file, mapped into every process. Looking costs a tenth of a microsecond, where asking SQLite
costs five and gives up the interpreter lock. The number is a hint: it is written after a commit, so a process that
dies in between leaves the others with what they know until the next change, or until they ask SQLite again (see
EmbeddedDirectory). Nobody may shorten the file while it is mapped; it lies in data/run, which is never restored.
"""

from __future__ import annotations

import mmap
import os

_SIZE = 8


class Stamp:
    """The shared number. Raises OSError when its file cannot be made."""

    __slots__ = ("_memory",)

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < _SIZE:
                os.ftruncate(fd, _SIZE)
            self._memory = mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)

    def value(self) -> bytes:
        """What it is now."""
        return self._memory[:_SIZE]

    def change(self) -> None:
        """Make it another: random, because two processes may change it at once."""
        self._memory[:_SIZE] = os.urandom(_SIZE)

    def close(self) -> None:
        """Unmap."""
        self._memory.close()
