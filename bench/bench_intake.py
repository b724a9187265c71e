"""CPU of the way in, per message, inside one process: intake, queue and delivery, with and without a store.

    python bench/bench_intake.py [messages]

Rows: `intake` MAIL, RCPT and content with a queue that forgets; `+ queue` the real queue over a store that forgets;
`+ delivery` the real delivery into accounts that forget (the message is indexed); `submission` intake for a login;
`embedded store` all of it on disk, with as many senders at once as `--senders` says. Best of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable

import uvloop

from postroom.config import Config
from postroom.delivery.service import Delivery
from postroom.identity.model import Hosted, NotHosted, Target
from postroom.intake.model import MailOptions, Peer, RcptOptions
from postroom.intake.service import Intake, Rooms
from postroom.mailbox.service import Mailboxes
from postroom.queue.ids import Ids
from postroom.queue.schedule import Schedule
from postroom.queue.service import Queue
from postroom.store.api import AccountRow, Entry, NewEntry, Recipient
from postroom.store.embedded.store import EmbeddedStore
from postroom.store.memory.usage import MemoryUsage
from postroom.testing.mailflow import FakeReports
from postroom.values.address import Address
from postroom.values.clock import SystemClock
from postroom.values.content import Content

USERS = [AccountRow(id=f"{n:032x}", login=f"user{n}@bench.test", created=0) for n in range(100)]
BY_LOGIN = {row.login: row for row in USERS}
HEADER = (
    b"Received: from a.test (a.test [192.0.2.1])\r\n\tby b.test with ESMTPS id 123\r\n\tfor <user1@bench.test>;"
    b" Sun, 22 Nov 2026 05:00:00 +0000\r\n"
    * 3
    + b"From: Somebody Else <user0@bench.test>\r\nTo: A User <user1@bench.test>\r\n"
    b"Subject: =?utf-8?q?A_message_of_middling_size?=\r\nDate: Sun, 22 Nov 2026 05:00:00 +0000\r\n"
    b"Message-ID: <20261122050000.12345@else.test>\r\nMIME-Version: 1.0\r\nX-Mailer: Bench 1.0\r\n"
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=else.test; s=2026;\r\n\tbh="
    + b"A" * 44
    + b"=;\r\n\tb="
    + b"B" * 300
    + b"\r\nList-Unsubscribe: <https://else.test/u/1>\r\n"
    b'Content-Type: multipart/alternative; boundary="=_bench"\r\n\r\n'
)
BODY = (
    b"--=_bench\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + b"Some words of a usual line of text.\r\n" * 30
    + b"\r\n--=_bench\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    + b"<p>Some words of a usual line.</p>\r\n" * 30
    + b"\r\n--=_bench--\r\n"
)
MAIL = HEADER + BODY


class BenchIdentity:
    """A directory of one dictionary."""

    async def resolve(self, address: Address) -> Hosted | NotHosted:
        row = BY_LOGIN.get(address.key)
        return Hosted((Target(row.login, row.id),)) if row else NotHosted()

    async def may_send_as(self, account: AccountRow, address: Address | None) -> bool:
        return address is None or address.key == account.login


class Forgetful:
    """A queue store, directory and accounts that keep nothing."""

    directory: Forgetful
    usage = MemoryUsage()
    loaded = False

    def __init__(self) -> None:
        self.directory = self

    async def account(self, account: str) -> AccountRow:
        return USERS[int(account, 16)]

    async def domain(self, _name: str) -> None:
        return None

    def generation(self) -> int:
        return 1

    async def accept(self, entry: NewEntry) -> Entry:
        content = entry.content.with_prefix(entry.trace)
        recipients = tuple(
            Recipient(index=index, address=new.address, route=new.route, next_try=entry.received)
            for index, new in enumerate(entry.recipients)
        )
        return Entry(
            id=entry.id,
            slot=0,
            sender=entry.sender,
            received=entry.received,
            size=content.size,
            content=content,
            recipients=recipients,
        )

    def finish(self, entry: str, results: object) -> None:
        pass

    async def update(self, entry: str, results: object) -> None:
        pass

    async def open(self, row: AccountRow) -> Forgetful:
        return self

    async def deliver(self, content: Content, **options: object) -> object:
        return self


class NoQueue:
    """What intake alone talks to."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.new_id = new_id

    async def accept(self, entry: NewEntry) -> None:
        pass


