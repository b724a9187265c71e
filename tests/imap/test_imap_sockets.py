"""The server on real sockets with TLS, driven by clients others wrote, on both event loops and the embedded store."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import imaplib
import resource
import socket
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop
from imap_house import House, message
from imapclient import IMAPClient

from postroom.config import Listener, Protocol, Tls, TlsMode
from postroom.mailbox.incoming import Incoming
from postroom.net import Certificates, LinkOptions, Wheel, bind, serve
from postroom.net.tls import write_self_signed
from postroom.store.embedded import EmbeddedStore
from postroom.values.content import Content

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.datetime.now(datetime.UTC)
    write_self_signed(folder / "cert.pem", folder / "key.pem", ["localhost", "127.0.0.1"], 2, now)
    return Tls(certificate=str(folder / "cert.pem"), key=str(folder / "key.pem"))


@dataclass
class Running:
    house: House
    imap: int
    imaps: int
    context: ssl.SSLContext


@contextlib.asynccontextmanager
async def running(folder: Path, pair: Tls) -> AsyncIterator[Running]:
    store = EmbeddedStore(folder)
    house = House(store=store)
    await house.add_account("ann@example.org")
    options = LinkOptions(wheel=Wheel(), tls=Certificates(pair))
    ports, servers = [], []
    for mode in (TlsMode.STARTTLS, TlsMode.IMPLICIT):
        listener = Listener(protocol=Protocol.IMAP, port=0, tls=mode)
        sock = bind(listener)
        ports.append(sock.getsockname()[1])

        def driver(link: Any, listener: Listener = listener) -> Any:
            return house.service.driver(link, listener)

        servers.append(await serve(sock, listener, driver, options))
    try:
        yield Running(house, *ports, ssl.create_default_context(cafile=pair.certificate))
    finally:
        for server in servers:
            server.close()
        house.service.stop()
        options.wheel.stop()
        await asyncio.sleep(0)
        await store.close()


@pytest.fixture(params=LOOPS)
def run(
    request: pytest.FixtureRequest, tmp_path: Path, pair: Tls
) -> Callable[[Callable[[Running], Awaitable[None]]], None]:
    """Runs a test against a server on one of the loops."""

    def run_it(test: Callable[[Running], Awaitable[None]]) -> None:
        async def main() -> None:
            async with running(tmp_path / "data", pair) as server:
                await test(server)

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(main())

    return run_it


def test_imaplib(run: Any) -> None:
    def talk(server: Running) -> None:
        client = imaplib.IMAP4("127.0.0.1", server.imap)
        assert "LOGINDISABLED" in client.capabilities
        client.starttls(server.context)
        assert "AUTH=PLAIN" in client.capabilities
        client.login("ann@example.org", "secret")
        assert client.append("INBOX", "\\Seen", imaplib.Time2Internaldate(1_700_000_000), message(1))[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"1"])
        status, data = client.fetch("1", "(FLAGS BODY.PEEK[])")
        assert status == "OK"
        assert data[0][1] == message(1)
        assert client.search(None, "SUBJECT", '"message 1"') == ("OK", [b"1"])
        assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
        assert client.expunge() == ("OK", [b"1"])
        assert client.noop()[0] == "OK"
        assert client.logout()[0] == "BYE"

    async def test(server: Running) -> None:
        await asyncio.to_thread(talk, server)

    run(test)


def test_imapclient_large_and_many(run: Any) -> None:
    large = b"Subject: large\r\n\r\n" + b"x" * 76 * 1024 + b"\r\n" + b"0123456789abcdef" * 40_000

    def talk(server: Running) -> None:
        with IMAPClient("127.0.0.1", server.imaps, ssl_context=server.context) as client:
            client.login("ann@example.org", "secret")
            client.append("INBOX", large)
            for number in range(60):
                client.append("INBOX", message(number))
            client.select_folder("INBOX")
            assert client.fetch([1], ["BODY[]"])[1][b"BODY[]"] == large
            fetched = client.fetch(range(2, 62), ["ENVELOPE", "FLAGS", "BODYSTRUCTURE", "RFC822.SIZE", "INTERNALDATE"])
            assert len(fetched) == 60
            assert fetched[2][b"ENVELOPE"].subject == b"Message 0"
            client.copy([2, 3], "Archive")
            client.move([4, 5], "Trash")
            client.create_folder("Été/2026")
            assert "Été/2026" in [name for _, _, name in client.list_folders()]
            assert client.folder_status("Archive")[b"MESSAGES"] == 2
            assert client.search(["NOT", "DELETED"])[:2] == [1, 2]
            client.set_flags([2], [b"\\Flagged", b"$Work"])
            assert set(client.get_flags([2])[2]) == {b"\\Flagged", b"$Work", b"\\Recent"}
            client.delete_messages([2])
            client.expunge()
            assert client.folder_status("INBOX")[b"MESSAGES"] == 58

    async def test(server: Running) -> None:
        await asyncio.to_thread(talk, server)

    run(test)


def test_idle_push(run: Any) -> None:
    def listen(server: Running, ready: Callable[[], None], heard: list[Any]) -> None:
        with IMAPClient("127.0.0.1", server.imaps, ssl_context=server.context) as client:
            client.login("ann@example.org", "secret")
            client.select_folder("INBOX")
            client.idle()
            ready()
            heard.append((client.idle_check(timeout=10), time.monotonic()))
            client.idle_done()

    async def test(server: Running) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        heard: list[Any] = []
        listener = asyncio.create_task(
            asyncio.to_thread(listen, server, lambda: loop.call_soon_threadsafe(ready.set), heard)
        )
        await ready.wait()
        row = await server.house.store.directory.account("ann-example.org")
        account = await server.house.mailboxes.open(row)
        from imap_house import fill

        await fill(account, "INBOX", 1)
        stored = time.monotonic()
        await listener
        [(responses, when)] = heard
        assert (1, b"EXISTS") in responses
        assert when - stored < 0.5

    run(test)


def test_reader_who_does_not_read_costs_bounded_memory(run: Any) -> None:
    """A client asks for 60 MB and reads nothing: the server stops at its high-water mark and serves others."""
    large = b"Subject: large\r\n\r\n" + b"y" * 900_000

    def ask(server: Running) -> ssl.SSLSocket:
        sock = server.context.wrap_socket(
            socket.create_connection(("127.0.0.1", server.imaps)), server_hostname="127.0.0.1"
        )
        sock.sendall(b"a LOGIN ann@example.org secret\r\nb SELECT INBOX\r\n" + b"c FETCH 1:* BODY.PEEK[]\r\n" * 20)
        return sock

    async def test(server: Running) -> None:
        row = await server.house.store.directory.account("ann-example.org")
        account = await server.house.mailboxes.open(row)
        info = await account.find("INBOX")
        await account.append(info.id, [Incoming(content=Content.of(large)) for _ in range(4)])
        sock = await asyncio.to_thread(ask, server)
        connection = await _found(server)
        while connection._work is None or not connection._link._choked:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert connection._link._transport.get_write_buffer_size() < 2_000_000
        with_other = await asyncio.to_thread(_login_logout, server)
        assert with_other == "BYE"
        await asyncio.to_thread(sock.close)

    run(test)


class Talker:
    """A client in the loop of the server: says lines, and reads as slowly as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, server: Running) -> Talker:
        pair = await asyncio.open_connection(
            "127.0.0.1", server.imaps, ssl=server.context, server_hostname="127.0.0.1", limit=1 << 16
        )
        talker = cls(*pair)
        await talker.reader.readline()
        await talker.do(b"LOGIN ann@example.org secret")
        return talker

    async def do(self, command: bytes) -> None:
        self.writer.write(b"t " + command + b"\r\n")
        while not (line := await self.reader.readline()).startswith(b"t "):
            assert line
        assert line.startswith(b"t OK"), line


