"""Relay throughput: messages to 20 domains, each with a server of its own, all of them one sink in another process.

    python bench/bench_relay.py [messages] [--destinations 20] [--tls] [--store]

Prints messages a second and CPU microseconds a message of this process: routing, connections, SMTP, results. Rows:
`one sender` all mail of one account, `many senders`, `10 recipients` each in a message to one domain.
--store: through the queue on disk, from acceptance to removal; --tls: opportunistic TLS to every server.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import multiprocessing
import random
import ssl
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from postroom.config import Config, Relay, Server
from postroom.net.tls import write_self_signed
from postroom.net.wheel import Wheel
from postroom.queue.ids import Ids
from postroom.queue.outcome import Kind, Outcome
from postroom.queue.schedule import Schedule
from postroom.queue.service import Queue
from postroom.relay.dial import Means
from postroom.relay.service import Relay as Sender
from postroom.store.api import Entry, NewEntry, NewRecipient, Recipient
from postroom.store.embedded.store import EmbeddedStore
from postroom.testing.mailflow import FakeReports
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.values.dns import Lookup, NoSuchName, RecordType

BODY = (
    b"Received: from a by b\r\nFrom: a@here.test\r\nSubject: bench\r\n\r\n"
    + b"A line of usual length in a mail.\r\n" * 110
)


class Sink(asyncio.Protocol):
    """Takes everything and throws it away; as quick as Python can."""

    offers = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250 8BITMIME\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.in_data = False
        transport.write(b"220 sink ESMTP\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        out = []
        while True:
            if self.in_data:
                end = self.buffer.find(b"\r\n.\r\n")
                if end < 0:
                    self.buffer = self.buffer[-4:]
                    break
                self.buffer, self.in_data = self.buffer[end + 5 :], False
                out.append(b"250 2.0.0 queued\r\n")
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                break
            self.buffer = rest
            verb = line[:4].upper()
            if verb == b"DATA":
                self.in_data = True
                out.append(b"354 go\r\n")
            elif verb == b"EHLO":
                out.append(self.offers)
            elif verb == b"STAR":
                out.append(b"220 go\r\n")
            else:
                out.append(b"250 2.1.0 ok\r\n")
        if out:
            self.transport.write(b"".join(out))  # type: ignore[attr-defined]


def serve(pipe: Connection, count: int, folder: str) -> None:
    """The sink's process: count addresses, one port."""
    uvloop.run(_serve(pipe, count, folder))


async def _serve(pipe: Connection, count: int, folder: str) -> None:
    tls = None
    if folder:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{folder}/c.pem", f"{folder}/k.pem")
    loop = asyncio.get_running_loop()

    class Secure(Sink):
        offers = b"250-sink\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data.upper().startswith(b"STARTTLS"):
                self.transport.pause_reading()  # type: ignore[attr-defined]
                self.upgrading = loop.create_task(self.upgrade())

        async def upgrade(self) -> None:
            assert tls is not None
            self.offers = Sink.offers
            self.transport = await loop.start_tls(self.transport, self, tls, server_side=True)  # type: ignore[arg-type]

    port = 0
    for number in range(count):
        server = await loop.create_server(Secure if tls else Sink, f"127.0.1.{number + 1}", port)
        port = server.sockets[0].getsockname()[1]
    pipe.send(port)
    await loop.run_in_executor(None, pipe.recv)


class Zone:
    """Domains d0.test …, each with a server of its own."""

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        number = name.removesuffix(".test")[1:]
        if kind is RecordType.MX:
            return Lookup(((10, f"m{number}.test"),))
        if kind is RecordType.A:
            return Lookup((f"127.0.1.{int(number) + 1}",))
        raise NoSuchName(name)


def silent(_name: str, /, **_fields: object) -> None:
    """No log."""


