"""Copies in the mailbox for sent mail: one, whoever files it first, also after a crash."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postroom.delivery.sent import SentCopies
from postroom.identity.model import Found
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Account, Mailboxes
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import AccountRow, Entry, Recipient, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.mailflow import Events
from postroom.testing.store_contract import SettableClock
from postroom.values.content import Content
from postroom.values.flags import FLAGGED, SEEN

SUPPORT = AccountRow(id="s1", login="support@here.test", created=0, shared=True, sent_copies=True)


class House:
    """The queue's side."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.store = MemoryStore(clock=self.clock)
        guids = iter(f"{number:032x}" for number in range(1000))
        self.mailboxes = Mailboxes(self.store, self.clock, lambda: next(guids))
        self.events = Events()
        self.outcomes: list[Outcome] = []
        self.returned: list[Recipient] = []
        self.copies = SentCopies(self, self.mailboxes, self.find, self.clock, self.events)

    async def find(self, address: str) -> Found | None:
        row = await self.store.directory.account_by_login(address)
        return None if row is None else Found(row)

    async def settle(self, _entry: Entry, outcomes: Sequence[Outcome]) -> None:
        self.outcomes += outcomes

    def give_back(self, _entry: Entry, recipients: Sequence[Recipient]) -> None:
        self.returned += recipients

    async def send(self, number: str, message_id: str = "one", address: str = SUPPORT.login) -> Outcome:
        octets = f"From: support@here.test\r\nMessage-ID: <{message_id}@here.test>\r\n\r\nHello\r\n".encode()
        entry = Entry(
            id=number,
            sender="support@here.test",
            recipients=(Recipient(index=1, address=address, route="sent", notify="NEVER"),),
            content=Content.of(b"Received: by us\r\n" + octets),
            received=self.clock.now(),
            size=len(octets),
            slot=0,
        )
        self.copies.take(entry, entry.recipients)
        await self.copies.settled()
        return self.outcomes[-1]

    async def account(self) -> Account:
        return await self.mailboxes.open(SUPPORT)

    async def append(self, message_id: str, mailbox: str = "Sent", flags: int = SEEN) -> None:
        """A mail program files its own copy."""
        octets = f"From: support@here.test\r\nBcc: x@far.test\r\nMessage-ID: <{message_id}@here.test>\r\n\r\nHello\r\n"
        account = await self.account()
        info = await account.find(mailbox)
        await account.append(info.id, [Incoming(content=Content.of(octets.encode()), flags=flags)])

    async def sent(self, mailbox: str = "Sent") -> list[tuple[int, int, bool]]:
        """UID, flags, and whether a client filed it."""
        account = await self.account()
        snapshot = await account.snapshot((await account.find(mailbox)).id)
        return [
            (uid, flags, b"Bcc" in (await account.store.content(message)).read())
            for page in snapshot.pages
            for uid, flags, message in zip(page.uids, page.flags, page.messages, strict=True)
        ]


@pytest.fixture
async def house() -> House:
    made = House()
    await made.store.directory.put_account(SUPPORT)
    await made.store.create_account(SUPPORT.id, [("INBOX", ""), ("Sent", "\\Sent"), ("Other", "")])
    return made


async def test_a_copy_is_filed_and_read(house: House) -> None:
    outcome = await house.send("q1")
    assert (outcome.kind, outcome.mailbox) == (Kind.DELIVERED, "Sent")
    assert await house.sent() == [(1, SEEN, False)]


async def test_filed_again_after_a_crash_it_is_there_once(house: House) -> None:
    await house.send("q1")
    house.clock.time += 3600.0
    assert (await house.send("q1")).reply == "Filed before"
    assert len(await house.sent()) == 1


async def test_what_the_client_filed_before_stays_alone(house: House) -> None:
    await house.append("one")
    outcome = await house.send("q1")
    assert (outcome.kind, outcome.mailbox) == (Kind.DELIVERED, "Sent")
    assert await house.sent() == [(1, SEEN, True)]


async def test_what_the_client_files_afterwards_takes_the_place_of_ours(house: House) -> None:
    await house.send("q0", "zero")
    await house.send("q1", "one")
    await house.append("one", flags=SEEN | FLAGGED)
    assert await house.sent() == [(1, SEEN, False), (3, SEEN | FLAGGED, True)]
    await house.append("two")
    assert len(await house.sent()) == 3


async def test_another_mailbox_another_time_and_another_account_are_left_alone(house: House) -> None:
    await house.send("q1")
    await house.append("one", "Other")
    assert len(await house.sent("Other")) == 1
    house.clock.time += 3600.0
    await house.append("one")
    assert len(await house.sent()) == 2
    await house.store.directory.put_account(AccountRow(id="a1", login="ann@here.test", created=0))
    await house.store.create_account("a1", [("INBOX", ""), ("Sent", "\\Sent")])
    ann = await house.mailboxes.open(AccountRow(id="a1", login="ann@here.test", created=0))
    info = await ann.find("Sent")
    for _ in range(2):
        await ann.append(info.id, [Incoming(content=Content.of(b"Message-ID: <x@y>\r\n\r\n"))])
    assert (await ann.find("Sent")).messages == 2


async def test_messages_without_an_id_are_never_the_same(house: House) -> None:
    account = await house.account()
    info = await account.find("Sent")
    for _ in range(2):
        await account.append(info.id, [Incoming(content=Content.of(b"From: support@here.test\r\n\r\nx"))])
    assert (await account.find("Sent")).messages == 2


async def test_faults_wait_and_gone_accounts_do_not(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await house.send("q1", address="nobody@here.test")).kind is Kind.FAILED

    async def broken(_address: str) -> Found | None:
        raise StoreUnavailable("no disk")

    monkeypatch.setattr(house.copies, "_find", broken)
    assert (await house.send("q2")).kind is Kind.DEFERRED
    assert house.events.names()[-1] == "delivery.fault"


async def test_what_has_not_begun_when_it_stops_stays_in_the_queue(house: House) -> None:
    await house.copies.stop()
    entry = Entry(
        id="q1", sender="", recipients=(Recipient(index=1, address=SUPPORT.login, route="sent"),),
        content=Content.of(b"x"), received=0.0, size=1, slot=0,
    )  # fmt: skip
    house.copies.take(entry, entry.recipients)
    assert [one.address for one in house.returned] == [SUPPORT.login]
