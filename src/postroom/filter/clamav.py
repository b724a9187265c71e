"""Asks ClamAV's daemon about messages.

One connection for each message, which is what clamd is made for; the message goes over it in chunks, `size` octets at
most. What of a message was not given to it makes a clean answer an `OVERSIZED` one.
Owns: nothing between messages. Trusts: nothing of the answer but its name of the virus, made printable.
Standards: none; clamd(8).
On failure: ScannerFailed.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, Final

from postroom.filter.health import ScannerFailed
from postroom.values.content import Content
from postroom.wire import clamd
from postroom.wire.clamd import Answer, Found

_READ: Final = 4096


class Clamav:
    """clamd at one place. place: (path, 0) of a Unix socket, or (host, port); seconds: for a whole question."""

    def __init__(self, place: tuple[str, int], size: int, seconds: float) -> None:
        self._place = place
        self._size = size
        self._seconds = seconds
        self.engine = ""  # what it called itself last

    async def scan(self, content: Content) -> Answer:
        """What it says of a message. Raises ScannerFailed; OSError when the content's file is gone."""
        answer = clamd.read_answer(await self._ask(clamd.INSTREAM, content))
        if answer.found is Found.FAILED:
            raise ScannerFailed(f"clamd: {answer.name}")
        if not self.engine:
            await self.version()
        if answer.found is Found.CLEAN and content.size > self._size:
            return Answer(Found.OVERSIZED, f"only its first {self._size} octets were looked at")
        return answer

    async def version(self) -> str:
        """Of program and signatures. Raises ScannerFailed."""
        self.engine = clamd.engine(await self._ask(clamd.VERSION, None))
        return self.engine

    async def ping(self) -> None:
        """Raises ScannerFailed."""
        answer = await self._ask(clamd.PING, None)
        if answer.strip() != b"PONG":
            raise ScannerFailed(f"clamd: {clamd.read_answer(answer).name}")

    async def _ask(self, command: bytes, content: Content | None) -> bytes:
        """Sockets, not streams: a stream forgets what was received when it cannot send any more."""
        try:
            async with asyncio.timeout(self._seconds):
                with await self._connect() as link:
                    await self._send(link, command, content)
                    return await _answer(link)
        except TimeoutError:
            raise ScannerFailed("clamd took too long") from None

    async def _connect(self) -> socket.socket:
        host, port = self._place
        loop = asyncio.get_running_loop()
        try:
            family: int = socket.AF_UNIX
            address: Any = host
            if port:
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                family, address = found[0][0], found[0][4]
            link = socket.socket(family, socket.SOCK_STREAM)
            link.setblocking(False)
            try:
                await loop.sock_connect(link, address)
            except BaseException:
                link.close()
                raise
        except OSError as fault:
            shown = f"{host} port {port}" if port else host
            raise ScannerFailed(f"clamd at {shown} cannot be reached: {fault.strerror or fault}") from None
        return link

    def _pieces(self, command: bytes, content: Content | None) -> Iterator[bytes]:
        """The command, and the message in chunks."""
        yield command
        if content is None:
            return
        end = min(content.size, self._size)
        for start in range(0, end, clamd.CHUNK):
            yield clamd.chunk(content.read(start, min(start + clamd.CHUNK, end)))
        yield clamd.END

    async def _send(self, link: socket.socket, command: bytes, content: Content | None) -> None:
        """When clamd has heard enough it closes its end; what it answered before says why. Raises OSError: the file."""
        send = asyncio.get_running_loop().sock_sendall
        for piece in self._pieces(command, content):
            try:
                await send(link, piece)
            except ConnectionError:
                return


async def _answer(link: socket.socket) -> bytes:
    """Raises ScannerFailed."""
    answer = clamd.AnswerReader()
    receive = asyncio.get_running_loop().sock_recv
    try:
        while octets := await receive(link, _READ):
            found = answer.feed(octets)
            if found is not None:
                return found
    except OSError as fault:
        if not answer.ended():
            raise ScannerFailed(f"the connection to clamd was lost: {fault.strerror or fault}") from None
    if not answer.ended():
        raise ScannerFailed("clamd ended the connection without an answer")
    return answer.ended()
