"""Intake, queue, delivery and relay together on real stores: nothing is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from postroom.config import Config
from postroom.config import Relay as RelayConfig
from postroom.delivery.service import Delivery
from postroom.identity.model import Found, Hosted, NotHosted, Permit, Sending, Target, Unknown
from postroom.intake.model import MailOptions, Peer, RcptOptions
from postroom.intake.rooms import Rooms
from postroom.intake.routing import Routes
from postroom.intake.service import Intake
from postroom.mailbox.service import Mailboxes
from postroom.net.wheel import Wheel
from postroom.queue.administration import Administration
from postroom.queue.ids import Ids
from postroom.queue.reports import SenderReports
from postroom.queue.schedule import Schedule
from postroom.queue.service import Queue
from postroom.relay.dial import Means
from postroom.relay.service import Relay
from postroom.store.api import AccountRow, QueueFilter, Recipient, Store, StoreUnavailable
from postroom.store.embedded.store import EmbeddedStore
from postroom.store.memory.store import MemoryStore
from postroom.testing.mailflow import Events, StandingClock
from postroom.values.address import Address

MAIL = b"From: A <alice@here.test>\r\nSubject: hi\r\n\r\nhello\r\n"
STRANGER = Peer(service="smtp", ip="192.0.2.7", port=4711, helo="mail.far.test")
ROWS = {
    name: AccountRow(id=f"{number:032x}", login=f"{name}@here.test", created=0, quota=quota)
    for number, (name, quota) in enumerate({"alice": 0, "bob": 0, "small": 400}.items())
}
USER = Peer(service="submission", ip="192.0.2.8", port=4711, helo="laptop", account=ROWS["alice"])


class Identity:
    """here.test and its accounts."""

    async def resolve(self, address: Address):
        if address.domain != "here.test":
            return NotHosted()
        row = ROWS.get(address.local.casefold().partition("+")[0])
        return Hosted((Target(str(address), row.id),)) if row else Unknown()

    async def permit(self, account: AccountRow, address: Address | None) -> Permit:
        own = address is None or address.key == account.login
        return Permit(Sending.OWN if own else Sending.NO)


class House:
    """One server process over a store that may outlive it."""

    def __init__(self, store: Store, clock: StandingClock, queue_store=None) -> None:
        self.store = store
        self.clock = clock
        self.events = Events()
        self.queue_store = queue_store or store.queue
        reports = SenderReports("mx.here.test", Routes(Identity()), clock)
        ids = Ids(clock, random.getrandbits)
        self.queue = Queue(self.queue_store, ids, Schedule(jitter=lambda: 0.0), clock, reports, self.events)
        guids = (f"{number:032x}" for number in itertools.count(1))
        self.mailboxes = Mailboxes(store, clock, lambda: next(guids))
        self.find_fault: Exception | None = None
        self.folders = "off"
        self.delivery = Delivery(self.queue, self.mailboxes, self.find, self.events)
        means = Means(wheel=Wheel(), event=self.events, clock=clock, random=lambda: 0.5)
        self.relay = Relay(self.queue, Config(relay=RelayConfig(direct=False)), means)
        self.queue.subscribe("local", self.delivery.take)
        self.queue.subscribe("remote", self.relay.take)
        self.intake = Intake(Rooms(store=store, queue=self.queue, identity=Identity(), clock=clock), Config())

    async def find(self, address: str) -> Found | None:
        if self.find_fault:
            raise self.find_fault
        local, _, detail = Address.parse(address).local.partition("+")
        row = ROWS.get(local)
        return Found(row, detail, self.folders) if row else None

    async def send(self, *to: str, peer: Peer = STRANGER, content: bytes = MAIL, **options) -> str:
        sender = Address.parse("alice@here.test")
        envelope = await self.intake.sender(peer, MailOptions(sender=sender))
        for address in to:
            await self.intake.recipient(peer, envelope, RcptOptions(address=Address.parse(address), **options))
        spool = self.store.spool()
        spool.write(content)
        accepted = await self.intake.accept(peer, envelope, await spool.seal())
        spool.close()
        return accepted.id

    async def settled(self) -> None:
        """Everything that was handed out is answered."""
        async with asyncio.timeout(20):
            await self.queue._idle.wait()

    async def inbox(self, name: str) -> list[bytes]:
        """The messages in INBOX."""
        account = await self.store.account(ROWS[name].id)
        box = await account.mailbox("INBOX")
        snapshot = await account.snapshot(box.id)
        return [(await account.content(each)).read() for page in snapshot.pages for each in page.messages]

    async def again(self, seconds: float) -> None:
        """Let time pass and what is due then be done."""
        self.clock.time += seconds
        await self.queue._take_due()
        await self.settled()

    async def waiting(self) -> list[Recipient]:
        return [each for entry in await self.store.queue.entries(QueueFilter()) for each in entry.recipients]

    async def stop(self) -> None:
        await self.delivery.stop()
        await self.relay.stop()
        await self.queue.stop()


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else EmbeddedStore(tmp_path / "data")
    for row in ROWS.values():
        await store.create_account(row.id, [("INBOX", "")])
        await store.directory.put_account(row)
    yield store
    await store.close()


@pytest.fixture
def house(store: Store) -> House:
    return House(store, StandingClock())


async def test_from_the_wire_into_the_mailbox(house: House) -> None:
    number = await house.send("bob@here.test")
    await house.settled()
    (message,) = await house.inbox("bob")
    assert message == (
        b"Return-Path: <alice@here.test>\r\nDelivered-To: bob@here.test\r\n"
        b"Received: from mail.far.test ([192.0.2.7])\r\n\tby localhost with ESMTP id "
        + number.encode()
        + b"\r\n\tfor <bob@here.test>;\r\n\tFri, 15 Jan 2027 08:00:00 +0000\r\n"
        + MAIL
    )
    assert await house.waiting() == []
    await house.stop()


@pytest.mark.parametrize("size", [100, 64 * 1024, 64 * 1024 + 1, 700_000])
async def test_sizes_around_the_limits(house: House, size: int) -> None:
    content = MAIL + b"x" * (size - len(MAIL))
    await house.send("bob@here.test", "alice@here.test", content=content)
    await house.settled()
    for name in ("alice", "bob"):
        (message,) = await house.inbox(name)
        assert message.endswith(content)
    assert await house.waiting() == []


async def test_many_messages_to_many_accounts(house: House) -> None:
    await asyncio.gather(*[house.send("alice@here.test", "bob@here.test") for _ in range(60)])
    await house.settled()
    assert len(await house.inbox("alice")) == len(await house.inbox("bob")) == 60


class Forgetting:
    """A queue file whose lazy results are lost in a crash."""

    def __init__(self, store) -> None:
        self.store = store

    def finish(self, entry: str, results: Sequence[Recipient]) -> None:
        pass

    def __getattr__(self, name: str):
        return getattr(self.store, name)


async def test_a_crash_before_the_result_is_written_delivers_nothing_twice(store: Store) -> None:
    clock = StandingClock()
    first = House(store, clock, Forgetting(store.queue))
    await first.send("alice@here.test", "bob@here.test")
    await first.settled()
    assert len(await first.waiting()) == 2
    second = House(store, clock)
    await second.again(0)
    assert await second.waiting() == []
    assert len(await second.inbox("alice")) == len(await second.inbox("bob")) == 1
    assert len(second.events.of("message.delivered")) == 2


async def test_a_crash_before_delivery_is_made_good_at_the_start(store: Store) -> None:
    clock = StandingClock()
    first = House(store, clock)
    first.queue._routes.clear()
    await first.send("bob@here.test")
    assert await first.inbox("bob") == []
    second = House(store, clock)
    run = asyncio.create_task(second.queue.run())
    async with asyncio.timeout(20):
        while True:
            if await second.inbox("bob"):
                break
            await asyncio.sleep(0)
    await second.stop()
    await run


async def test_an_account_that_is_full_gets_it_when_there_is_room(house: House, monkeypatch) -> None:
    await house.send("small@here.test", content=MAIL + b"x" * 300)
    await house.settled()
    assert await house.inbox("small") == []
    (waiting,) = await house.waiting()
    assert (waiting.last_reply, waiting.attempts) == ("The mailbox is full", 1)
    await house.again(29)
    assert (await house.waiting())[0].attempts == 1
    row = AccountRow(id=ROWS["small"].id, login="small@here.test", created=0, quota=10_000)
    await house.store.directory.put_account(row)
    monkeypatch.setitem(ROWS, "small", row)
    await house.again(1)
    assert len(await house.inbox("small")) == 1
    assert await house.waiting() == []


async def test_an_account_that_stays_full_bounces_after_five_days_with_one_notice(house: House) -> None:
    await house.send("small@here.test", content=MAIL + b"x" * 300)
    for _ in range(60):
        await house.again(14_400)
    reports = await house.inbox("alice")
    assert [b"Action: delayed" in each for each in reports] == [True, False]
    assert b"Action: failed" in reports[1]
    assert b"Final-Recipient: rfc822; small@here.test" in reports[1]
    assert reports[1].startswith(b"Return-Path: <>\r\n")
    assert await house.waiting() == []


async def test_a_store_that_fails_only_delays(house: House) -> None:
    house.find_fault = StoreUnavailable("disk")
    await house.send("bob@here.test")
    await house.settled()
    house.find_fault = None
    await house.again(30)
    assert len(await house.inbox("bob")) == 1


async def test_an_account_removed_meanwhile_bounces(house: House, monkeypatch) -> None:
    house.find_fault = StoreUnavailable("disk")
    await house.send("bob@here.test", "alice@here.test")
    await house.settled()
    house.find_fault = None
    monkeypatch.delitem(ROWS, "bob")
    await house.again(30)
    copies = await house.inbox("alice")
    assert len(copies) == 2
    assert sum(b"Status: 5.1.1" in each for each in copies) == 1
    assert await house.waiting() == []


async def test_success_is_told_when_asked_for(house: House) -> None:
    await house.send("bob@here.test", notify="SUCCESS", orcpt="rfc822;old@far.test")
    await house.settled()
    (report,) = await house.inbox("alice")
    assert b"Action: delivered" in report
    assert b"Original-Recipient: rfc822; old@far.test" in report


async def test_without_a_smart_host_remote_mail_waits_with_a_reason_and_local_mail_goes(house: House) -> None:
    await house.send("x@far.test", "bob@here.test", peer=USER)
    await house.settled()
    assert len(await house.inbox("bob")) == 1
    waiting = [each for each in await house.waiting() if each.route == "remote"]
    assert [each.last_reply for each in waiting] == [
        "no route to far.test: there is no smart host (relay.host), and delivery by MX is off (relay.direct)"
    ]
    assert waiting[0].next_try == house.clock.now() + 300
    for _ in range(20):
        await house.again(14_400)
    assert (await house.waiting())[0].state.value == "waiting"
    reports = await house.inbox("alice")
    assert len(reports) == 1
    assert b"Action: delayed" in reports[0]
    for _ in range(20):
        await house.again(14_400)
    assert b"Action: failed" in (await house.inbox("alice"))[1]


async def test_commands_act_on_what_waits(house: House) -> None:
    number = await house.send("x@far.test", "y@far.test", peer=USER)
    await house.settled()
    admin = Administration(house.store.queue)
    assert [entry.id for entry in await admin.list(QueueFilter(domain="far.test"))] == [number]
    assert await admin.hold(QueueFilter(recipient="x@")) == 1
    house.clock.time += 10
    assert await admin.retry(QueueFilter()) == 1
    await house.again(0)
    assert [(each.state.value, each.attempts) for each in await house.waiting()] == [("held", 1), ("waiting", 2)]
    assert await admin.release(QueueFilter(ids=(number,))) == 1
    await house.again(0)
    assert [each.attempts for each in await house.waiting()] == [2, 2]
    assert await admin.drop(QueueFilter(sender="alice@")) == 1
    assert await admin.list(QueueFilter()) == []


@pytest.mark.parametrize(
    ("folders", "detail", "mailbox"),
    [
        ("off", "lists", "INBOX"),
        ("existing", "lists", "Lists"),
        ("existing", "Work", "INBOX"),
        ("existing", "trash", "INBOX"),
        ("existing", "inbox", "INBOX"),
        ("create", "Work", "Work"),
        ("create", "lists", "Lists"),
        ("create", "trash", "INBOX"),
        ("create", "a/b", "INBOX"),
        ("create", "x" * 41, "INBOX"),
        ("create", "", "INBOX"),
    ],
)
async def test_the_detail_of_an_address_names_the_mailbox(
    house: House, folders: str, detail: str, mailbox: str
) -> None:
    bob = await house.store.account(ROWS["bob"].id)
    await bob.create("Lists")
    await bob.create("Trash", "\\Trash")
    house.folders = folders
    for _ in range(2):
        await house.send(f"bob+{detail}@here.test")
        await house.settled()
    boxes = {info.name: info.messages for info in await bob.mailboxes()}
    assert boxes == {"INBOX": 0, "Lists": 0, "Trash": 0} | {mailbox: 2}
    await house.stop()
