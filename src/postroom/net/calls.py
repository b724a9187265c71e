"""HTTP requests to one server that is asked again and again: connections are kept and used anew.

A body is sent piece by piece, so a large one is never in memory as a whole. A kept connection that turns out to be
closed costs one more try on a new one.
Owns: idle connections, `_IDLE` at most; `_BUSY` requests at a time, others wait their turn within their own deadline.
Trusts: nothing of the server; an answer has a size, and the whole a deadline.
Standards: RFC 9112 9.3 (persistence), 9.3.1 (retrying).
On failure: FetchFailed, whose text says what went wrong.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from postroom.net.https import FetchFailed, Request, Response, Silent, read_response
from postroom.net.tls import client_context

_HEAD: Final = 16 * 1024
_IDLE: Final = 8
_BUSY: Final = 32

_Link = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. body: gives its pieces, anew each time it is called; size: octets of all of them; seconds: for all
    of it; most: octets of the answer.
    """

    path: str
    method: str = "POST"
    fields: tuple[tuple[str, str], ...] = ()
    body: Callable[[], Iterable[bytes]] = tuple
    size: int = 0
    seconds: float
    most: int

    def head(self, host: str, port: int) -> bytes:
        """Request line and fields."""
        asked = Request(host=host, addresses=(), path=self.path, method=self.method, port=port, fields=self.fields)
        lines = asked.lines("Connection: keep-alive")
        if self.method != "GET":
            lines.append(f"Content-Length: {self.size}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Calls:
    """To one server. host: a name or an address; tls: with a certificate that proves the name."""

    def __init__(self, host: str, port: int, *, tls: bool = False, authorities: str | None = None) -> None:
        self._host = host
        self._port = port
        self._tls: ssl.SSLContext | None = None
        self._wants_tls = tls
        self._authorities = authorities
        self._idle: deque[_Link] = deque()
        self._turns = asyncio.Semaphore(_BUSY)
        self._closing = False

    async def ask(self, call: Call) -> Response:
        """The answer, whatever its status. Raises FetchFailed."""
        try:
            async with asyncio.timeout(call.seconds), self._turns:
                return await self._ask(call)
        except TimeoutError:
            raise FetchFailed(f"{self._host} took too long") from None
        except asyncio.IncompleteReadError:
            raise FetchFailed(f"{self._host} ended the connection within its answer") from None
        except (asyncio.LimitOverrunError, ValueError):
            raise FetchFailed(f"{self._host} gave an answer that is no HTTP") from None
        except ssl.SSLError as fault:
            raise FetchFailed(f"the TLS connection to {self._host} failed: {fault}") from None
        except OSError as fault:
            raise FetchFailed(f"{self._host} port {self._port}: {fault.strerror or fault}") from None

    def close(self) -> None:
        """Let the kept connections go, and keep no more."""
        self._closing = True
        while self._idle:
            self._idle.pop()[1].transport.abort()

    async def _ask(self, call: Call) -> Response:
        while self._idle:
            link = self._idle.pop()
            if link[0].at_eof() or link[1].is_closing():
                link[1].transport.abort()
                continue
            try:
                return await self._on(link, call)
            except (ConnectionError, Silent):
                continue  # it was closed while nobody looked; nothing was answered
        link = await self._connect()
        try:
            return await self._on(link, call)
        except Silent:
            raise FetchFailed(f"{self._host} ended the connection without an answer") from None

    async def _connect(self) -> _Link:
        if self._wants_tls and self._tls is None:
            self._tls = client_context(True, self._authorities)
        name = self._host if self._tls is not None else None
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls, server_hostname=name, limit=_HEAD)

    async def _on(self, link: _Link, call: Call) -> Response:
        reader, writer = link
        kept = False
        try:
            writer.write(call.head(self._host, self._port))
            for piece in call.body():
                writer.write(piece)
                await writer.drain()
            await writer.drain()
            response = await read_response(reader, call.most)
            kept = response.fields.get("connection", "").lower() != "close" and "content-length" in response.fields
        finally:
            if kept and not self._closing and len(self._idle) < _IDLE:
                self._idle.append(link)
            else:
                writer.transport.abort()
        return response
