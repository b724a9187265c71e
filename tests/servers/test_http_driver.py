"""HTTP over real sockets: ordinary clients, and those who send too much, too slowly, or do not read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Host, Route, Router

from postroom.config import Listener, Protocol, Tls, TlsMode
from postroom.net import Certificates, Link, LinkOptions, Wheel, bind, serve
from postroom.servers.http import HttpLimits, HttpService, Rooms
from postroom.testing.mailflow import Events

from .house import Policy

GET = b"GET %b HTTP/1.1\r\nHost: x.test\r\n\r\n"


class Web:
    """A service with pages for tests, on a port of its own."""

    def __init__(self, limits: HttpLimits, tls: Tls | None = None) -> None:
        self.events, self.policy = Events(), Policy()
        self.wheel = Wheel(resolution=0.02)
        self.gate = asyncio.Event()
        self.gone: list[str] = []
        self.service = HttpService("http", Rooms(gate=self.policy, log=self.events), self.routes(), limits)
        self.tls = tls
        self.port = 0
        self.links: list[Link] = []

    def routes(self) -> list[Any]:
        async def hello(request: Request) -> Response:
            return PlainTextResponse(f"{request.url.scheme} {request.client.host} {request.url.hostname}")

        async def echo(request: Request) -> Response:
            return PlainTextResponse(str(len(await request.body())))

        async def wait(request: Request) -> Response:
            await self.gate.wait()
            return PlainTextResponse("waited")

        async def fail(request: Request) -> Response:
            raise RuntimeError("a fault of ours")

        async def large(request: Request) -> Response:
            async def parts() -> AsyncIterator[bytes]:
                try:
                    for _ in range(4000):
                        yield b"x" * 65536
                finally:
                    self.gone.append("large")

            return StreamingResponse(parts())

        policy = Router([Route("/.well-known/mta-sts.txt", hello)])
        return [
            Host("mta-sts.here.test", policy),
            Route("/", hello),
            Route("/echo", echo, methods=["POST"]),
            Route("/wait", wait),
            Route("/fail", fail),
            Route("/large", large),
        ]

    async def start(self) -> None:
        mode = TlsMode.IMPLICIT if self.tls else TlsMode.NONE
        listener = Listener(protocol=Protocol.HTTP, port=0, tls=mode)
        sock = bind(listener)
        self.port = sock.getsockname()[1]

        def driver(link: Link) -> Any:
            self.links.append(link)
            return self.service.driver(link, listener)

        source = Certificates(self.tls) if self.tls else None
        self.server = await serve(sock, listener, driver, LinkOptions(wheel=self.wheel, tls=source, high_water=65536))

    async def pass_time(self, seconds: float) -> None:
        """Turn the wheel by hand; the loop runs meanwhile."""
        self.wheel.stop()
        for _ in range(round(seconds / self.wheel.resolution)):
            for _ in range(20):
                await asyncio.sleep(0)
            self.wheel.turn()


@asynccontextmanager
async def running(tls: Tls | None = None, **limits: Any) -> AsyncIterator[Web]:
    web = Web(HttpLimits(**limits), tls)
    await web.start()
    try:
        yield web
    finally:
        web.server.close()
        web.service.stop()
        for link in web.links:
            link.abort()
        await asyncio.wait_for(web.service.settled(), 5)
        web.wheel.stop()
        assert web.policy.open == []


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        return int(first.split()[1]), headers, await asyncio.wait_for(self.reader.readexactly(size), 10)

    async def rest(self) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def client(web: Web, context: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    name = "mail.example" if context else None
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port, ssl=context, server_hostname=name)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def test_requests_one_after_the_other_and_ahead() -> None:
    async with running() as web, client(web) as peer:
        for _ in range(2):
            peer.say(GET % b"/")
            code, headers, body = await peer.answer()
            assert (code, body) == (200, b"http 127.0.0.1 x.test")
            assert "server" not in headers
        peer.say((GET % b"/") * 3 + GET % b"/nowhere")
        assert [(await peer.answer())[0] for _ in range(4)] == [200, 200, 200, 404]
        peer.say(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        assert (await peer.answer())[2] == b"5"
        peer.say(b"GET / HTTP/1.0\r\n\r\n")
        assert (await peer.answer())[0] == 200
        assert await peer.rest() == b""


async def test_routes_by_host_name() -> None:
    async with running() as web, client(web) as peer:
        peer.say(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.here.test\r\n\r\n")
        assert (await peer.answer())[0] == 200
        peer.say(GET % b"/.well-known/mta-sts.txt")
        assert (await peer.answer())[0] == 404


async def test_https(pair: Tls) -> None:
    context = ssl.create_default_context(cafile=pair.certificate)
    context.check_hostname = False
    async with running(pair) as web, client(web, context) as peer:
        peer.say(GET % b"/")
        assert (await peer.answer())[2] == b"https 127.0.0.1 x.test"


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"EHLO x\r\n",
        b"GET / HTTP/1.1\r\nA\x00: b\r\n\r\n",
        b"\x00" * 99,
    ],
)
async def test_no_http(octets: bytes) -> None:
    async with running() as web, client(web) as peer:
        peer.say(octets)
        assert (await peer.answer())[0] == 400
        assert await peer.rest() == b""


@pytest.mark.parametrize("field", [b"X: %b\r\n" % (b"a" * 99), b"X: " + b"a" * 5000])
async def test_a_head_without_end(field: bytes) -> None:
    async with running(head=4096) as web, client(web) as peer:
        peer.say(b"GET / HTTP/1.1\r\n")
        for _ in range(100):
            peer.say(field)
            await asyncio.sleep(0)
        assert (await peer.answer())[0] == 431


async def test_an_octet_now_and_then_does_not_keep_a_connection() -> None:
    async with running(head_seconds=0.3) as web, client(web) as peer:
        peer.say(b"GET / HTTP/1.1\r\n")
        await web.pass_time(0.2)
        for _ in range(8):
            assert web.links[0].alive
            peer.say(b"X-A: b\r\n")
            await web.pass_time(0.02)
        assert (await peer.answer())[0] == 408


async def test_who_says_nothing_is_closed() -> None:
    async with running(head_seconds=0.1, idle_seconds=0.1) as web:
        async with client(web) as silent:
            assert await silent.rest() == b""
        async with client(web) as idle:
            idle.say(GET % b"/")
            assert (await idle.answer())[0] == 200
            assert await idle.rest() == b""


async def test_a_body_too_large_or_too_slow() -> None:
    async with running(body=100_000, head=4096, body_seconds=0.2) as web:
        async with client(web) as peer:
            peer.say(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + b"x" * 300_000)
            assert (await peer.answer())[0] == 413
        async with client(web) as peer:
            peer.say(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(20):
                peer.say(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
                await asyncio.sleep(0)
            assert (await peer.answer())[0] == 413
        async with client(web) as peer:
            peer.say(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhello")
            assert (await peer.answer())[0] == 408


async def test_a_slow_application_is_waited_for() -> None:
    async with running(head_seconds=0.05, answer_seconds=0.05, idle_seconds=0.05) as web, client(web) as peer:
        peer.say(GET % b"/wait")
        await web.pass_time(0.3)
        web.gate.set()
        assert (await peer.answer())[2] == b"waited"


async def test_who_does_not_read_is_cut_off_and_costs_no_memory() -> None:
    async with running(answer_seconds=0.2) as web, client(web) as peer:
        peer.writer.transport.pause_reading()
        peer.say(GET % b"/large")
        async with asyncio.timeout(10):
            while not web.gone:
                await web.pass_time(0.02)
                waiting = [link._transport.get_write_buffer_size() for link in web.links if link.standing]
                assert max(waiting, default=0) < 1_000_000


async def test_a_large_answer_is_read_in_full() -> None:
    async with running() as web, client(web) as peer:
        peer.say(b"GET /large HTTP/1.0\r\n\r\n")
        octets = 0
        while data := await asyncio.wait_for(peer.reader.read(1 << 20), 20):
            octets += len(data)
        assert octets > 4000 * 65536


async def test_a_fault_of_ours_is_an_event_and_500() -> None:
    async with running() as web, client(web) as peer:
        peer.say(GET % b"/fail")
        assert (await peer.answer())[0] == 500
        [fault] = web.events.of("session.fault")
        assert "a fault of ours" in str(fault["reason"])


async def test_too_many_connections() -> None:
    async with running(connections=2) as web:
        web.policy.most = 1
        async with client(web) as first:
            first.say(GET % b"/")
            assert (await first.answer())[0] == 200
            async with client(web) as second:
                assert (await second.answer())[0] == 503
        web.policy.most = 25


async def test_a_stop_waits_for_the_answer() -> None:
    async with running() as web, client(web) as busy, client(web) as idle:
        busy.say(GET % b"/wait")
        idle.say(GET % b"/")
        assert (await idle.answer())[0] == 200
        web.service.stop()
        assert await idle.rest() == b""
        web.gate.set()
        assert (await busy.answer())[2] == b"waited"
        assert await busy.rest() == b""
        await asyncio.wait_for(web.service.settled(), 5)
        async with client(web) as late:
            assert (await late.answer())[0] == 503


async def test_an_upgrade_is_not_done() -> None:
    async with running() as web, client(web) as peer:
        peer.say(b"GET / HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (await peer.answer())[0] == 200
