"""Link on real sockets, on both event loops."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import socket
import ssl
import struct
import weakref
from contextlib import suppress
from pathlib import Path

import pytest

from postroom.config import Tls, TlsMode
from postroom.net import Handshakes, Link, LinkOptions, Wheel

from .conftest import Recorder, Serve


async def connect(port: int, **kwargs: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, **kwargs)


def echo(driver: Recorder, data: bytes) -> None:
    driver.link.send(data)


async def test_a_peer_is_known_by_address_and_port(site: Serve) -> None:
    here = await site()
    _, writer = await connect(here.port)
    driver = await here.driver()
    assert driver.link.peer == writer.get_extra_info("sockname")
    assert driver.link.local == ("127.0.0.1", here.port)
    assert driver.link.loopback
    assert not driver.link.secure
    writer.close()
    await driver.until("closed")
    assert driver.reason is None


@pytest.mark.parametrize("tls", [TlsMode.NONE, TlsMode.IMPLICIT])
async def test_octets_go_both_ways(site: Serve, client_tls: ssl.SSLContext, tls: TlsMode) -> None:
    here = await site(echo, tls=tls)
    secure = {"ssl": client_tls, "server_hostname": "mail.example"} if tls is TlsMode.IMPLICIT else {}
    reader, writer = await connect(here.port, **secure)
    octets = bytes(range(256)) * 2000
    for start in range(0, len(octets), 70_001):
        writer.write(octets[start : start + 70_001])
    assert await reader.readexactly(len(octets)) == octets
    driver = await here.driver()
    assert driver.link.secure is (tls is TlsMode.IMPLICIT)
    driver.link.close()
    assert await reader.read() == b""
    writer.close()


async def test_replies_of_one_turn_leave_in_one_write(site: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []

    class Spy:
        def __init__(self, transport: asyncio.Transport) -> None:
            self._transport = transport

        def write(self, data: bytes) -> None:
            writes.append(data)
            self._transport.write(data)

        def __getattr__(self, name: str) -> object:
            return getattr(self._transport, name)

    def three_replies(driver: Recorder, data: bytes) -> None:
        driver.link.send(b"one ")
        driver.link.send(b"two ")
        driver.link.send(b"three")

    here = await site(three_replies)
    reader, writer = await connect(here.port)
    driver = await here.driver()
    driver.link._transport = Spy(driver.link._transport)  # type: ignore[assignment]
    writer.write(b"go")
    assert await reader.readexactly(13) == b"one two three"
    driver.link.send(b"from ")  # outside of received(): the next turn
    driver.link.send(b"a task")
    assert await reader.readexactly(11) == b"from a task"
    assert writes == [b"one two three", b"from a task"]
    writer.close()


async def test_starttls_shows_what_was_negotiated(site: Serve, client_tls: ssl.SSLContext, pair: Tls) -> None:
    def upgrade(driver: Recorder, data: bytes) -> None:
        if data == b"STARTTLS\r\n":
            driver.link.send(b"220 go\r\n")
            driver.link.start_tls()
            driver.link.send(b"250 first under TLS\r\n")
        else:
            driver.link.send(b"250 " + data)

    here = await site(upgrade)
    reader, writer = await connect(here.port)
    writer.write(b"STARTTLS\r\n")
    assert await reader.readline() == b"220 go\r\n"
    await writer.start_tls(client_tls, server_hostname="mail.example")
    assert await reader.readline() == b"250 first under TLS\r\n"
    writer.write(b"NOOP\r\n")
    assert await reader.readline() == b"250 NOOP\r\n"
    driver = await here.driver()
    info = driver.link.tls
    assert info is not None
    assert info.version == "TLSv1.3"
    certificate = ssl.PEM_cert_to_DER_cert(_text(pair.certificate))
    assert info.server_end_point == hashlib.sha256(certificate).digest()
    assert driver.link.secure
    with pytest.raises(RuntimeError):
        driver.link.start_tls()
    writer.close()
    await driver.until("closed")


async def test_plaintext_injected_before_tls_is_never_heard(site: Serve, client_tls: ssl.SSLContext) -> None:
    """CVE-2011-0411: commands sent behind STARTTLS by a man in the middle must not count as sent under TLS."""

    def upgrade(driver: Recorder, data: bytes) -> None:
        if data == b"STARTTLS\r\n":
            driver.link.pause()  # a driver that is busy when more arrives
            driver.link.data_received(b"RCPT TO:<evil@example.com>\r\n")
            driver.link.send(b"220 go\r\n")
            driver.link.start_tls()
            assert driver.link._transport.get_protocol() is not driver.link  # TLS reads from here on
            driver.link.resume()

    here = await site(upgrade)
    reader, writer = await connect(here.port)
    driver = await here.driver()
    writer.write(b"STARTTLS\r\n")
    assert await reader.readline() == b"220 go\r\n"
    await writer.start_tls(client_tls, server_hostname="mail.example")
    writer.write(b"EHLO me\r\n")
    await driver.hears(b"STARTTLS\r\nEHLO me\r\n")
    writer.close()


async def test_plaintext_after_starttls_ends_the_handshake(site: Serve) -> None:
    def upgrade(driver: Recorder, data: bytes) -> None:
        driver.link.send(b"220 go\r\n")
        driver.link.start_tls()

    here = await site(upgrade)
    reader, writer = await connect(here.port)
    writer.write(b"STARTTLS\r\n")
    assert await reader.readline() == b"220 go\r\n"
    writer.write(b"MAIL FROM:<evil@example.com>\r\n")
    driver = await here.driver()
    await driver.until("closed")
    assert isinstance(driver.reason, OSError)
    assert bytes(driver.heard) == b"STARTTLS\r\n"
    writer.close()


async def test_a_handshake_has_a_deadline(site: Serve) -> None:
    def upgrade(driver: Recorder, data: bytes) -> None:
        driver.link.start_tls()

    here = await site(upgrade, handshake=0.05)
    _, writer = await connect(here.port)
    writer.write(b"STARTTLS\r\n")
    driver = await here.driver()
    await driver.until("closed")
    assert isinstance(driver.reason, OSError)
    writer.close()


@pytest.mark.parametrize("tls", [TlsMode.NONE, TlsMode.IMPLICIT])
async def test_a_slow_reader_is_waited_for(site: Serve, client_tls: ssl.SSLContext, tls: TlsMode) -> None:
    here = await site(tls=tls, high_water=65536)
    secure = {"ssl": client_tls, "server_hostname": "mail.example"} if tls is TlsMode.IMPLICIT else {}
    reader, writer = await connect(here.port, limit=4096, **secure)
    driver = await here.driver()
    sent = 0

    async def pour() -> None:
        nonlocal sent
        for _ in range(400):
            driver.link.send(b"x" * 65536)
            sent += 65536
            await driver.link.drain()

    pouring = asyncio.create_task(pour())
    seen = -1
    while seen != sent:  # until nothing moves any more: kernel and transport are full
        seen = sent
        for _ in range(50):
            await asyncio.sleep(0)
    assert not pouring.done()
    assert sent < 400 * 65536
    writer.write(b"command of a peer that does not read\r\n")
    got = 0
    while got < 400 * 65536:
        got += len(await reader.read(1 << 20))
    await pouring
    await driver.until("received")  # and now it is served again
    writer.close()


async def test_drain_ends_when_the_peer_goes(site: Serve) -> None:
    here = await site(high_water=1024)
    _, writer = await connect(here.port, limit=1024)
    driver = await here.driver()
    driver.link.send(b"x" * (64 << 20))
    waiting = asyncio.create_task(driver.link.drain())
    await asyncio.sleep(0)
    writer.transport.abort()
    with pytest.raises(ConnectionError):
        await waiting
    await driver.until("closed")
    driver.link.send(b"nobody is there")
    driver.link.close()
    driver.link.abort()
    driver.link.deadline(5)


async def test_nothing_is_received_while_paused(site: Serve) -> None:
    here = await site(lambda driver, data: driver.link.pause())
    _, writer = await connect(here.port)
    driver = await here.driver()
    writer.write(b"a")
    await driver.until("received")
    driver.link.data_received(b"b")
    driver.link.data_received(b"c")
    writer.write(b"d")
    assert bytes(driver.heard) == b"a"
    driver.link.resume()
    await driver.hears(b"abc")
    driver.link.resume()
    await driver.hears(b"abcd")
    writer.close()


async def test_a_peer_that_ends_its_side_still_gets_its_answers(site: Serve) -> None:
    """`printf 'QUIT\\r\\n' | nc`: half-closed at once; a busy driver answers first."""
    here = await site(lambda driver, data: driver.link.pause())
    reader, writer = await connect(here.port)
    driver = await here.driver()
    writer.write(b"NOOP\r\nQUIT\r\n")
    writer.write_eof()
    await driver.until("received")
    for _ in range(20):
        await asyncio.sleep(0)
    driver.link.send(b"250 ok\r\n221 bye\r\n")
    driver.link.resume()
    assert await reader.read() == b"250 ok\r\n221 bye\r\n"
    await driver.until("closed")
    assert driver.reason is None
    writer.close()


async def test_close_writes_out_what_was_sent(site: Serve) -> None:
    here = await site()
    reader, writer = await connect(here.port)
    driver = await here.driver()
    driver.link.send(b"x" * (4 << 20))
    driver.link.close()
    driver.link.send(b"too late")
    assert len(await reader.read(-1)) == 4 << 20
    assert not driver.link.alive
    writer.close()
    await driver.until("closed")


async def test_deadline_comes_by_the_wheel(site: Serve) -> None:
    here = await site()
    _, writer = await connect(here.port)
    driver = await here.driver()
    await driver.until("connected")
    driver.link.deadline(5)
    here.wheel.turn(5)
    assert driver.events.empty()
    driver.link.deadline(5)  # the peer said something
    here.wheel.turn(5)
    assert driver.events.empty()
    here.wheel.turn(1)
    assert driver.events.get_nowait() == "expired"
    here.wheel.turn(100)
    assert driver.events.empty()
    driver.link.deadline(5)
    driver.link.deadline(0)
    here.wheel.turn(10)
    assert driver.events.empty()
    writer.close()


@pytest.mark.parametrize("tls", [TlsMode.NONE, TlsMode.IMPLICIT])
async def test_a_closed_link_is_freed_without_the_collector(
    site: Serve, client_tls: ssl.SSLContext, tls: TlsMode
) -> None:
    here = await site(tls=tls)
    secure = {"ssl": client_tls, "server_hostname": "mail.example"} if tls is TlsMode.IMPLICIT else {}
    gc.disable()
    try:
        _, writer = await connect(here.port, **secure)
        driver = await here.driver()
        driver.link.deadline(1000)
        writer.close()
        await driver.until("closed")
        gone = weakref.ref(driver.link)
        del driver
        for _ in range(10):
            await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


async def test_a_driver_that_fails_costs_its_own_connection_only(site: Serve) -> None:
    def fail(driver: Recorder, data: bytes) -> None:
        raise ValueError("a bug")

    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    here = await site(fail)
    reader, writer = await connect(here.port)
    writer.write(b"x")
    assert await reader.read() == b""
    driver = await here.driver()
    await driver.until("closed")
    assert isinstance(driver.reason, ValueError)
    assert len(faults) == 1
    writer.close()
    _, other = await connect(here.port)
    await (await here.driver()).until("connected")
    other.close()


def _text(path: str) -> str:
    return Path(path).read_text()


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_leaving_in_the_middle_of_a_handshake_is_heard(site: Serve, end: str) -> None:
    def upgrade(driver: Recorder, data: bytes) -> None:
        driver.link.send(b"220 go\r\n")
        driver.link.start_tls()

    here = await site(upgrade)
    reader, writer = await connect(here.port)
    writer.write(b"STARTTLS\r\n")
    assert await reader.readline() == b"220 go\r\n"
    driver = await here.driver()
    getattr(driver.link, end)()
    await driver.until("closed")
    assert not driver.link.standing
    writer.close()


async def test_handshakes_under_way_are_limited(site: Serve, client_tls: ssl.SSLContext) -> None:
    """A peer that connects to an implicit TLS port and says nothing has not been counted by any protocol yet."""
    handshakes = Handshakes(2, 3, unit=lambda host: "one", exempt=lambda host: False)
    here = await site(tls=TlsMode.IMPLICIT, handshakes=handshakes)
    silent = [await connect(here.port) for _ in range(2)]
    refused, late = await connect(here.port)
    with suppress(ConnectionError):
        assert await refused.read() == b""
    assert handshakes.under_way == 2
    silent[0][1].transport.abort()
    _, fault = await asyncio.wait_for(here.failures.get(), 10)
    assert isinstance(fault, OSError)
    assert handshakes.under_way == 1
    _, writer = await connect(here.port, ssl=client_tls, server_hostname="mail.example")
    assert (await here.driver()).link.secure
    assert handshakes.under_way == 1
    silent[1][1].transport.abort()
    await asyncio.wait_for(here.failures.get(), 10)
    assert handshakes.under_way == 0
    for other in (silent[0][1], silent[1][1], late, writer):
        other.close()
        with suppress(ConnectionError):
            await other.wait_closed()


def test_who_is_exempt_still_counts_towards_the_total() -> None:
    handshakes = Handshakes(1, 3, exempt=lambda host: host == "balancer")
    assert [handshakes.enter(host) for host in ("a", "a", "balancer", "balancer", "b")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    handshakes.leave("balancer")
    handshakes.leave("a")
    assert handshakes.enter("b")
    assert handshakes.under_way == 2


async def test_a_peer_that_never_reads_is_cut_off_in_the_end(site: Serve) -> None:
    here = await site()
    _, writer = await connect(here.port, limit=1024)
    driver = await here.driver()
    driver.link.send(b"x" * 20_000_000)
    await asyncio.sleep(0)
    assert driver.link.is_stuck()
    driver.link.close()
    here.wheel.turn(31)
    assert driver.link.standing
    here.wheel.turn(6)
    await driver.until("closed")
    writer.close()


@pytest.mark.parametrize("tls", [TlsMode.NONE, TlsMode.IMPLICIT])
async def test_a_slow_peer_gets_the_last_words(site: Serve, client_tls: ssl.SSLContext, tls: TlsMode) -> None:
    """It takes far longer than a peer that takes nothing would be given."""
    last = b"".join(b"%07d\n" % number for number in range(1_000_000))
    here = await site(tls=tls)
    secure = {"ssl": client_tls, "server_hostname": "mail.example"} if tls is TlsMode.IMPLICIT else {}
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    sock.connect(("127.0.0.1", here.port))
    sock.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024, **secure)  # type: ignore[arg-type]
    driver = await here.driver()
    driver.link.send(last)
    driver.link.close()
    driver.link.deadline(1.0)  # means nothing any more
    heard = b""
    while driver.link.standing and len(heard) < len(last):
        here.wheel.turn(5)
        heard += await asyncio.wait_for(reader.readexactly(min(200_000, len(last) - len(heard))), 20)
    heard += await reader.read()
    assert heard == last
    assert here.wheel.now > 80
    writer.close()
    await driver.until("closed")


@pytest.mark.parametrize("reset", [True, False])
async def test_peers_that_go_before_the_handshake(site: Serve, reset: bool) -> None:
    """uvloop takes the end of a connection before the handshake for its success."""
    handshakes = Handshakes(1000, 1000)
    here = await site(tls=TlsMode.IMPLICIT, handshakes=handshakes)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", here.port)) as sock:
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(0)
    with socket.create_connection(("127.0.0.1", here.port)) as last:  # when this is counted, the others were seen
        while not handshakes.under_way:  # noqa: ASYNC110 - the loop's own turns
            await asyncio.sleep(0)
        for _ in range(500):
            await asyncio.sleep(0)
        assert handshakes.under_way == 1
    while handshakes.under_way:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    assert last.fileno() < 0
    assert here.arrivals.empty()


async def test_who_has_everything_need_not_say_goodbye(site: Serve, client_tls: ssl.SSLContext) -> None:
    """A client whose TLS never ends: it is not waited for once all is sent."""
    here = await site(tls=TlsMode.IMPLICIT)
    _, writer = await connect(here.port, ssl=client_tls, server_hostname="mail.example")
    driver = await here.driver()
    writer.transport.pause_reading()
    driver.link.send(b"bye")
    driver.link.close()
    for _ in range(20):
        await asyncio.sleep(0)
    assert driver.link.standing
    here.wheel.turn(4)
    await driver.until("closed")
    writer.transport.abort()


class Forgetful(asyncio.Transport):
    """A transport whose loop never says that it is gone."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def write(self, data: object) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


async def test_a_connection_the_loop_forgot_is_over_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.net.link._FORGOTTEN", 0.0)
    wheel = Wheel()
    heard: list[Recorder] = []

    def make(link: Link) -> Recorder:
        heard.append(Recorder(link))
        return heard[0]

    link = Link(make, LinkOptions(wheel=wheel))
    link.connection_made(Forgetful())
    link.close()
    wheel.turn(60)
    assert await asyncio.wait_for(heard[0].events.get(), 5) == "connected"
    assert await asyncio.wait_for(heard[0].events.get(), 5) == "closed"
    link.connection_lost(None)
    assert heard[0].events.empty(), "said once"
