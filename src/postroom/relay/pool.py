"""Connections that stand and have nothing to do, until the next message or their end.

Owns: idle connections. One is found by destination first, and by what it was made to second, so that domains with
the same servers share it when they ask for the same protection.
Trusts: nobody; a connection that went away is not given out. On failure: nothing raises.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from postroom.relay.connection import Connection, Endpoint


class Pool:
    """At most `most` idle connections, each for `seconds`; the one that waits longest goes first."""

    def __init__(self, most: int, seconds: float, worn: Callable[[Connection], bool]) -> None:
        """worn: true for a connection that has done its share."""
        self._most = most
        self._worn = worn
        self._seconds = seconds
        self._idle: OrderedDict[Connection, str] = OrderedDict()  # oldest first; the destination it last served
        self._by_destination: dict[str, list[Connection]] = {}
        self._by_endpoint: dict[Endpoint, list[Connection]] = {}

    def __len__(self) -> int:
        return len(self._idle)

    def put(self, destination: str, connection: Connection) -> None:
        """Keep it for later."""
        if self._worn(connection):
            connection.close()
            return
        self._idle[connection] = destination
        self._by_destination.setdefault(destination, []).append(connection)
        self._by_endpoint.setdefault(connection.endpoint, []).append(connection)
        connection.rest(self._seconds, self._forget)
        if len(self._idle) > self._most:
            self.drop_oldest()

    def for_destination(self, destination: str) -> Connection | None:
        """One that served this destination; the newest, which is the likeliest to be alive."""
        found = self._by_destination.get(destination)
        return self._take(found) if found else None

    def for_endpoint(self, endpoint: Endpoint) -> Connection | None:
        """One that was made in this way."""
        found = self._by_endpoint.get(endpoint)
        return self._take(found) if found else None

    def drop_oldest(self) -> None:
        """Make room."""
        if self._idle:
            oldest = next(iter(self._idle))
            self._forget(oldest)
            oldest.close()

    def close(self) -> None:
        """Say goodbye to all."""
        while self._idle:
            self.drop_oldest()

    def _take(self, among: list[Connection]) -> Connection | None:
        while among:
            connection = among[-1]
            self._forget(connection)
            if not self._worn(connection):
                connection.wake()
                return connection
            connection.close()
        return None

    def _forget(self, connection: Connection) -> None:
        destination = self._idle.pop(connection, None)
        if destination is None:
            return
        for table, key in ((self._by_destination, destination), (self._by_endpoint, connection.endpoint)):
            left = table[key]  # type: ignore[index]
            left.remove(connection)
            if not left:
                del table[key]  # type: ignore[arg-type]
