"""An HTTPS server that says the same to everybody, on a real socket of loopback.

Owns: its socket, until `stop`. On failure: a connection that ends early is forgotten.
"""

from __future__ import annotations

import asyncio
import ssl


class ScriptedWeb:
    """answer: the octets of every response; silent: keep the connection open after it; asked: requests, whole."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.answer = b""
        self.silent = False
        self.asked: list[bytes] = []
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None

    def page(self, text: bytes, media_type: str = "text/plain", status: str = "200 OK") -> None:
        """Answer with a page."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(text)}\r\n\r\n"
        self.answer = head.encode() + text

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, address, port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            self.asked.append(head + await reader.readexactly(length))
            writer.write(self.answer)
            if self.silent:
                await reader.read()
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
