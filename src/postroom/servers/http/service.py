"""What all HTTP connections of a listener kind share: the application, the limits, the set of connections.

Made from routes of Starlette: whoever has something to serve over HTTP gives a route to `app.web`. Each kind of
listener has a service of its own ("metrics" for the administrator's machine, "http" for everybody), so that what is
private cannot be reached through a public port.
Trusts: policy for counts.
On failure: a connection too many is told so with 503 and closed.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from uvicorn.config import Config as UvicornConfig
from uvicorn.server import ServerState

from postroom.config import Listener
from postroom.net.link import Link
from postroom.servers.guests import Guests
from postroom.servers.http.connection import HttpConnection
from postroom.servers.ports import Gate, Log

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one peer may cost. head, body: octets; *_seconds: for the head, for 64 KiB of body, to read, idle."""

    head: int = 16 * 1024
    body: int = 64 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    answer_seconds: float = 60.0
    idle_seconds: float = 15.0
    connections: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the server rests on."""

    gate: Gate
    log: Log


class HttpService:
    """Built once per worker and kind of listener; `driver` is what a listener needs."""

    __slots__ = ("_guests", "_name", "limits", "rooms", "state", "uvicorn")

    def __init__(self, name: str, rooms: Rooms, routes: Sequence[BaseRoute], limits: HttpLimits | None = None) -> None:
        """name: the protocol of its listeners, for counts and the log."""
        self.rooms: Final = rooms
        self.limits: Final = limits or HttpLimits()
        self._name = name
        self._guests: Guests[HttpConnection] = Guests(rooms.gate, rooms.log, self.limits.connections)
        _silence()
        self.uvicorn: Final = UvicornConfig(
            _Faults(Starlette(routes=list(routes)), rooms.log, name),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self.uvicorn.load()
        self.state: Final = ServerState()

    def driver(self, link: Link, listener: Listener) -> HttpConnection:
        """The driver of a new connection (net.link)."""
        return HttpConnection(self, link)

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._guests)

    def admit(self, connection: HttpConnection, ip: str) -> str | None:
        """Count a new connection; why it must go away, or None."""
        turned = self._guests.admit(connection, self._name, ip)
        return turned.text if turned is not None else None

    def forget(self, connection: HttpConnection, ip: str) -> None:
        """A connection is gone."""
        if self._guests.forget(connection, self._name, ip):
            self.rooms.log("session.closed", service=self._name, ip=ip)

    def stop(self) -> None:
        """Graceful stop: who waits for a response gets it."""
        self._guests.stop()
        for connection in self._guests:
            connection.leave()

    async def settled(self) -> None:
        """Wait until every peer is gone; to be called after `stop`."""
        await self._guests.settled()


class _Faults:
    """An application whose faults are events of ours instead of lines on standard error."""

    __slots__ = ("_app", "_log", "_name")

    def __init__(self, app: ASGIApp, log: Log, name: str) -> None:
        self._app = app
        self._log = log
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as fault:
            ip = (scope.get("client") or ("", 0))[0]
            reason = "".join(traceback.format_exception(fault))
            self._log("session.fault", service=self._name, ip=ip, login="", reason=reason)
            if not started:
                raise


def _silence() -> None:
    """What uvicorn says of hostile requests is no news."""
    log = logging.getLogger("uvicorn")
    log.addHandler(logging.NullHandler())
    log.propagate = False
