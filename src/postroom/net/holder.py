"""Who listens on a port already: the first question when ours is taken.

Best effort from /proc (Linux); processes of other users are only visible to root.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"


def holder(port: int, proc: Path = Path("/proc")) -> str:
    """Such as "process 812 (master)"; "" when it cannot be found out."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    if not sockets:
        return ""
    for process in proc.iterdir():
        if process.name.isdigit() and sockets.intersection(_open_files(process)):
            name = _read(process / "comm").strip()
            return f"process {process.name} ({name})" if name else f"process {process.name}"
    return ""


def _listening(port: int, proc: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        for line in _read(proc / "net" / table).splitlines()[1:]:
            column = line.split()
            if column[3] == _LISTEN and int(column[1].rpartition(":")[2], 16) == port:
                yield column[9]


def _open_files(process: Path) -> Iterator[str]:
    try:
        for file in (process / "fd").iterdir():
            yield str(file.readlink())
    except OSError:
        return  # another user's, or gone meanwhile


def _read(path: Path) -> str:
    try:
        return re.sub("\0", "", path.read_text("utf-8", "replace"))
    except OSError:
        return ""
