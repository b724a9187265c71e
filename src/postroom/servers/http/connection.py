"""One HTTP connection: uvicorn's protocol on our link, with the deadlines and limits it does not have.

Owns: how long a peer may take and how much it may send. uvicorn parses (llhttp), runs the application and writes the
response; to it we are the transport. It makes one task for each request.
Trusts: nobody. The head of a request has one deadline however its octets come, and a size; the body has a size, and a
least pace; who does not read its response is cut off; idle connections end.
Standards: RFC 9112 (HTTP/1.1), RFC 9110 15.5.14, RFC 6585 5 (413, 431). No upgrade to anything.
On failure: 400, 408, 413 or 431 and the end of the connection; a fault of the application is 500 and an event.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from postroom.net.drive import drive
from postroom.net.link import Link

if TYPE_CHECKING:
    from postroom.servers.http.service import HttpService

_HEAD_END = b"\r\n\r\n"
_THROWN_AWAY = 1024 * 1024  # octets that a peer may still send when it was told to go
_LINGER = 2.0  # seconds it has to go
#: octets of a body that move its deadline
_PACE = 64 * 1024


class _State(Enum):
    IDLE = auto()  # between requests
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()  # the application works, or the peer reads
    ENDING = auto()  # it was told why it must go; what it still sends is thrown away, or a reset would eat the answer


class HttpConnection:
    """net.link.Driver of one peer."""

    __slots__ = ("_ip", "_link", "_protocol", "_seen", "_service", "_state", "_step", "link", "transport")

    def __init__(self, service: HttpService, link: Link) -> None:
        self._service = service
        self._link = link
        self._ip = link.peer[0]
        self._state = _State.IDLE
        self._seen = 0  # octets of this head or body
        self._step = _PACE
        self._protocol: _Protocol | None = None
        self.link = link  # request.state.link: who asks, and over which TLS
        self.transport = _Transport(link)

    # The link's side

    def connected(self) -> None:
        """Count it; send away who has too many."""
        refusal = self._service.admit(self, self._ip)
        if refusal is not None:
            self._end(503, refusal)
            return
        self._protocol = _Protocol(self._service, self)
        self.transport.protocol = self._protocol
        self._protocol.connection_made(cast(asyncio.Transport, self.transport))
        self._link.deadline(self._service.limits.head_seconds)

    def received(self, data: bytes) -> None:
        """Octets from the peer."""
        protocol = self._protocol
        if self._state is _State.ENDING or protocol is None:
            self._seen += len(data)
            if self._seen > _THROWN_AWAY:
                self._link.close()
            return
        if self._state is _State.IDLE:
            self._enter(_State.HEAD, self._service.limits.head_seconds)
        room = self._service.limits.head - self._seen
        if self._state is _State.HEAD and len(data) > room and (room < 0 or data.find(_HEAD_END, 0, room + 4) < 0):
            self._end(431, "The head of the request is too large")
            return
        self._seen += len(data)
        protocol.data_received(data)
        if self._state is _State.BODY:
            self._check_body(len(data))

    def _check_body(self, octets: int) -> None:
        if self._seen > self._service.limits.head + self._service.limits.body:
            self._end(413, "The body of the request is too large")
            return
        self._step -= octets
        if self._step <= 0:
            self._step = _PACE
            self._link.deadline(self._service.limits.body_seconds)

    def expired(self) -> None:
        """The peer is too slow, or has nothing more to ask."""
        if self._state is _State.ANSWER and not self._link.is_stuck():
            self._link.deadline(self._service.limits.answer_seconds)
        elif self._state in (_State.HEAD, _State.BODY):
            self._end(408, "The request took too long")
        elif self._state in (_State.IDLE, _State.ENDING):
            self._link.close()
        else:
            self._link.abort()

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone; the application hears of it."""
        self._service.forget(self, self._ip)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(reason or ConnectionResetError("the connection is gone"))
            self.transport.protocol = None
            protocol.connection = None

    def leave(self) -> None:
        """Graceful stop: end now, or after the response."""
        if self._protocol is None or self._state is _State.IDLE:
            self._link.close()
        else:
            self._protocol.shutdown()

    # uvicorn's side

    def head_begins(self) -> None:
        """A request has begun; perhaps one that was sent ahead."""
        if self._state is not _State.HEAD:
            self._enter(_State.HEAD, self._service.limits.head_seconds)

    def head_complete(self) -> None:
        """The body, if any, comes now."""
        self._enter(_State.BODY, self._service.limits.body_seconds)

    def request_complete(self) -> None:
        """It is the application's turn."""
        self._enter(_State.ANSWER, self._service.limits.answer_seconds)

    def answered(self) -> None:
        """The response is written; another request may come."""
        if self._state is _State.ANSWER:
            self._enter(_State.IDLE, self._service.limits.idle_seconds)

    def _enter(self, state: _State, seconds: float) -> None:
        if self._state is _State.ENDING:
            return
        self._state = state
        self._seen = 0 if state is _State.HEAD else self._seen
        self._step = _PACE
        self._link.deadline(seconds)

    def _end(self, code: int, text: str) -> None:
        """Say so, unless a response is under way, and close soon."""
        protocol = self._protocol
        if protocol is not None and protocol.cycle is not None and not protocol.cycle.response_complete:
            if protocol.cycle.response_started:
                self._link.close()
                return
            protocol.cycle.disconnected = True  # the application's own answer comes too late
            protocol.cycle.message_event.set()
        if self._link.alive:
            body = text.encode("ascii", "replace") + b"\n"
            self._link.send(
                b"HTTP/1.1 %d %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b" % (code, _PHRASES[code], len(body), body)
            )
        self._state, self._seen = _State.ENDING, 0
        self._link.resume()
        self._link.deadline(_LINGER)


_PHRASES = {
    408: b"Request Timeout",
    413: b"Content Too Large",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which tells the connection how far a request has come."""

    def __init__(self, service: HttpService, connection: HttpConnection) -> None:
        self.connection: HttpConnection | None = connection
        super().__init__(service.uvicorn, service.state, {"link": connection.link})

    def on_message_begin(self) -> None:
        if self.connection is not None:
            self.connection.head_begins()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.connection is not None:
            self.connection.head_complete()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self.connection is not None:
            self.connection.request_complete()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        more = bool(self.pipeline)
        super().on_response_complete()
        self._unset_keepalive_if_required()  # the link's deadline does that
        if self.connection is not None and not more:
            self.connection.answered()

    def _unsupported_upgrade_warning(self) -> None:
        """A peer may ask; the answer is an ordinary response (RFC 9110 7.8)."""


class _Transport:
    """The link in the shape of a transport."""

    __slots__ = ("_draining", "_link", "protocol")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._draining = False
        self.protocol: _Protocol | None = None

    def write(self, data: bytes) -> None:
        link = self._link
        link.send(data)
        if link.choked and not self._draining and link.alive and self.protocol is not None:
            self._draining = True
            self.protocol.pause_writing()
            drive(self._drain())

    async def _drain(self) -> None:
        try:
            await self._link.drain()
        except ConnectionError:
            pass
        finally:
            self._draining = False
            if self.protocol is not None:
                self.protocol.resume_writing()

    def close(self) -> None:
        self._link.close()

    def abort(self) -> None:
        self._link.abort()

    def is_closing(self) -> bool:
        return not self._link.alive

    def pause_reading(self) -> None:
        self._link.pause()

    def resume_reading(self) -> None:
        self._link.resume()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        link = self._link
        known = {"peername": link.peer, "sockname": link.local, "sslcontext": link.tls}
        return known.get(name, default)
