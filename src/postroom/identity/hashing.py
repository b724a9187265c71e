"""argon2id: in the caller's own time (commands, tests), or in a process of its own for all workers.

Hashing takes 36 ms at the default cost. In a thread of a worker it would hold up the loop (MEASUREMENTS: gaps of
11 to 190 ms), so one low-priority process does it, one password at a time, and remembers verified logins for all.
Trusts: the workers at the other ends of its sockets. Messages are datagrams that keep their order and boundaries
(SOCK_SEQPACKET): a process that dies in the middle leaves no half message behind for the next one.
Standards: RFC 9106 (argon2id). On failure: PasswordsUnavailable, never a wrong answer.
"""

from __future__ import annotations

import base64
import os
import secrets
import selectors
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import msgspec
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from postroom.config import Passwords
from postroom.identity.cache import VerdictCache
from postroom.values.clock import Clock, SystemClock

#: octets; longer ones are nobody's password and would only cost time
LONGEST_PASSWORD = 1024
_NICE = 10
_MESSAGE = 65536


class Hasher(Protocol):
    """Where passwords are hashed."""

    async def verify(self, stored: str, password: str) -> bool:
        """True if the password is the one `stored` was made of. Raises PasswordsUnavailable."""
        ...

    async def hash(self, password: str) -> str:
        """The argon2id string to store. Raises PasswordsUnavailable."""
        ...


class Request(msgspec.Struct, frozen=True, array_like=True):
    """Worker to hashing process. stored "" asks for a new hash. id 0 is never used."""

    id: int
    stored: str
    password: str


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """Hashing process to worker. id 0: a new process has begun and knows of nothing that was asked before."""

    id: int
    right: bool = False
    stored: str = ""
    failed: bool = False


def make_hasher(passwords: Passwords) -> PasswordHasher:
    """argon2id at the configured cost; one lane, because many logins share the cores better than one alone."""
    return PasswordHasher(
        time_cost=passwords.passes, memory_cost=max(passwords.memory_kib, 8), parallelism=1, type=Type.ID
    )


def decoy(passwords: Passwords) -> str:
    """A stored hash that no password fits and that costs as much to check as a real one."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={max(passwords.memory_kib, 8)},t={passwords.passes},p=1${salt}${digest}"


def check(hasher: PasswordHasher, stored: str, password: str) -> bool:
    """True if the password is the stored one; False also for a stored text that is no argon2 hash."""
    try:
        return hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


class InlineHasher:
    """Hashes where it is called. For commands and tests, where nobody waits meanwhile."""

    __slots__ = ("_hasher",)

    def __init__(self, passwords: Passwords) -> None:
        self._hasher = make_hasher(passwords)

    async def verify(self, stored: str, password: str) -> bool:
        """See Hasher."""
        return check(self._hasher, stored, password)

    async def hash(self, password: str) -> str:
        """See Hasher."""
        return self._hasher.hash(password)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """(worker's end, hashing process's end). The supervisor keeps both open over a restart of either side."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def run_hashing(
    socks: Sequence[socket.socket],
    passwords: Passwords,
    *,
    orders: socket.socket | None = None,
    nice: int = _NICE,
) -> None:
    """The hashing process: answers until every worker's end is closed. Call it in a child of its own."""
    os.nice(nice)
    HashingProcess(socks, passwords, SystemClock(), secrets.token_bytes(32), orders).run()


class HashingProcess:
    """One password at a time, first come first served; what waits is read meanwhile, so that nobody blocks."""

    __slots__ = ("_cache", "_hasher", "_orders", "_queue", "_selector")

    def __init__(
        self,
        socks: Sequence[socket.socket],
        passwords: Passwords,
        clock: Clock,
        key: bytes,
        orders: socket.socket | None = None,
    ) -> None:
        """orders: where the supervisor says at a reload by which Passwords (msgpack) to work from then on."""
        self._hasher = make_hasher(passwords)
        self._cache = VerdictCache(key, passwords.cache_seconds, clock)
        # Bounded by what clients keep open: each worker has at most HashingClient's `limit` requests here.
        self._queue: deque[tuple[socket.socket, Request]] = deque()
        self._selector = selectors.DefaultSelector()
        self._orders = orders
        if orders is not None:
            orders.setblocking(False)
            self._selector.register(orders, selectors.EVENT_READ)
        for sock in socks:
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)
            self._answer(sock, Answer(0))

    def run(self) -> None:
        """Until nobody is left."""
        while len(self._selector.get_map()) > (self._orders is not None) or self._queue:
            self.turn()
        self._selector.close()

    def turn(self) -> None:
        """Read what has come, then work on one request."""
        for key, _ in self._selector.select(0 if self._queue else None):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            if sock is self._orders:
                self._follow(sock)
            else:
                self._read(sock)
        if self._queue:
            sock, request = self._queue.popleft()
            self._answer(sock, self._work(request))

    def _follow(self, orders: socket.socket) -> None:
        """Another cost for new passwords; what is stored is checked at its own."""
        message = b""
        with suppress(OSError):
            message = orders.recv(_MESSAGE)
        if not message:  # the supervisor is gone, and so will we be
            self._selector.unregister(orders)
            self._orders = None
            return
        passwords = msgspec.msgpack.decode(message, type=Passwords)
        self._hasher = make_hasher(passwords)
        self._cache.seconds = passwords.cache_seconds

    def _read(self, sock: socket.socket) -> None:
        while True:
            try:
                message = sock.recv(_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._selector.unregister(sock)
                sock.close()
                return
            self._queue.append((sock, msgspec.msgpack.decode(message, type=Request)))

    def _work(self, request: Request) -> Answer:
        try:
            if not request.stored:
                return Answer(request.id, stored=self._hasher.hash(request.password))
            digest = self._cache.digest(request.stored, request.password)
            # Only what was right is remembered here: a quick "wrong" could tell known logins from unknown ones.
            if self._cache.get(digest):
                return Answer(request.id, right=True)
            right = check(self._hasher, request.stored, request.password)
            if right:
                self._cache.put(digest, True)
            return Answer(request.id, right=right)
        except Exception:  # no memory for argon2: this request fails, the process goes on
            return Answer(request.id, failed=True)

    def _answer(self, sock: socket.socket, answer: Answer) -> None:
        try:
            sock.send(msgspec.msgpack.encode(answer))
        except OSError:
            return  # the worker is gone, or so stuck that its buffer is full: its request runs into its deadline
