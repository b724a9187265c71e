"""Delivery: what lands in the mailbox, once, and what the queue hears."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from postroom.delivery import service
from postroom.delivery.service import AT_ONCE, STRANDS, Delivery
from postroom.identity.model import Found
from postroom.message.index import index
from postroom.message.parts import Parts
from postroom.queue.outcome import Kind
from postroom.store.api import (
    AccountRow,
    DeliveredAlready,
    Entry,
    NotFound,
    OverQuota,
    Recipient,
    StoreError,
    StoreUnavailable,
)
from postroom.testing.mailflow import Events
from postroom.values.content import Content

MAIL = (
    b"Received: from x\r\nSubject: hi\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntwo\r\n--x--\r\n"
)


class FakeMailboxes:
    """Accounts that remember what was delivered, and can wait or fail."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, Content, dict[str, object]]] = []
        self.seen: set[tuple[str, str]] = set()
        self.fault: Exception | None = None
        self.open_fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.under_way = 0
        self.most = 0

    async def open(self, row: AccountRow):
        if self.open_fault:
            raise self.open_fault
        return FakeAccount(self, row)


class FakeAccount:
    def __init__(self, mailboxes: FakeMailboxes, row: AccountRow) -> None:
        self.mailboxes = mailboxes
        self.row = row

    async def special(self, use: str):
        return SimpleNamespace(name="Spam") if use == "\\Junk" else None

    async def deliver(self, content: Content, **options: object):
        boxes = self.mailboxes
        boxes.under_way += 1
        boxes.most = max(boxes.most, boxes.under_way)
        try:
            if boxes.gate:
                await boxes.gate.wait()
            if boxes.fault:
                raise boxes.fault
        finally:
            boxes.under_way -= 1
        key = (str(options["queue_id"]), str(options["recipient"]))
        if key in boxes.seen:
            return None
        boxes.seen.add(key)
        boxes.delivered.append((self.row.login, content, options))
        return SimpleNamespace(uids=(7,), snapshot=SimpleNamespace(pages=[SimpleNamespace(messages=[12])]))


class FakeQueue:
    def __init__(self) -> None:
        self.settled: list[tuple[str, list]] = []
        self.back: list[str] = []

    async def settle(self, entry, outcomes) -> None:
        self.settled.append((entry.id, list(outcomes)))

    def give_back(self, entry, recipients) -> None:
        self.back.append(entry.id)


class House:
    def __init__(self) -> None:
        self.queue = FakeQueue()
        self.boxes = FakeMailboxes()
        self.events = Events()
        self.rows = {
            f"{name}@here.test": AccountRow(id=name, login=f"{name}@here.test", created=0)
            for name in ("a", "bob", "caroline")
        }
        self.find_fault: Exception | None = None
        self.delivery = Delivery(self.queue, self.boxes, self.find, self.events)

    async def find(self, address: str) -> Found | None:
        if self.find_fault:
            raise self.find_fault
        return Found(self.rows[address]) if address in self.rows else None

    def take(
        self,
        *addresses: str,
        content: Content | None = None,
        name: str = "id1",
        sender: str = "x@far.test",
        peer: str = "",
    ):
        recipients = tuple(Recipient(index=n, address=each, route="local") for n, each in enumerate(addresses))
        content = content or Content.of(MAIL)
        entry = Entry(
            id=name,
            slot=0,
            sender=sender,
            received=1234.5,
            size=content.size,
            content=content,
            recipients=recipients,
            peer=peer,
        )
        self.delivery.take(entry, recipients)
        return entry

    async def done(self) -> None:
        await self.delivery.settled()

    async def outcome(self, *addresses: str):
        self.take(*(addresses or ("a@here.test",)))
        await self.done()
        ((_, outcomes),) = self.queue.settled
        return outcomes[0]


async def test_a_message_lands_with_its_trace_and_its_index() -> None:
    house = House()
    outcome = await house.outcome("a@here.test")
    assert (outcome.kind, outcome.status) == (Kind.DELIVERED, "2.0.0")
    ((login, content, options),) = house.boxes.delivered
    assert login == "a@here.test"
    assert content.data == b"Return-Path: <x@far.test>\r\nDelivered-To: a@here.test\r\n" + MAIL
    assert (options["queue_id"], options["recipient"], options["internaldate"]) == ("id1", "a@here.test", 1234)
    assert options["index"] == index(content.data)


