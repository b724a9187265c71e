"""Clients that hang up at every stage of TLS, log-in and answer: afterwards nothing of them is counted any more."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from imap_house import House, fill
from test_imap_sockets import LOOPS, pair

from postroom.config import Listener, Protocol, Tls, TlsMode
from postroom.net import Certificates, Handshakes, Link, LinkOptions, Wheel, bind, serve
from postroom.net.listen import Server
from postroom.store.api import AccountRow
from postroom.store.embedded import EmbeddedStore

__all__ = ["pair"]

LOGIN = b"a LOGIN ann@example.org secret\r\n"
ROUNDS = 12


class Wire:
    """A client whose TLS stops where the test wants it to."""

    def __init__(self, port: int, context: ssl.SSLContext, dice: random.Random, *, starttls: bool) -> None:
        self.dice = dice
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.starttls = starttls

    def upgrade(self) -> None:
        if self.starttls:
            self.sock.recv(4096)
            self.sock.sendall(b"t STARTTLS\r\n")
            while b"t OK" not in self.sock.recv(4096):
                pass

    def flush(self, most: int | None = None) -> None:
        data = self.outgoing.read()
        self.sock.sendall(data if most is None else data[:most])

    def handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.sock.recv(65536))

    def say(self, data: bytes) -> None:
        self.tls.write(data)
        self.flush()

    def hear(self, wanted: bytes) -> None:
        heard = b""
        while wanted not in heard:
            try:
                heard += self.tls.read(65536)
            except ssl.SSLWantReadError:
                data = self.sock.recv(65536)
                assert data, heard
                self.incoming.write(data)

    def end(self) -> None:
        """Reset, or close."""
        if self.dice.random() < 0.5:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def nothing(wire: Wire) -> None:
    """Connects."""


def half_hello(wire: Wire) -> None:
    wire.upgrade()
    with pytest.raises(ssl.SSLWantReadError):
        wire.tls.do_handshake()
    wire.flush(wire.dice.randrange(1, 300))


def hello(wire: Wire) -> None:
    wire.upgrade()
    with pytest.raises(ssl.SSLWantReadError):
        wire.tls.do_handshake()
    wire.flush()
    if wire.dice.random() < 0.5:
        wire.sock.recv(wire.dice.randrange(1, 4000))


def finished(wire: Wire) -> None:
    wire.upgrade()
    wire.handshake()
    wire.flush(None if wire.dice.random() < 0.7 else wire.dice.randrange(1, 60))


def half_login(wire: Wire) -> None:
    finished(wire)
    wire.say(LOGIN[: wire.dice.randrange(1, len(LOGIN))])


def login(wire: Wire) -> None:
    wire.upgrade()
    wire.handshake()
    wire.say(LOGIN)


def logged_in(wire: Wire) -> None:
    wire.upgrade()
    wire.handshake()
    wire.say(LOGIN)
    wire.hear(b"a OK")


def answer(wire: Wire) -> None:
    logged_in(wire)
    wire.say(b"b SELECT INBOX\r\nc FETCH 1:* (ENVELOPE BODY[])\r\nd FETCH 1:* BODY[]\r\n")
    if wire.dice.random() < 0.5:
        wire.hear(b"FETCH (")


def idle(wire: Wire) -> None:
    logged_in(wire)
    wire.say(b"b SELECT INBOX\r\nc IDLE\r\n")
    wire.hear(b"+ ")


def literal(wire: Wire) -> None:
    logged_in(wire)
    wire.say(b"b APPEND INBOX {100000}\r\n")
    wire.hear(b"+ ")
    wire.say(b"x" * 1000)


STAGES = [nothing, half_hello, hello, finished, half_login, login, logged_in, answer, idle, literal]


def slowly(house: House) -> None:
    """Password checks take a moment, in a thread, as hashing does in another process."""
    quick, dice = house.identity.authenticate, random.Random(7)

    async def authenticate(login: str, password: str) -> AccountRow:
        for _ in range(dice.randrange(4)):
            await asyncio.to_thread(threading.Event().wait, dice.random() / 200)
        return await quick(login, password)

    house.identity.authenticate = authenticate  # type: ignore[method-assign]


async def listen(house: House, options: LinkOptions, made: list[Link]) -> tuple[list[int], list[Server]]:
    """Ports with implicit TLS and with STARTTLS."""
    ports, servers = [], []
    for mode in (TlsMode.IMPLICIT, TlsMode.STARTTLS):
        listener = Listener(protocol=Protocol.IMAP, port=0, tls=mode)
        sock = bind(listener)
        ports.append(sock.getsockname()[1])

        def driver(link: Link, listener: Listener = listener) -> Any:
            made.append(link)
            return house.service.driver(link, listener)

        servers.append(await serve(sock, listener, driver, options))
    return ports, servers


async def hang_up(house: House, pair: Tls) -> None:
    """Clients of both listeners at every stage, eight at once; then nobody may be left, without help of a deadline."""
    handshakes = Handshakes(1000, 1000)
    options = LinkOptions(wheel=Wheel(), tls=Certificates(pair), handshakes=handshakes)
    made: list[Link] = []
    ports, servers = await listen(house, options, made)
    options.wheel.stop()
    context = ssl.create_default_context(cafile=pair.certificate)

    def client(number: int) -> None:
        starttls = bool(number & 1)
        wire = Wire(ports[starttls], context, random.Random(number), starttls=starttls)
        try:
            STAGES[number // 2 % len(STAGES)](wire)
        finally:
            wire.end()

    def counted() -> tuple[int, int, int, int]:
        standing = sum(link.standing for link in made)
        return standing, house.service.connections, len(house.gate.open), handshakes.under_way

    async def stream(first: int) -> None:
        for number in range(first, ROUNDS * len(STAGES) * 2, 8):
            await asyncio.get_running_loop().run_in_executor(pool, client, number)

    with ThreadPoolExecutor(8) as pool:
        await asyncio.gather(*[stream(first) for first in range(8)])
    try:
        for _ in range(2000):  # what is under way comes to its end
            if not any(counted()):
                break
            await asyncio.to_thread(threading.Event().wait, 0.002)
        assert counted() == (0, 0, 0, 0), "links, sessions, connections of addresses, handshakes"
        assert len(made) > ROUNDS * len(STAGES)
        assert [fields for name, fields in house.events if name == "session.fault"] == []
    finally:
        for server in servers:
            server.close()
        for link in made:
            link.abort()


@pytest.mark.parametrize("loop", LOOPS)
def test_who_hangs_up_is_counted_no_more(loop: str, tmp_path: Path, pair: Tls) -> None:
    async def main() -> None:
        store = EmbeddedStore(tmp_path)
        try:
            house = House(store=store)
            await fill(await house.add_account("ann@example.org"), "INBOX", 200)
            slowly(house)
            await hang_up(house, pair)
        finally:
            await store.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
