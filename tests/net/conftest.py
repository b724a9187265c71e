"""Both event loops, a self-made certificate, and a driver that writes down what it hears."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from postroom.config import Listener, Protocol, Tls, TlsMode
from postroom.net import Certificates, Driver, Handshakes, Link, LinkOptions, Wheel, bind, serve
from postroom.net.tls import write_self_signed

NOW = datetime.datetime.now(datetime.UTC)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    write_self_signed(folder / "cert.pem", folder / "key.pem", ["mail.example", "127.0.0.1"], 2, NOW)
    return Tls(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem"))


@pytest.fixture
def certificates(pair: Tls) -> Certificates:
    return Certificates(pair)


@pytest.fixture
def client_tls(pair: Tls) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pair.certificate)


@dataclass
class Recorder:
    """A driver for tests: a queue of what happened, and hooks."""

    link: Link
    heard: bytearray = field(default_factory=bytearray)
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    on_data: Callable[[Recorder, bytes], None] = lambda driver, data: None
    reason: Exception | None = None

    def connected(self) -> None:
        self.events.put_nowait("connected")

    def received(self, data: bytes) -> None:
        self.heard += data
        self.events.put_nowait("received")
        self.on_data(self, data)

    def expired(self) -> None:
        self.events.put_nowait("expired")

    def closed(self, reason: Exception | None) -> None:
        self.reason = reason
        self.events.put_nowait("closed")

    async def until(self, event: str) -> None:
        while await asyncio.wait_for(self.events.get(), 10) != event:
            pass

    async def hears(self, data: bytes) -> None:
        while bytes(self.heard) != data:
            await self.until("received")


@dataclass
class Site:
    """A served port and the drivers of its connections, in order of arrival."""

    port: int
    wheel: Wheel
    arrivals: asyncio.Queue[Recorder]
    failures: asyncio.Queue[tuple[str, Exception]]

    async def driver(self) -> Recorder:
        return await asyncio.wait_for(self.arrivals.get(), 10)


Serve = Callable[..., Awaitable[Site]]


@pytest.fixture
async def site(certificates: Certificates) -> AsyncIterator[Serve]:
    closers: list[Callable[[], None]] = []
    links: weakref.WeakSet[Link] = weakref.WeakSet()

    async def make(
        on_data: Callable[[Recorder, bytes], None] = lambda driver, data: None,
        tls: TlsMode = TlsMode.STARTTLS,
        proxies: tuple[str, ...] = (),
        high_water: int = 256 * 1024,
        handshake: float = 10.0,
        handshakes: Handshakes | None = None,
    ) -> Site:
        listener = Listener(protocol=Protocol.SMTP, port=0, tls=tls, proxy_networks=proxies)
        sock = bind(listener)
        here = Site(sock.getsockname()[1], Wheel(), asyncio.Queue(), asyncio.Queue())

        def driver(link: Link) -> Driver:
            recorder = Recorder(link, on_data=on_data)
            here.arrivals.put_nowait(recorder)
            links.add(link)
            return recorder

        options = LinkOptions(
            wheel=here.wheel, tls=certificates, high_water=high_water, handshake=handshake, handshakes=handshakes
        )
        server = await serve(
            sock, listener, driver, options, lambda host, fault: here.failures.put_nowait((host, fault))
        )
        here.wheel.stop()  # tests turn it
        closers.append(server.close)
        return here

    yield make
    for close in closers:
        close()
    for link in list(links):
        link.abort()
    while any(link.standing for link in list(links)):  # noqa: ASYNC110 - transports say goodbye over a few turns
        await asyncio.sleep(0)


def plain_socket(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.setblocking(False)
    return sock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
