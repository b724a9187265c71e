"""What the supervisor makes before it forks, and every process inherits."""

from __future__ import annotations

import mmap
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from postroom.config import Config


@dataclass(frozen=True, slots=True)
class Plan:
    """sockets[listener][slot]: the listening sockets; hashing[slot]: (worker's end, hashing process's end)."""

    config: Config
    path: Path
    workers: int
    sockets: list[list[socket.socket]]
    hashing: list[tuple[socket.socket, socket.socket]]
    shared: mmap.mmap

    @property
    def ports(self) -> list[int]:
        """The ports in the order of config.listener."""
        return [row[0].getsockname()[1] for row in self.sockets]

    def close_sockets(self) -> None:
        """Listen no more."""
        for row in self.sockets:
            for sock in row:
                sock.close()

    def forget(self, slot: int) -> Callable[[], None]:
        """What to do when the worker of a slot died: its counts of connections and failures no longer count."""
        raise NotImplementedError(slot)