class Results:
    """A queue that counts."""

    def __init__(self, expected: int) -> None:
        self.left = expected
        self.done = asyncio.Event()

    async def settle(self, entry: Entry, outcomes: Sequence[Outcome]) -> None:
        assert all(outcome.kind is Kind.RELAYED for outcome in outcomes), outcomes
        self.left -= len(outcomes)
        if not self.left:
            self.done.set()

    def give_back(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        raise AssertionError("nothing is given back")


def means(wheel: Wheel) -> Means:
    return Means(wheel=wheel, event=silent, clock=SystemClock(), random=random.random, dns=Zone())


def config(port: int) -> Config:
    return Config(server=Server(hostname="mx.here.test"), relay=Relay(port=port))


async def run(port: int, options: argparse.Namespace, senders: int, recipients: int) -> tuple[float, float]:
    """Messages a second and CPU microseconds a message."""
    count = options.messages // recipients
    results = Results(count * recipients)
    wheel = Wheel()
    wheel.start(asyncio.get_running_loop())
    relay = Sender(results, config(port), means(wheel))
    entries = []
    for number in range(count):
        domain = f"d{number % options.destinations}.test"
        some = tuple(
            Recipient(index=index, address=f"u{index}@{domain}", route="remote") for index in range(recipients)
        )
        sender = f"s{number % senders}@here.test"
        entries.append(
            Entry(
                id=f"id{number}",
                slot=0,
                sender=sender,
                received=0.0,
                size=len(BODY),
                content=Content.of(BODY),
                recipients=some,
                account=sender,
            )
        )
    before, start = time.process_time(), time.perf_counter()
    for entry in entries:
        relay.take(entry, entry.recipients)
    await results.done.wait()
    spent, took = time.process_time() - before, time.perf_counter() - start
    await relay.stop()
    wheel.stop()
    return count / took, spent / count * 1e6


async def through_the_store(port: int, options: argparse.Namespace) -> tuple[float, float]:
    """The same from acceptance to removal, with the queue on disk; 20 messages are accepted at once."""
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(folder)
        clock, wheel = SystemClock(), Wheel()
        wheel.start(asyncio.get_running_loop())
        queue = Queue(
            store.queue, Ids(clock, random.getrandbits), Schedule(jitter=random.random), clock, FakeReports(), silent
        )
        relay = Sender(queue, config(port), means(wheel))
        queue.subscribe("remote", relay.take)
        work = asyncio.get_running_loop().create_task(queue.run())

        async def some(share: int, first: int) -> None:
            for number in range(first, first + share):
                to = NewRecipient(address=f"u@d{number % options.destinations}.test", route="remote")
                await queue.accept(
                    NewEntry(
                        id=queue.new_id(),
                        sender="a@here.test",
                        recipients=(to,),
                        content=Content.of(BODY),
                        received=clock.now(),
                        account="a",
                    )
                )

        before, start = time.process_time(), time.perf_counter()
        await asyncio.gather(*[some(options.messages // 20, lane) for lane in range(20)])
        accepted = time.perf_counter() - start
        while await store.queue.next_due() is not None:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)
        spent, took = time.process_time() - before, time.perf_counter() - start
        print(f"  accepted after {accepted:.2f} s, all gone after {took:.2f} s")
        work.cancel()
        await relay.stop()
        await queue.stop()
        await store.close()
        wheel.stop()
    return options.messages / took, spent / options.messages * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("messages", type=int, nargs="?", default=5000)
    parser.add_argument("--destinations", type=int, default=20)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--store", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.tls:
            names = ["localhost"]
            write_self_signed(
                Path(folder, "c.pem"), Path(folder, "k.pem"), names, 2, datetime.datetime.now(datetime.UTC)
            )
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(
            target=serve, args=(theirs, options.destinations, folder if options.tls else "")
        )
        process.start()
        port = ours.recv()
        print(f"{len(BODY)} octets a message, {options.destinations} destinations{', TLS' if options.tls else ''}")
        rows = {"one sender": (1, 1), "many senders": (100, 1), "10 recipients": (100, 10)}
        for name, (senders, recipients) in rows.items():
            rate, cpu = uvloop.run(run(port, options, senders, recipients))
            print(f"{name:20} {rate:8.0f} messages/s {cpu:8.1f} us")
        if options.store:
            rate, cpu = uvloop.run(through_the_store(port, options))
            print(f"{'queue on disk':20} {rate:8.0f} messages/s {cpu:8.1f} us")
        ours.send(None)
        process.join(5)
        process.terminate()


if __name__ == "__main__":
    main()
