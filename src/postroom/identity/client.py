"""A worker's side of the hashing process.

Owns: the requests under way. A hashing process that begins anew is asked again; what is not answered in time
fails as PasswordsUnavailable, which is a temporary error and never "wrong password".
"""

from __future__ import annotations

import asyncio
import secrets
import socket

import msgspec

from postroom.identity.errors import PasswordsUnavailable
from postroom.identity.hashing import Answer, Request

_MESSAGE = 65536


class _Waiting:
    __slots__ = ("future", "message", "tries")

    def __init__(self, message: bytes, future: asyncio.Future[Answer]) -> None:
        self.message = message
        self.future = future
        self.tries = 2  # more, should the hashing process begin anew meanwhile


class HashingClient:
    """Hasher over the worker's end of `socket_pair`. Make it on the running loop; `close` when it stops."""

    __slots__ = ("_limit", "_loop", "_number", "_seconds", "_sock", "_waiting")

    def __init__(
        self, sock: socket.socket, *, limit: int = 256, seconds: float = 30.0, first: int | None = None
    ) -> None:
        """limit: requests under way (256 of them take about ten seconds); seconds: deadline of each.

        first: number of the first request. Random by default: an answer meant for a worker that died must never fit
        a request of the one that took its place.
        """
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._limit = limit
        self._seconds = seconds
        self._number = secrets.randbits(56) if first is None else first
        self._waiting: dict[int, _Waiting] = {}
        sock.setblocking(False)
        self._loop.add_reader(sock.fileno(), self._readable)

    async def verify(self, stored: str, password: str) -> bool:
        """See Hasher."""
        return (await self._ask(stored, password)).right

    async def hash(self, password: str) -> str:
        """See Hasher."""
        return (await self._ask("", password)).stored

    def close(self) -> None:
        """Nothing more is asked; what waits fails. The socket stays the supervisor's to close."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
        self._fail_all("the server is stopping")

    async def _ask(self, stored: str, password: str) -> Answer:
        if len(self._waiting) >= self._limit:
            raise PasswordsUnavailable("too many logins at once")
        self._number = number = self._number + 1
        message = msgspec.msgpack.encode(Request(number, stored, password))
        waiting = self._waiting[number] = _Waiting(message, self._loop.create_future())
        timer = self._loop.call_later(self._seconds, self._late, waiting)  # works outside a task too
        try:
            self._send(message)
            answer = await waiting.future
        finally:
            timer.cancel()
            self._waiting.pop(number, None)
        if answer.failed:
            raise PasswordsUnavailable("the hashing process could not hash, probably for lack of memory")
        return answer

    def _late(self, waiting: _Waiting) -> None:
        if not waiting.future.done():
            why = f"the hashing process did not answer within {self._seconds} s"
            waiting.future.set_exception(PasswordsUnavailable(why))

    def _send(self, message: bytes) -> None:
        try:
            self._sock.send(message)
        except OSError as fault:
            raise PasswordsUnavailable(f"the hashing process cannot be reached: {fault}") from fault

    def _readable(self) -> None:
        while True:
            try:
                message = self._sock.recv(_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._loop.remove_reader(self._sock.fileno())
                self._fail_all("the hashing process is gone")
                return
            self._take(msgspec.msgpack.decode(message, type=Answer))

    def _take(self, answer: Answer) -> None:
        if not answer.id:
            self._ask_again()
            return
        waiting = self._waiting.get(answer.id)
        if waiting is not None and not waiting.future.done():
            waiting.future.set_result(answer)

    def _ask_again(self) -> None:
        """A new hashing process: what the old one had read is lost. Asking twice does no harm."""
        for waiting in list(self._waiting.values()):
            if waiting.future.done():
                continue
            try:
                if not waiting.tries:
                    raise PasswordsUnavailable("the hashing process died over this request")
                waiting.tries -= 1
                self._send(waiting.message)
            except PasswordsUnavailable as fault:
                waiting.future.set_exception(fault)

    def _fail_all(self, why: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(PasswordsUnavailable(why))
