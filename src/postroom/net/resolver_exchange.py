"""One question put to the DNS servers, until one answers or the time for it is over.

Owns: its sockets, its timer and its TCP connection; all are closed when `done` is called, and by `close`.
Each try has a fresh UDP socket, so the kernel chooses a random port and takes answers from the asked server only; the
number is random as well. A late answer to an earlier try still counts. What is cut off is asked for again by TCP.
Trusts: nothing but an answer that repeats number and question; who sends many others is guessing, and the question
moves to TCP (RFC 5452 4.3, 9.2).
Standards: RFC 1035 4.2; RFC 5452; RFC 6891 6.2.2 (old servers are asked without EDNS); RFC 7766 8.
On failure: `done` hears in words what each server did.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from secrets import randbits
from typing import Final

from postroom.net.resolver_servers import Server
from postroom.net.resolver_wire import (
    CODES,
    FORMERR,
    NOERROR,
    NOTIMP,
    NXDOMAIN,
    Answer,
    Malformed,
    matches,
    query,
    read,
)
from postroom.values.clock import Clock
from postroom.values.dns import RecordType

_DATAGRAM: Final = 4096  # octets; 1232 are asked for
_ROUNDS: Final = 3  # times each server is tried, while it does not answer
_GUESSES: Final = 8  # datagrams that do not fit the question, until it moves to TCP


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. budget: for a question in all; first: until the next try, twice and three times that in later rounds;
    stream: for a question by TCP; stale: until an old answer is given while the question goes on (RFC 8767 5: 1.8).
    """

    budget: float = 10.0
    first: float = 1.5
    stream: float = 4.0
    stale: float = 1.8


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the question section in lower case, and how its answer is read."""

    asked: bytes
    kind: RecordType


#: told the answer and whether its AD bit counts; or None and why there is none
Done = Callable[[Answer | None, bool, str], None]


class Exchange:
    """Put `question` to `servers` in their order, again if need be, within `budget` seconds from `start` on."""

    __slots__ = (
        "_clock",
        "_done",
        "_end",
        "_faults",
        "_loop",
        "_patience",
        "_plan",
        "_question",
        "_tcp",
        "_timer",
        "_tries",
    )

    def __init__(self, question: Question, servers: list[Server], patience: Patience, clock: Clock, done: Done) -> None:
        self._question = question
        self._patience = patience
        self._clock = clock
        self._done: Done | None = done
        self._loop = asyncio.get_running_loop()
        self._plan = [(server, round_) for round_ in range(1, _ROUNDS + 1) for server in servers]
        self._plan.reverse()
        self._tries: list[_Try] = []
        self._tcp: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._faults: dict[str, str] = {}
        self._end = 0.0

    def start(self, budget: float) -> None:
        """Ask. `done` is called once, later or at once."""
        self._end = self._loop.time() + budget
        self._next()

    def close(self) -> None:
        """Stop, without an answer."""
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
        for each in self._tries:
            each.close()
        if self._tcp is not None:
            self._tcp.cancel()

    # tries

    def _next(self) -> None:
        """Begin the next try, and see to it that something happens later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tcp is not None:
            return
        while self._plan:
            server, round_ = self._plan.pop()
            if self._ask(server):
                left = self._end - self._loop.time()
                wait = min(self._patience.first * round_, left) if self._plan else left
                self._timer = self._loop.call_later(wait, self._waited)
                return
        if any(each.open for each in self._tries):
            self._timer = self._loop.call_later(max(self._end - self._loop.time(), 0), self._waited)
        else:
            self._finish(None, False)

    def _ask(self, server: Server, *, edns: bool = True) -> bool:
        attempt = _Try(self, server, edns=edns)
        try:
            attempt.send(self._question)
        except OSError as fault:
            attempt.close()
            self.unreachable(server, fault)
            return False
        self._tries.append(attempt)
        return True

    def _waited(self) -> None:
        """The last try was given its time."""
        self._timer = None
        last = self._tries[-1]
        if last.open:
            last.server.silent(self._clock.monotonic())
            self._faults.setdefault(last.server.text, "no answer")
        if self._loop.time() >= self._end - 0.001:
            self._finish(None, False)
        else:
            self._next()

    def unreachable(self, server: Server, fault: OSError) -> None:
        """Nobody is there, or no way leads there."""
        server.unreachable(self._clock.monotonic())
        self._faults[server.text] = f"cannot be reached ({fault.strerror or fault})"
        self._leave_out(server)

    def _leave_out(self, server: Server) -> None:
        self._plan = [each for each in self._plan if each[0] is not server]

    # answers

    def heard(self, attempt: _Try, data: bytes) -> None:
        """An answer that fits number and question."""
        server = attempt.server
        server.answered()
        try:
            answer = read(data, self._question.asked, self._question.kind)
        except Malformed as fault:
            self._failed(attempt, f"sends what cannot be read: {fault}")
            return
        if answer.truncated and not attempt.stream:
            self.by_stream(attempt)
        elif answer.code in (NOERROR, NXDOMAIN) and not answer.truncated:
            self._finish(answer, answer.authentic and server.trusted)
        elif answer.code in (FORMERR, NOTIMP) and attempt.edns and not attempt.stream:
            attempt.close()
            self._ask(server, edns=False)
        else:
            name = CODES.get(answer.code, f"RCODE {answer.code}")
            self._failed(attempt, f"{name} ({answer.detail})" if answer.detail else name)

    def _failed(self, attempt: _Try, text: str) -> None:
        """The server has answered, and it does not help: it need not be asked again."""
        attempt.close()
        self._faults[attempt.server.text] = text
        self._leave_out(attempt.server)
        self._next()

    def _finish(self, answer: Answer | None, secure: bool) -> None:
        done = self._done
        self.close()
        if done is not None:
            text = "; ".join(f"{server}: {fault}" for server, fault in self._faults.items())
            done(answer, secure, "" if answer is not None else text or "no DNS server was asked")

    # TCP

    def by_stream(self, attempt: _Try) -> None:
        """Ask that server again, over a connection."""
        attempt.close()
        if self._tcp is None:
            self._tcp = self._loop.create_task(self._stream(attempt.server))

    async def _stream(self, server: Server) -> None:
        attempt = _Try(self, server, edns=True, stream=True)
        data, text = b"", "no answer by TCP"
        try:
            async with asyncio.timeout_at(min(self._end, self._loop.time() + self._patience.stream)):
                data = await self._over_tcp(attempt)
        except TimeoutError:
            server.silent(self._clock.monotonic())
        except (OSError, EOFError) as fault:
            text = f"cannot be asked by TCP ({fault})"
        self._tcp = None
        if self._done is None:
            return
        if data and matches(data, attempt.number, self._question.asked):
            self.heard(attempt, data)
        else:
            self._failed(attempt, text)

    async def _over_tcp(self, attempt: _Try) -> bytes:
        host, port = attempt.server.address[:2]
        reader, writer = await asyncio.open_connection(host, port)
        try:
            message = attempt.message(self._question)
            writer.write(len(message).to_bytes(2, "big") + message)
            length = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(length)
        finally:
            writer.transport.abort()


