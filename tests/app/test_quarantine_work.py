"""Quarantine from the queue to a digest and back to the inbox: nothing is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.app.digests import DigestRooms, send_digests
from postroom.app.quarantine import ReleaseRooms, Releases, sweep, without_verdict
from postroom.app.runfolder import Lock
from postroom.config import Config, Quarantine
from postroom.delivery.quarantine import QuarantineDelivery
from postroom.delivery.service import Delivery
from postroom.identity.model import Found
from postroom.mailbox.service import Mailboxes
from postroom.queue.ids import Ids
from postroom.queue.reports import SenderReports
from postroom.queue.schedule import Schedule
from postroom.queue.service import Queue
from postroom.store.api import (
    AccountRow,
    FilterRow,
    ItemState,
    NewEntry,
    NewRecipient,
    QuarantineItem,
    QuarantineQuery,
    StateChange,
    Store,
    StoreUnavailable,
)
from postroom.store.embedded import EmbeddedStore
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import Events, StandingClock
from postroom.values.address import Address
from postroom.values.content import Content

DAY = 86400.0
#: 2027-01-15 08:00 UTC
NOW = 1_800_000_000.0
ROWS = {
    name: AccountRow(id=f"{number:032x}", login=f"{name}@here.test", created=0)
    for number, name in enumerate(("ann", "ben"))
}
TRACE = b"Received: from x by mx.here.test\r\nX-Spam-Flag: YES\r\nX-Spam-Score: 12.3\r\n"
TRACE += b"X-Spam-Status: Yes, score=12.3 required=5.0\r\n tests=WORDS\r\n"
MAIL = b"From: =?utf-8?q?B=C3=A4d?= <bad@far.test>\r\nSubject: <b>buy</b>\r\n now\r\n\r\nbuy\r\n"


class House:
    """What one worker has of it. A second one of the same store is what comes after a crash."""

    def __init__(self, store: Store, folder: Path, slot: int = 0, clock: StandingClock | None = None) -> None:
        self.store = store
        self.clock = clock or StandingClock(NOW)
        self.events = Events()
        self.config = Config(quarantine=Quarantine(url="https://mail.here.test", digest="08:00"))
        reports = SenderReports("mx.here.test", self.route, self.clock)
        ids = Ids(self.clock, random.getrandbits, slot)
        self.queue = Queue(store.queue, ids, Schedule(jitter=lambda: 0.0), self.clock, reports, self.events)
        guids = (f"{number:032x}" for number in itertools.count(1))
        self.delivery = Delivery(self.queue, Mailboxes(store, self.clock, lambda: next(guids)), self.find, self.events)
        self.apart = QuarantineDelivery(
            self.queue, (store.quarantine, store.directory), self.find, self.clock, self.events
        )
        self.apart.delivery = self.delivery
        self.apart.settings = lambda: self.config.quarantine
        self.queue.subscribe("local", self.delivery.take)
        self.queue.subscribe("quarantine", self.apart.take)
        rooms = ReleaseRooms(
            store=store,
            accept=self.accept,
            new_id=self.queue.new_id,
            route=self.route,
            clock=self.clock,
            event=self.events,
        )
        self.releases = Releases(rooms, Lock(folder / "quarantine.lock"), self.digests)
        self.digest_rooms = DigestRooms(
            store=store,
            accept=self.accept,
            new_id=self.queue.new_id,
            sign=self.sign,
            clock=self.clock,
            zone=lambda now: 0,
            secret=b"s" * 32,
            event=self.events,
            config=lambda: self.config,
        )
        self.broken: list[str] = []

    async def accept(self, entry: NewEntry):
        if "before" in self.broken:
            raise StoreUnavailable("disk full")
        kept = await self.queue.accept(entry)
        if "after" in self.broken:
            raise StoreUnavailable("the process died here")
        return kept

    async def digests(self) -> bool:
        return await send_digests(self.digest_rooms)

    async def sign(self, content: Content, now: float) -> bytes:
        return b"DKIM-Signature: x\r\n"

    async def route(self, address: Address) -> tuple[NewRecipient, ...]:
        return (NewRecipient(address=str(address), route="remote"),)

    async def find(self, address: str) -> Found | None:
        row = ROWS.get(Address.parse(address).local.partition("+")[0])
        return Found(row, "", "off") if row else None

    async def come(
        self,
        *names: str,
        content: Content | None = None,
        why: str = "12.30 its words are bad (+12.3)",
        **fields: object,
    ) -> list[QuarantineItem]:
        recipients = tuple(NewRecipient(address=f"{name}@here.test", route="quarantine", why=why) for name in names)
        entry = NewEntry(
            id=self.queue.new_id(),
            sender="bounce@far.test",
            recipients=recipients,
            content=content or Content.of(MAIL),
            received=self.clock.now(),
            trace=TRACE,
            **fields,
        )
        await self.queue.accept(entry)
        await self.settled()
        return [one for one in await self.items() if one.entry == entry.id]

    async def settled(self) -> None:
        async with asyncio.timeout(30):
            await self.queue._idle.wait()

    async def items(self, *states: ItemState) -> list[QuarantineItem]:
        return await self.store.quarantine.find(QuarantineQuery(states=frozenset(states or ItemState)))

    async def let(self, *items: QuarantineItem, state: ItemState = ItemState.RELEASING) -> None:
        change = StateChange(before=frozenset(ItemState), state=state, at=self.clock.now(), by="root")
        await self.store.quarantine.put_state(tuple(item.id for item in items), change)

    async def turn(self) -> None:
        await self.releases.turn()
        await self.settled()

    async def box(self, name: str, mailbox: str = "INBOX") -> list[bytes]:
        account = await self.store.account(ROWS[name].id)
        info = await account.mailbox(mailbox)
        snapshot = await account.snapshot(info.id)
        return [(await account.content(each)).read() for page in snapshot.pages for each in page.messages]


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else EmbeddedStore(tmp_path / "data")
    for row in ROWS.values():
        await store.create_account(row.id, [("INBOX", ""), ("Junk", "\\Junk")])
        await store.directory.put_account(row)
    yield store
    await store.close()


@pytest.fixture
def house(store: Store, tmp_path: Path) -> House:
    return House(store, tmp_path)


async def test_each_recipient_has_his_own_and_no_mailbox_has_any(house: House) -> None:
    ann, ben = await house.come("ann", "ben")
    assert (ann.recipient, ben.recipient) == ("ann@here.test", "ben@here.test")
    assert (ann.author, ann.subject) == ("Bäd <bad@far.test>", "<b>buy</b> now")
    assert (ann.score, ann.why) == (12.3, "its words are bad (+12.3)")
    assert ann.until == NOW + 30 * DAY
    for name in ROWS:
        account = await house.store.account(ROWS[name].id)
        assert [(info.name, info.messages) for info in await account.mailboxes()] == [("INBOX", 0), ("Junk", 0)]
        assert (await account.usage()).octets == 0
    told = house.events.of("message.quarantined")
    assert [fields["recipient"] for fields in told] == ["ann@here.test", "ben@here.test"]
    assert ann.id in str(told[0]["reply"])
    assert not house.events.of("report.sent"), "the sender hears nothing"


async def test_what_is_released_comes_to_the_inbox_once_and_its_verdict_is_gone(house: House) -> None:
    (item,) = await house.come("ann")
    house.clock.time += 3 * DAY
    await house.let(item)
    await house.turn()
    await house.turn()
    (octets,) = await house.box("ann")
    assert octets.startswith(b"Return-Path: <bounce@far.test>\r\nDelivered-To: ann@here.test\r\nX-Spam-Status: No, ")
    assert b"X-Spam-Flag" not in octets
    assert b"score=12.3" not in octets
    assert b"tests=WORDS" not in octets
    assert b"released from quarantine by root; its score was 12.3" in octets
    assert octets.endswith(b"Received: from x by mx.here.test\r\n" + MAIL)
    assert [one.state for one in await house.items()] == [ItemState.RELEASED]
    account = await house.store.account(ROWS["ann"].id)
    (row,) = await account.rendered([1])
    assert row.internaldate == NOW + 3 * DAY, "it comes now"
    assert len(house.events.of("quarantine.released")) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_in_a_release_neither_loses_nor_doubles(
    moment: str, house: House, store: Store, tmp_path: Path
) -> None:
    (item,) = await house.come("ann")
    await house.let(item)
    house.broken.append(moment)
    await house.turn()
    assert [one.state for one in await house.items()] == [ItemState.RELEASING]
    assert "quarantine.fault" in house.events.names()
    later = House(store, tmp_path, 1, house.clock)
    await later.turn()
    await house.settled()
    assert len(await house.box("ann")) == 1
    assert [one.state for one in await house.items()] == [ItemState.RELEASED], later.events.told


async def test_what_cannot_be_delivered_stays(house: House) -> None:
    (item,) = await house.come("ann")
    await house.store.directory.remove_account(item.account)
    await house.let(item)
    await house.turn()
    assert [one.state for one in await house.items()] == [ItemState.KEPT]
    assert house.events.of("quarantine.unreleased")[0]["reason"] == "the account is gone"


async def test_one_that_fails_does_not_hold_up_others(house: House) -> None:
    assert not await house.come("ann", account="nobody"), "an unknown sender has no quarantine"
    (bad,) = await house.come("ann", account=ROWS["ben"].id)
    assert bad.outgoing
    assert bad.account == ROWS["ben"].id
    (good,) = await house.come("ann")
    await house.let(bad, good)

    async def broken(address: Address) -> tuple[NewRecipient, ...]:
        raise StoreUnavailable("no directory")

    object.__setattr__(house.releases._rooms, "route", broken)
    await house.turn()
    assert len(await house.box("ann")) == 1
    assert [one.id for one in await house.items(ItemState.RELEASING)] == [bad.id]


async def test_a_full_quarantine_makes_it_junk(house: House) -> None:
    house.config = Config(quarantine=Quarantine(account_messages=1))
    await house.come("ann")
    assert not await house.come("ann")
    assert len(await house.box("ann", "Junk")) == 1
    assert not await house.box("ann")
    outgoing = await house.come("ben", account=ROWS["ann"].id)
    assert not outgoing
    assert house.events.of("message.failed")[0]["recipient"] == "ben@here.test"


async def test_filing_waits_for_the_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> bool:
        raise StoreUnavailable("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(type(house.store.quarantine), "keep", broken)
        assert not await house.come("ann")
    assert house.events.of("message.deferred")
    house.clock.time += DAY
    await house.queue._take_due()
    await house.settled()
    assert len(await house.items()) == 1


async def test_large_ones_keep_their_octets_until_they_go(house: House) -> None:
    spool = house.store.spool()
    body = bytes(range(65, 91)) * 10_000
    spool.write(MAIL + body)
    (item,) = await house.come("ann", content=await spool.seal())
    spool.close()
    assert (await house.store.quarantine.content(item.id)).read() == TRACE + MAIL + body
    assert not [finding async for finding in house.store.check() if "quarantine" in finding.place]
    await house.let(item)
    await house.turn()
    (octets,) = await house.box("ann")
    assert octets.endswith(MAIL + body)
    assert b"X-Spam-Flag" not in octets
    assert await sweep(house.store, item.until + 1, house.events) == 1
    assert not await house.items()
    assert house.events.of("quarantine.swept")[0]["messages"] == 1
    assert (await house.box("ann"))[0] == octets


async def test_a_lost_file_is_found_by_a_check(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "data")
    await store.create_account(ROWS["ann"].id, [("INBOX", "")])
    await store.directory.put_account(ROWS["ann"])
    (item,) = await House(store, tmp_path).come("ann", content=Content.of(MAIL + b"x" * 100_000))
    (tmp_path / "data" / "quarantine" / item.entry).unlink()
    found = [finding async for finding in store.check()]
    assert any(item.entry in finding.what for finding in found)
    await store.close()


def test_only_our_own_fields_go() -> None:
    content = Content.of(b"X-Spam-Score: 3\r\nX-Spam-Level: ***\r\nA: b\r\n\r\nX-Spam-Score: 3\r\n")
    assert without_verdict(content).data == b"X-Spam-Level: ***\r\nA: b\r\n\r\nX-Spam-Score: 3\r\n"
    bare = Content.of(b"X-Spam-Score: 3\r\nA: b\r\n")
    assert without_verdict(bare).data.startswith(b"A: b\r\n")


# digests


async def test_a_digest_tells_each_user_once_a_day_what_is_new(house: House, store: Store, tmp_path: Path) -> None:
    (first,) = await house.come("ann")
    await house.come("ben")
    await house.turn()
    (mail,) = await house.box("ann")
    text = mail.decode()
    assert "Auto-Submitted: auto-generated\r\n" in text
    assert "Return-Path: <>\r\n" in text
    assert "DKIM-Signature: x" in text
    assert "1 new message in your quarantine" in text
    assert "multipart/alternative" in text
    assert f"https://mail.here.test/quarantine/release?m={first.id}." in text.replace("=\r\n", "").replace("=3D", "=")
    assert len(await house.box("ben")) == 1
    await house.come("ann")
    await House(store, tmp_path, 1, house.clock).turn()
    await house.turn()
    assert len(await house.box("ann")) == 1, "once a day, also with another worker"
    house.clock.time += DAY
    await house.turn()
    assert len(await house.box("ann")) == 2
    assert len(await house.box("ben")) == 1, "nothing is new"


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_in_a_digest_neither_loses_nor_doubles(
    moment: str, house: House, store: Store, tmp_path: Path
) -> None:
    await house.come("ann")
    house.broken.append(moment)
    await house.turn()
    assert "digest.failed" in house.events.names()
    await House(store, tmp_path, 1, house.clock).turn()
    await house.settled()
    assert len(await house.box("ann")) == 1


async def test_the_time_of_a_digest_is_the_persons_the_domains_or_configured(house: House) -> None:
    await house.store.directory.put_wishes(FilterRow(owner="here.test", digest="09:30"))
    await house.store.directory.put_wishes(FilterRow(owner="ben@here.test", digest="off"))
    await house.come("ann", "ben")
    await house.turn()
    assert not await house.box("ann"), "it is 08:00"
    house.clock.time += 5400
    await house.turn()
    assert len(await house.box("ann")) == 1
    assert not await house.box("ben")


async def test_without_a_web_address_it_says_whom_to_ask(house: House) -> None:
    house.config = Config(quarantine=Quarantine(digest="00:00", by_mail=False))
    (item,) = await house.come("ann")
    await house.turn()
    (mail,) = await house.box("ann")
    text = mail.decode().replace("=\r\n", "")
    assert "Ask your administrator (postmaster@here.test)" in " ".join(text.split())
    assert item.id in text
    assert "https://" not in text


async def test_many_digests_do_not_hold_up_releases(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.app.digests.AT_ONCE", 1)
    await house.come("ann", "ben")
    assert await house.digests()
    assert not await house.digests()
    await house.settled()
    assert len(await house.box("ann")) == len(await house.box("ben")) == 1


async def test_what_holds_a_virus_has_no_link(house: House) -> None:
    (item,) = await house.come("ann", why="!12.30 it holds the virus Eicar")
    assert (item.guarded, item.score, item.why) == (True, 12.3, "it holds the virus Eicar")
    await house.turn()
    (mail,) = await house.box("ann")
    text = mail.decode().replace("=\r\n", "")
    assert "https://" not in text
    assert f"{item.id} (only your administrator can release it)" in text


async def test_senders_cannot_write_into_a_digest(house: House) -> None:
    subject = b"Subject: =?utf-8?q?hi=0ARelease:_https://evil.test/<script>?=\r\n"
    await house.come("ann", content=Content.of(b"From: x@far.test\r\n" + subject + b"\r\nbuy\r\n"))
    await house.turn()
    (mail,) = await house.box("ann")
    text = mail.decode().replace("=\r\n", "").replace("=3D", "=")
    assert "Subject:  hi Release: https://evil.test/<script>" in text
    assert "&lt;script&gt;" in text
    assert "\nRelease: https://evil" not in text
