"""What the supervisor makes before it forks, and every process inherits."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from postroom.config import Config
from postroom.identity.hashing import socket_pair
from postroom.policy import Tables


@dataclass(frozen=True, slots=True)
class Plan:
    """sockets[listener][slot]: the listening sockets; hashing[slot]: (worker's end, hashing process's end).

    path: the configuration file; tables: the counts per address that all workers share.
    """

    config: Config
    path: Path
    workers: int
    sockets: list[list[socket.socket]]
    hashing: list[tuple[socket.socket, socket.socket]]
    tables: Tables

    @classmethod
    def make(cls, config: Config, path: Path, workers: int, sockets: list[list[socket.socket]]) -> Self:
        """Make what the processes share."""
        return cls(
            config,
            path,
            workers,
            sockets,
            [socket_pair() for _ in range(workers)],
            Tables(workers, secrets.token_bytes(32)),
        )

    @property
    def ports(self) -> list[int]:
        """The ports in the order of config.listener."""
        return [row[0].getsockname()[1] for row in self.sockets]

    def keep_only(self, slot: int | None) -> None:
        """In a child: close the listening sockets of the other workers (None: all of them)."""
        for row in self.sockets:
            for number, sock in enumerate(row):
                if number != slot:
                    sock.close()

    def close_sockets(self) -> None:
        """Listen no more."""
        for row in self.sockets:
            for sock in row:
                sock.close()

    def forget(self, slot: int) -> Callable[[], None]:
        """What to do when the worker of a slot died: its open connections no longer count."""
        return lambda: self.tables.forget(slot)
