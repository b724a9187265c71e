"""Room at RCPT, and what becomes of mail that finds none: deferred, rejected, or first one and then the other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.config import Mailboxes, WhenFull
from postroom.intake.room import Room
from postroom.policy.fullness import Fullness
from postroom.store.api import AccountRow, DomainRow, Seen, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock, message
from postroom.values.refusal import Refusal

ROW = AccountRow(id="a1", login="ann@x.test", created=0.0, quota=1000)
DAY = 86400.0


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
async def store(clock: SettableClock) -> MemoryStore:
    store = MemoryStore(clock=clock)
    await store.directory.put_domain(DomainRow(name="x.test", created=0.0))
    await store.directory.put_account(ROW)
    await store.create_account("a1", [("INBOX", "")])
    return store


async def hold(store: MemoryStore, octets: int) -> None:
    account = await store.account("a1")
    await account.append(1, [message(b"x" * octets)])


def refusal(fault: pytest.ExceptionInfo[Refusal]) -> tuple[int, str]:
    return fault.value.code, str(fault.value.enhanced)


async def answer(room: Room, size: int = 0) -> tuple[int, str] | None:
    try:
        await room.check("a1", "ann@x.test", size)
    except Refusal as fault:
        return fault.code, str(fault.enhanced)
    return None


async def test_deferred_or_rejected(store: MemoryStore, clock: SettableClock) -> None:
    await hold(store, 600)
    defer = Room(store, Mailboxes(), clock)
    reject = Room(store, Mailboxes(when_full=WhenFull.REJECT), clock)
    for room in (defer, reject):
        assert await answer(room) is None
        assert await answer(room, 399) is None
    assert await answer(defer, 400) == (452, "4.2.2")
    assert await answer(reject, 400) == (552, "5.2.2")


async def test_grace(store: MemoryStore, clock: SettableClock) -> None:
    await hold(store, 950)
    room = Room(store, Mailboxes(grace_percent=10), clock)
    assert await answer(room, 149) is None
    assert await answer(room, 150) == (452, "4.2.2")
    await hold(store, 100)
    assert await answer(room) is None
    await hold(store, 50)
    assert await answer(room) == (452, "4.2.2")


async def test_deferred_for_some_days_then_rejected(store: MemoryStore, clock: SettableClock) -> None:
    await hold(store, 1000)
    room = Room(store, Mailboxes(full_days=7), clock)
    assert await answer(room) == (452, "4.2.2")  # nobody has looked at it yet
    seen = Seen(account="a1", domain="x.test", octets=1000, messages=1, percent=100)
    await store.usage.note([seen], (), clock.now())
    for days, code in ((0.0, 452), (6.9, 452), (0.2, 552)):
        clock.time += days * DAY
        found = await answer(room)
        assert found is not None and found[0] == code
    await store.usage.note([replace_percent(seen, 99)], (), clock.now())
    assert await answer(room) == (452, "4.2.2")


def replace_percent(seen: Seen, percent: int) -> Seen:
    return Seen(account=seen.account, domain=seen.domain, octets=seen.octets, messages=seen.messages, percent=percent)


async def test_a_full_domain(store: MemoryStore, clock: SettableClock) -> None:
    await store.directory.put_account(replace(ROW, quota=0))
    await store.directory.put_domain(DomainRow(name="x.test", created=0.0, quota=5000, quota_messages=9))
    room = Room(store, Mailboxes(), clock)
    assert await answer(room) is None
    await store.usage.note([Seen(account="b1", domain="x.test", octets=5000, messages=1)], (), 0.0)
    assert await answer(room) == (452, "4.2.2")
    await store.usage.note([Seen(account="b1", domain="x.test", octets=1, messages=9)], (), 0.0)
    assert await answer(room) == (452, "4.2.2")
    await store.usage.note([Seen(account="b1", domain="y.test", octets=5000, messages=99)], (), 0.0)
    assert await answer(room) is None


def test_who_cannot_look_defers(clock: SettableClock) -> None:
    class Broken:
        def of(self, _account: str) -> None:
            raise StoreUnavailable("disk")

    assert not Fullness(Broken(), Mailboxes(full_days=1), clock).rejects("a1")  # type: ignore[arg-type]