async def test_the_null_sender() -> None:
    house = House()
    house.take("a@here.test", sender="")
    await house.done()
    assert house.boxes.delivered[0][1].data.startswith(b"Return-Path: <>\r\n")


async def test_one_scan_serves_all_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    scans: list[int] = []

    def counting(source, lead, **more):
        scans.append(lead)
        return index(source, lead, **more)

    monkeypatch.setattr(service, "index_message", counting)
    house.take("caroline@here.test", "a@here.test", "bob@here.test")
    await house.done()
    assert len(scans) == 1
    assert len(house.boxes.delivered) == 3
    for _, content, options in house.boxes.delivered:
        assert options["index"] == index(content.data)
        start, end = Parts.unpack(options["index"].parts).section((2,), "HEADER")
        assert content.data[start:end] == b"Subject: in\r\n\r\n"
    assert [each.recipient.index for each in house.queue.settled[0][1]] == [0, 1, 2]


async def test_a_large_message_stays_in_its_file(tmp_path) -> None:
    house = House()
    path = tmp_path / "body"
    path.write_bytes(MAIL + b"x" * 600_000)
    size = path.stat().st_size
    content = Content(size=size, path=str(path)).with_prefix(b"Received: y\r\n")
    house.take("a@here.test", "bob@here.test", content=content)
    await house.done()
    for _, kept, options in house.boxes.delivered:
        assert kept.path == str(path)
        assert kept.size == size + len(kept.prefix)
        assert options["index"] == index(path.read_bytes(), len(kept.prefix))


async def test_redelivery_changes_nothing() -> None:
    house = House()
    for _ in range(2):
        house.take("a@here.test")
        await house.done()
    assert len(house.boxes.delivered) == 1
    assert [outcomes[0].kind for _, outcomes in house.queue.settled] == [Kind.DELIVERED] * 2
    house.boxes.fault = DeliveredAlready()
    house.take("a@here.test")
    await house.done()
    assert house.queue.settled[-1][1][0].kind is Kind.DELIVERED


@pytest.mark.parametrize(
    ("fault", "status", "reply"),
    [
        (OverQuota(), "4.2.2", "The mailbox is full"),
        (StoreUnavailable("disk"), "4.3.0", "The mailbox is out of order"),
        (StoreError("odd"), "4.3.0", "The mailbox is out of order"),
        (NotFound("folder"), "4.2.0", "The mailbox cannot be opened"),
        (RuntimeError("bug"), "4.3.0", "Delivery failed for a reason of our own"),
    ],
)
async def test_what_goes_wrong_is_tried_again(fault: Exception, status: str, reply: str) -> None:
    house = House()
    house.boxes.fault = fault
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status, outcome.reply) == (Kind.DEFERRED, status, reply)


async def test_no_room_can_be_the_end() -> None:
    class Full:
        def rejects(self, account: str) -> bool:
            return account == "a"

    house = House()
    house.delivery.fullness = Full()
    house.boxes.fault = OverQuota()
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status, outcome.reply) == (Kind.FAILED, "5.2.2", "The mailbox is full")
    house.take("bob@here.test")
    await house.done()
    assert house.queue.settled[-1][1][0].kind is Kind.DEFERRED


async def test_an_account_that_cannot_be_opened_or_found_now() -> None:
    house = House()
    house.boxes.open_fault = StoreUnavailable("locked")
    assert (await house.outcome()).status == "4.3.0"
    house = House()
    house.find_fault = StoreUnavailable("locked")
    assert (await house.outcome()).kind is Kind.DEFERRED
    assert house.events.names() == ["delivery.fault"]


async def test_an_account_that_is_gone_or_disabled_bounces() -> None:
    outcome = await House().outcome("nobody@here.test")
    assert (outcome.kind, outcome.status, outcome.reply) == (Kind.FAILED, "5.1.1", "There is no such mailbox here")
    house = House()
    house.rows["a@here.test"] = replace(house.rows["a@here.test"], disabled=True)
    outcome = await house.outcome()
    assert (outcome.kind, outcome.status, outcome.reply) == (Kind.FAILED, "5.2.1", "The mailbox is disabled")