STRANGER = Peer(service="smtp", ip="192.0.2.7", port=4711, helo="mail.else.test", tls="TLSv1.3 TLS_AES_256_GCM_SHA384")
USER = Peer(service="submission", ip="192.0.2.7", port=4711, helo="laptop", account=USERS[0])


def silent(_name: str, /, **_fields: object) -> None:
    """No log."""


async def find(address: str) -> AccountRow | None:
    """The account of an address."""
    return BY_LOGIN.get(Address.parse(address).key)


def queue_over(store: object) -> Queue:
    """A queue as the server builds it."""
    clock = SystemClock()
    ids = Ids(clock, random.getrandbits)
    return Queue(store, ids, Schedule(jitter=random.random), clock, FakeReports(), silent)  # type: ignore[arg-type]


async def one(intake: Intake, peer: Peer, sender: Address, to: Address) -> None:
    """A message, from MAIL to its reply."""
    envelope = await intake.sender(peer, MailOptions(sender=sender, size=len(MAIL)))
    await intake.recipient(peer, envelope, RcptOptions(address=to))
    await intake.accept(peer, envelope, Content.of(MAIL))


async def run(intake: Intake, peer: Peer, count: int, senders: int = 1) -> float:
    """CPU microseconds a message."""
    sender = Address("user0", "bench.test")
    targets = [Address.parse(row.login) for row in USERS]

    async def some(share: int) -> None:
        for number in range(share):
            await one(intake, peer, sender, targets[number % len(targets)])

    before = time.process_time()
    await asyncio.gather(*[some(count // senders) for _ in range(senders)])
    return (time.process_time() - before) / count * 1e6


async def without_store(kind: str, count: int) -> float:
    """intake, intake + queue, or all three, with nothing kept."""
    nothing = Forgetful()
    queue: object = NoQueue(Ids(SystemClock(), random.getrandbits))
    if kind in ("queue", "delivery"):
        queue = queue_over(nothing)
    delivery = None
    if kind == "queue":
        settled = queue

        def take(entry: Entry, recipients: object) -> None:
            settled.give_back(entry, recipients)  # type: ignore[attr-defined]

        queue.subscribe("local", take)  # type: ignore[attr-defined]
    if kind == "delivery":
        delivery = Delivery(queue, nothing, find, silent)  # type: ignore[arg-type]
        queue.subscribe("local", delivery.take)  # type: ignore[attr-defined]
    intake = Intake(
        Rooms(store=nothing, queue=queue, identity=BenchIdentity(), clock=SystemClock()),  # type: ignore[arg-type]
        Config(),
    )
    spent = await run(intake, USER if kind == "submission" else STRANGER, count)
    if delivery:
        await delivery.stop()
    return spent


async def on_disk(count: int, senders: int) -> float:
    """Everything, with the embedded store; the time until all is delivered counts."""
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(folder)
        for row in USERS:
            await store.create_account(row.id, [("INBOX", "")])
            await store.directory.put_account(row)
        queue = queue_over(store.queue)
        delivery = Delivery(queue, Mailboxes(store, SystemClock(), lambda: uuid.uuid4().hex), find, silent)
        queue.subscribe("local", delivery.take)
        intake = Intake(Rooms(store=store, queue=queue, identity=BenchIdentity(), clock=SystemClock()), Config())
        await run(intake, STRANGER, 100, senders)
        before, start = time.process_time(), time.perf_counter()
        await run(intake, STRANGER, count, senders)
        await queue.stop()
        spent = (time.process_time() - before) / count * 1e6
        print(f"  {count / (time.perf_counter() - start):8.0f} messages/s, {senders} senders")
        await store.close()
        return spent


def best(rounds: int, work: Callable[[], Awaitable[float]]) -> float:
    """The least disturbed round."""
    return min(uvloop.run(work()) for _ in range(rounds))


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("messages", type=int, nargs="?", default=5000)
    options.add_argument("--senders", type=int, default=20)
    chosen = options.parse_args()
    print(f"{len(MAIL)} octets a message, CPU microseconds, best of 5")
    for kind in ("intake", "submission", "queue", "delivery"):
        name = {"queue": "+ queue", "delivery": "+ delivery"}.get(kind, kind)
        print(f"{name:20} {best(5, lambda kind=kind: without_store(kind, chosen.messages)):8.1f}")  # type: ignore[misc]
    print(f"{'embedded store':20} {best(3, lambda: on_disk(chosen.messages, chosen.senders)):8.1f}")


if __name__ == "__main__":
    main()
