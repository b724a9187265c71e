"""What the supervisor makes before it forks, and every process inherits; and how it changes at a reload.

Owns: the listening sockets of all workers, and the sockets by which the supervisor tells its processes of a new
configuration. Each port is bound once, by the supervisor, and has a row of sockets, one for each worker; a row that the
new configuration still needs goes on as it is, whatever is spoken on it.
On failure: ListenError; what was bound for nothing is closed again, and nothing has changed.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import msgspec

from postroom.app.ears import Wanted
from postroom.config import Config, Listener
from postroom.identity.hashing import socket_pair
from postroom.net.listen import ListenError, bind_all
from postroom.observe.meters import Meters
from postroom.policy import Tables

_MESSAGE: Final = 192 * 1024
_MOST_SOCKETS: Final = 200  # in one message; Linux takes 253 (unix(7), SCM_RIGHTS)


@dataclass(frozen=True, slots=True)
class Row:
    """The listening sockets of one address and port, one for each worker. id: never used twice."""

    id: int
    sockets: Sequence[socket.socket]


class Order(msgspec.Struct, frozen=True, array_like=True):
    """Supervisor to worker: work by this configuration from now on.

    number: that of the plan; rows: the row of each listener; added: the rows whose sockets come with it.
    """

    number: int
    config: Config
    rows: tuple[int, ...]
    added: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """rows: in the order of config.listener; hashing[slot]: (worker's end, hashing process's end).

    indexing[slot]: the same for the process that keeps the full-text indexes, empty without it.

    path: the configuration file; tables: the counts per address that all workers share; orders: (supervisor's end,
    process's end) for each worker, and last for the hashing process; meters: what each process tells of itself, the
    supervisor in the last place; wanted: which accounts each worker listens to; number: grows with each reload.
    """

    config: Config
    path: Path
    workers: int
    rows: Sequence[Row]
    hashing: Sequence[tuple[socket.socket, socket.socket]]
    tables: Tables
    orders: Sequence[tuple[socket.socket, socket.socket]]
    meters: Meters
    wanted: Wanted
    indexing: Sequence[tuple[socket.socket, socket.socket]] = ()
    number: int = 0
    next_row: int = 0

    @classmethod
    def make(cls, config: Config, path: Path, workers: int) -> Self:
        """Bind the ports and make what the processes share. Raises ListenError."""
        if not config.listener:
            raise ListenError("no listener is configured; `postroom init` writes a file with the usual ones")
        rows = _bind(config.listener, workers)
        return cls(
            config,
            path,
            workers,
            [Row(number, row) for number, row in enumerate(rows)],
            [socket_pair() for _ in range(workers)],
            Tables(workers, secrets.token_bytes(32)),
            [socket_pair() for _ in range(workers + 1)],
            Meters(workers + 1),
            Wanted(workers),
            [socket_pair() for _ in range(workers)] if config.index.enabled else [],
            next_row=len(rows),
        )

    @property
    def ports(self) -> list[int]:
        """The ports in the order of config.listener."""
        return [row.sockets[0].getsockname()[1] for row in self.rows]

    def keep_only(self, slot: int | None) -> None:
        """In a child: close the listening sockets of the other workers (None: all of them)."""
        for row in self.rows:
            for number, sock in enumerate(row.sockets):
                if number != slot:
                    sock.close()

    def close_sockets(self) -> None:
        """Listen no more."""
        for row in self.rows:
            _close(row.sockets)

    def forget(self, slot: int) -> Callable[[], None]:
        """What to do when the worker of a slot died: its open connections no longer count."""
        return lambda: self.tables.forget(slot)

    # a reload, in the supervisor

    def renewed(self, config: Config) -> Plan:
        """The plan with this configuration. Ports that stand go on, others are bound. Raises ListenError."""
        if not config.listener:
            raise ListenError("the new configuration has no listener")
        standing = list(zip(self.config.listener, self.rows, strict=True))
        rows: list[Row | None] = []
        for listener in config.listener:
            place = next((at for at, (old, _) in enumerate(standing) if _same_place(old, listener)), None)
            rows.append(None if place is None else standing.pop(place)[1])
        missing = [listener for listener, row in zip(config.listener, rows, strict=True) if row is None]
        if len(missing) > _MOST_SOCKETS:
            raise ListenError(f"more than {_MOST_SOCKETS} new listeners need a restart")
        ours = frozenset(old.port for old in self.config.listener)
        bound = iter(
            [Row(self.next_row + number, row) for number, row in enumerate(_bind(missing, self.workers, ours))]
        )
        return replace(
            self,
            config=config,
            rows=[row or next(bound) for row in rows],
            number=self.number + 1,
            next_row=self.next_row + len(missing),
        )

    def tell(self, before: Plan) -> list[str]:
        """Tell every process of this plan, which followed `before`; what is needed no more is closed here.

        Gives the names of those that could not be told: they hang, with all their buffers full.
        """
        known = {row.id for row in before.rows}
        added = [row for row in self.rows if row.id not in known]
        behind = []
        ids = tuple(row.id for row in self.rows)
        order = msgspec.msgpack.encode(Order(self.number, self.config, ids, tuple(row.id for row in added)))
        for slot in range(self.workers):
            try:
                socket.send_fds(self.orders[slot][0], [order], [row.sockets[slot].fileno() for row in added])
            except OSError:
                behind.append(f"worker {slot}")
        try:
            self.orders[-1][0].send(msgspec.msgpack.encode(self.config.passwords))
        except OSError:
            behind.append("hashing")
        kept = set(ids)
        for row in before.rows:
            if row.id not in kept:
                _close(row.sockets)
        return behind


def receive(sock: socket.socket) -> tuple[Order, dict[int, socket.socket]] | None:
    """The next order for this worker and the sockets that came with it, by row; None when there is none now."""
    with suppress(BlockingIOError):
        message, fds, _, _ = socket.recv_fds(sock, _MESSAGE, _MOST_SOCKETS)
        if message:
            sockets = [socket.socket(fileno=fd) for fd in fds]
            for each in sockets:
                each.setblocking(False)
            order = msgspec.msgpack.decode(message, type=Order)
            return order, dict(zip(order.added, sockets, strict=True))
    return None


def _bind(listeners: Sequence[Listener], workers: int, ours: frozenset[int] = frozenset()) -> list[list[socket.socket]]:
    """All or none. Raises ListenError."""
    rows: list[list[socket.socket]] = []
    try:
        for listener in listeners:
            rows.append(bind_all(listener, workers, shared=listener.port in ours))  # noqa: PERF401 - closed on failure
    except ListenError:
        for row in rows:
            _close(row)
        raise
    return rows


def _same_place(one: Listener, other: Listener) -> bool:
    return (one.address, one.port) == (other.address, other.port)


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
