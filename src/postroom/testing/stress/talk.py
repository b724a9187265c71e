"""One connection of a client: responses with their literals, compressed or not; and what was said, for the report."""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections import deque
from typing import Final

_LITERAL: Final = re.compile(rb"\{(\d+)\}\Z")
#: lines kept for the report of a failure
KEPT: Final = 400
_SHOWN: Final = 500


class Closed(Exception):
    """The server has closed the connection."""


class Talk:
    """Octets and responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._inflate: zlib._Decompress | None = None
        self._deflate: zlib._Compress | None = None
        self.log: deque[str] = deque(maxlen=KEPT)

    @classmethod
    async def open(cls, host: str, port: int, tls: ssl.SSLContext) -> Talk:
        """Connect; the greeting is read."""
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
        talk = cls(reader, writer)
        await talk.read()
        return talk

    def compress(self) -> None:
        """From here on both ways (RFC 4978)."""
        self._inflate, self._deflate = zlib.decompressobj(-15), zlib.compressobj(6, zlib.DEFLATED, -15)

    def send(self, data: bytes) -> None:
        """Send; written down for the report."""
        self.log.append(f"C: {data[:_SHOWN]!r}")
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._writer.write(data)

    async def read(self) -> bytes:
        """One response with its literals, without the last line end. Raises Closed."""
        whole = b""
        while True:
            line = await self._line()
            whole += line
            literal = _LITERAL.search(line)
            if not literal:
                self.log.append(f"S: {whole[:_SHOWN]!r}")
                return whole
            whole += b"\r\n" + await self._octets(int(literal[1]))

    async def more(self, seconds: float) -> bool:
        """Whether something comes within this time."""
        if self._buffer:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._fill()
        except TimeoutError:
            return False
        return True

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._fill()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    async def _fill(self) -> None:
        try:
            data = await self._reader.read(65536)
        except (OSError, ssl.SSLError) as fault:
            raise Closed from fault
        if not data:
            raise Closed
        self._buffer += self._inflate.decompress(data) if self._inflate is not None else data

    def cut(self) -> None:
        """Be gone, as a phone in a tunnel is."""
        self._writer.transport.abort()
