"""CPU of a look-up: from memory, from a server on loopback, and of reading an answer alone. Microseconds, best of
five. With dnspython installed, what that takes for the same octets stands beside it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import time
import timeit
from collections.abc import Awaitable, Callable
from contextlib import suppress

from postroom.net.resolver import Resolver
from postroom.net.resolver_wire import query, question, read
from postroom.values.clock import SystemClock
from postroom.values.dns import RecordType

MX = b"\xc0\x0c" + struct.pack("!HHIHH", 15, 1, 300, 9, 10) + b"\x04mail\xc0\x0c"
ADDRESS = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + b"\xc0\x00\x02\x01"


def answer(asked: bytes, record: bytes = ADDRESS) -> bytes:
    """A server's answer to a message: one record twice."""
    end = asked.index(b"\0", 12) + 5
    return asked[:2] + struct.pack("!5H", 0x8180, 1, 2, 0, 0) + asked[12:end] + record * 2


def respond(sock: socket.socket) -> None:
    """Answer for ever."""
    while True:
        data, peer = sock.recvfrom(2000)
        sock.sendto(answer(data), peer)


async def best(rounds: int, what: Callable[[int], Awaitable[object]]) -> float:
    """Microseconds of this process's CPU."""
    found = []
    for turn in range(5):
        began = time.process_time()
        await what(turn * rounds)
        found.append(time.process_time() - began)
    return min(found) / rounds * 1e6


async def measure(address: tuple[str, int], rounds: int, loop: str) -> None:
    """All that needs a loop."""
    resolver = Resolver([f"{address[0]}:{address[1]}"], SystemClock())

    async def kept(_: int) -> None:
        for _ in range(rounds):
            await resolver.lookup("kept.example.org", RecordType.A)

    async def asked(start: int) -> None:
        for number in range(start, start + rounds):
            await resolver.lookup(f"n{number}.example.org", RecordType.A)

    async def together(start: int) -> None:
        for first in range(start, start + rounds, 100):
            names = [f"t{number}.example.org" for number in range(first, first + 100)]
            await asyncio.gather(*[resolver.lookup(name, RecordType.A) for name in names])

    for name, what in (("from memory", kept), ("asked, one by one", asked), ("asked, 100 at once", together)):
        print(f"{loop:8} {name:28} {await best(rounds, what):7.1f} us")
    resolver.close()


def main(rounds: int) -> None:
    """Everything."""
    asked = question("example.org", RecordType.MX)
    reply = answer(query(7, asked), MX)
    print(f"{'':8} {'reading an answer of 2 MX':28} {_time(lambda: read(reply, asked, RecordType.MX), rounds):7.1f} us")
    with suppress(ImportError):
        import dns.message

        def other() -> None:
            dns.message.make_query("example.org", "MX", use_edns=0).to_wire()
            dns.message.from_wire(reply)

        print(f"{'':8} {'the same with dnspython':28} {_time(other, rounds):7.1f} us")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    child = os.fork()
    if not child:
        respond(sock)
    try:
        asyncio.run(measure(sock.getsockname(), rounds, "asyncio"))
        with suppress(ImportError):
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(measure(sock.getsockname(), rounds, "uvloop"))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def _time(what: Callable[[], object], rounds: int) -> float:
    return min(timeit.repeat(what, number=rounds, repeat=5)) / rounds * 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
