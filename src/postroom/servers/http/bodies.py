"""Bodies of requests, read with a size and a share of the worker's memory.

JSON must be in memory to be read, so what all requests of a worker hold together is bounded. A finished message goes
into a spool as it comes, and needs no memory.
Owns: the count of octets held. Trusts: nobody; no length that is announced is believed, only used to say no early.
On failure: Problem 413 or 503; ClientDisconnect when the peer goes away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from starlette.requests import Request

from postroom.servers.http.problems import Problem
from postroom.store.api import Spool, StoreUnavailable

_SMALL: Final = 64 * 1024  # what any request may have


@dataclass(slots=True)
class Budget:
    """Octets that large bodies of a worker may hold at once."""

    left: int

    def take(self, octets: int) -> None:
        """Raises Problem 503."""
        if octets > self.left:
            raise Problem(503, "busy", "This server reads as many large messages as it can", retry_in=5.0)
        self.left -= octets


def check_length(request: Request, most: int, advice: str) -> None:
    """Say no before the octets come. Raises Problem 413."""
    text = request.headers.get("content-length", "")
    if text.isascii() and text.isdigit() and int(text[:18]) > most:
        raise too_large(most, advice)


def too_large(most: int, advice: str) -> Problem:
    """What to tell who sends more than that."""
    return Problem(413, "too_large", f"{most} octets are allowed. {advice}".strip())


@asynccontextmanager
async def in_memory(request: Request, most: int, budget: Budget, advice: str = "") -> AsyncIterator[bytearray]:
    """The body. Raises Problem 413, 503; ClientDisconnect."""
    check_length(request, most, advice)
    data, taken = bytearray(), 0
    try:
        async for chunk in request.stream():
            if len(data) + len(chunk) > most:
                raise too_large(most, advice)
            more = len(data) + len(chunk) - _SMALL - taken
            if more > 0:
                budget.take(more)
                taken += more
            data += chunk
        yield data
    finally:
        budget.left += taken


@dataclass(slots=True)
class Arrived:
    """A finished message as it lies in the spool: with CR LF line ends, which is all that was changed."""

    digest: bytes
    ascii: bool


async def into_spool(request: Request, spool: Spool, most: int) -> Arrived:
    """Write the body into the spool. Raises Problem 413, 422, 503; ClientDisconnect."""
    check_length(request, most, "")
    digest, plain = sha256(), True
    lines = _Lines()
    async for chunk in request.stream():
        digest.update(chunk)
        for octets in lines.feed(chunk):
            if spool.size + len(octets) > most:
                raise too_large(most, "")
            if b"\0" in octets:
                raise Problem(422, "bad_message", "A message holds no NUL octets (RFC 5322 3.5)")
            plain = plain and octets.isascii()
            try:
                spool.write(octets)
            except StoreUnavailable as fault:
                raise Problem(503, "unavailable", "There is no room for the message now", retry_in=60.0) from fault
    for octets in lines.end():
        spool.write(octets)
    return Arrived(digest.digest(), plain)


class _Lines:
    """Every line end as CR LF, whatever it was; a message that does not end with one gets one."""

    __slots__ = ("_cr", "_last")

    def __init__(self) -> None:
        self._cr = False  # the last octet was a CR, whose LF may come
        self._last = b"\n"

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if not chunk:
            return
        data = b"\r" + chunk if self._cr else chunk
        self._cr = data.endswith(b"\r")
        if self._cr:
            data = data[:-1]
        if data:
            octets = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
            self._last = octets[-1:]
            yield octets

    def end(self) -> Iterator[bytes]:
        if self._cr or self._last != b"\n":
            yield b"\r\n"