class _Try:
    """One question on its way to one server."""

    __slots__ = ("_exchange", "_guesses", "_socket", "edns", "number", "server", "stream")

    def __init__(self, exchange: Exchange, server: Server, *, edns: bool, stream: bool = False) -> None:
        self._exchange = exchange
        self._socket: socket.socket | None = None
        self._guesses = 0
        self.server = server
        self.edns = edns
        self.stream = stream
        self.number = randbits(16)

    @property
    def open(self) -> bool:
        """True while an answer may come."""
        return self._socket is not None

    def message(self, question: Question) -> bytes:
        """The octets that ask."""
        return query(self.number, question.asked, edns=self.edns, authentic=self.server.trusted)

    def send(self, question: Question) -> None:
        """Raises OSError."""
        sock = socket.socket(self.server.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket = sock
        sock.connect(self.server.address)
        sock.send(self.message(question))
        self._exchange._loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        """No answer is expected any more."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._exchange._loop.remove_reader(sock.fileno())
            sock.close()

    def _readable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        try:
            data = sock.recv(_DATAGRAM)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as fault:  # the kernel tells a connected socket that nobody listens there
            self.close()
            self._exchange.unreachable(self.server, fault)
            self._exchange._next()
            return
        if matches(data, self.number, self._exchange._question.asked):
            self._exchange.heard(self, data)
            return
        self._guesses += 1
        if self._guesses >= _GUESSES:
            self._exchange.by_stream(self)