def resident() -> int:
    """Octets of memory this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_hundred_thousand_messages_for_a_slow_reader(run: Any) -> None:
    """Others are answered all the while, and the answer never lies in memory as a whole."""
    count, batch = 100_000, 1000
    body = "x" * 400

    async def test(server: Running) -> None:
        row = await server.house.store.directory.account("ann-example.org")
        account = await server.house.mailboxes.open(row)
        inbox, archive = await account.find("INBOX"), await account.find("Archive")
        letter = b"Subject: %b\r\n\r\n" % body.encode()
        await account.append(inbox.id, [Incoming(content=Content.of(letter)) for _ in range(batch)])
        for _ in range(count // batch):
            await account.store.copy(inbox.id, range(1, batch + 1), archive.id)

        slow, other = await Talker.connect(server), await Talker.connect(server)
        await slow.do(b"SELECT Archive")
        await other.do(b"SELECT INBOX")
        [connection] = [each for each in server.house.service._guests if each.session.box.id == archive.id]
        before = most = resident()
        slow.writer.write(b"f FETCH 1:* (UID FLAGS ENVELOPE)\r\n")
        while connection._work is None or not connection._link._choked:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(20):  # nothing of it is read meanwhile
            await other.do(b"NOOP")
        octets = rows = answered = 0
        end = b""
        while not end.endswith(b"f OK Fetch completed\r\n"):
            data = await slow.reader.read(1 << 16)
            assert data, end
            octets += len(data)
            rows += data.count(b"\n")
            end = (end + data)[-100:]
            if connection._work is not None:
                await other.do(b"NOOP")
                answered += 1
                most = max(most, resident())
        assert rows == count + 1
        assert answered > 100
        assert most - before < octets / 3, (before, most, octets)
        for talker in (slow, other):
            talker.writer.close()

    run(test)


def test_compressed(run: Any) -> None:
    """Over TLS, large answers included; compression ends with the login."""

    def talk(server: Running) -> None:
        raw = socket.create_connection(("127.0.0.1", server.imaps), timeout=10)
        with server.context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
            reader, maker = zlib.decompressobj(-15), zlib.compressobj(6, zlib.DEFLATED, -15)

            def until(end: bytes, compressed: bool = True) -> bytes:
                heard = b""
                while not heard.endswith(end):
                    data = sock.recv(65536)
                    assert data, heard[-200:]
                    heard += reader.decompress(data) if compressed else data
                return heard

            def say(line: bytes) -> None:
                sock.sendall(maker.compress(line) + maker.flush(zlib.Z_SYNC_FLUSH))

            sock.sendall(b"a LOGIN ann@example.org secret\r\nb COMPRESS DEFLATE\r\n")
            until(b"b OK Compression is on from here\r\n", compressed=False)
            large = message(1) + b"0123456789abcdef" * 50_000 + b"\r\n"
            say(b"c APPEND INBOX {%d+}\r\n" % len(large) + large + b"\r\nd SELECT INBOX\r\ne FETCH 1 BODY.PEEK[]\r\n")
            assert large in until(b"e OK Fetch completed\r\n")
            say(b"f UNAUTHENTICATE\r\n")
            until(b"log in again\r\n")
            sock.sendall(b"g LOGIN ann@example.org secret\r\nh LOGOUT\r\n")
            assert b"g OK " in until(b"h OK Logout completed\r\n", compressed=False)

    async def test(server: Running) -> None:
        await asyncio.to_thread(talk, server)

    run(test)


async def _found(server: Running) -> Any:
    while not server.house.service._guests:  # noqa: ASYNC110
        await asyncio.sleep(0)
    return next(iter(server.house.service._guests))


def _login_logout(server: Running) -> str:
    client = imaplib.IMAP4_SSL("127.0.0.1", server.imaps, ssl_context=server.context)
    client.login("ann@example.org", "secret")
    return client.logout()[0]