async def test_one_bad_recipient_does_not_hold_up_the_others() -> None:
    house = House()
    house.take("nobody@here.test", "a@here.test", "bob@here.test")
    await house.done()
    kinds = {each.recipient.address: each.kind for each in house.queue.settled[0][1]}
    assert kinds == {
        "nobody@here.test": Kind.FAILED,
        "a@here.test": Kind.DELIVERED,
        "bob@here.test": Kind.DELIVERED,
    }


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_deliveries_are_bounded_and_none_is_forgotten() -> None:
    house = House()
    house.boxes.gate = asyncio.Event()
    for n in range(AT_ONCE * 3):
        house.take("a@here.test", name=f"id{n}")
    await turn()
    assert house.boxes.most == AT_ONCE == house.delivery._running
    house.boxes.gate.set()
    await house.done()
    assert len(house.queue.settled) == AT_ONCE * 3 == len(house.boxes.delivered)


async def test_many_recipients_go_side_by_side() -> None:
    house = House()
    house.boxes.gate = asyncio.Event()
    many = [f"u{n}@here.test" for n in range(100)]
    for address in many:
        house.rows[address] = AccountRow(id=address, login=address, created=0)
    house.take(*many)
    await turn()
    assert house.boxes.most == STRANDS
    house.boxes.gate.set()
    await house.done()
    assert sorted(each.recipient.index for each in house.queue.settled[0][1]) == list(range(100))


async def test_stop_finishes_what_has_begun_and_leaves_the_rest() -> None:
    house = House()
    house.boxes.gate = asyncio.Event()
    for n in range(AT_ONCE + 5):
        house.take("a@here.test", name=f"id{n}")
    await turn()
    stopping = asyncio.create_task(house.delivery.stop())
    await turn()
    assert not stopping.done()
    house.boxes.gate.set()
    await stopping
    assert len(house.queue.settled) == AT_ONCE
    assert house.queue.back == [f"id{n}" for n in range(AT_ONCE, AT_ONCE + 5)]
    house.take("a@here.test", name="late")
    await house.done()
    assert house.queue.back[-1] == "late"


REPORT = (
    b'Content-Type: multipart/report; report-type=%b; boundary="b"\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\n'
    b"Content-Type: message/%b\r\n\r\n%b\r\n--b--\r\n"
)


async def test_reports_of_other_servers_are_told() -> None:
    house = House()
    status = (
        b"Reporting-MTA: dns; mx.far.test\r\n\r\nFinal-Recipient: rfc822; b@far.test\r\nAction: failed\r\nStatus: 5.1.1"
    )
    report = Content.of(REPORT % (b"delivery-status", b"delivery-status", status))
    house.take("a@here.test", content=report, sender="", peer="192.0.2.1")
    await house.done()
    (told,) = house.events.of("report.received")
    assert (told["to"], told["recipient"], told["action"], told["status"], told["remote"]) == (
        "a@here.test",
        "b@far.test",
        "failed",
        "5.1.1",
        "mx.far.test",
    )
    house.take("a@here.test", content=report, sender="", name="id2")  # one of our own
    complaint = Content.of(REPORT % (b"feedback-report", b"feedback-report", b"Feedback-Type: abuse\r\nVersion: 1"))
    house.take("a@here.test", content=complaint, name="id3", peer="192.0.2.1")
    await house.done()
    assert len(house.events.of("report.received")) == 1
    assert house.events.of("complaint.received")[0]["kind"] == "abuse"


async def test_junk_for_one_and_not_for_the_other() -> None:
    house = House()
    recipients = tuple(
        Recipient(index=n, address=f"{name}@here.test", route="local", inbox=name == "bob")
        for n, name in enumerate(("a", "bob"))
    )
    entry = Entry(
        id="id1",
        slot=0,
        sender="x@far.test",
        received=1234.5,
        size=len(MAIL),
        content=Content.of(MAIL),
        recipients=recipients,
        junk=True,
        keywords=("$Junk", "$Suspicious"),
    )
    house.delivery.take(entry, recipients)
    await house.done()
    found = {login: (options["mailbox"], options["keywords"]) for login, _, options in house.boxes.delivered}
    assert found == {
        "a@here.test": ("Spam", ("$Junk", "$Suspicious")),
        "bob@here.test": ("INBOX", ("$Suspicious",)),
    }
