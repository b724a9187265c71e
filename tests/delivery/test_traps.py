"""Mail to a spam trap is learned from, once, and reaches nobody."""

from __future__ import annotations

import asyncio
from typing import Any

from postroom.delivery.traps import TrapDelivery
from postroom.filter.training import TRAP_WEIGHT, Trainer
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import EVERYBODY, Entry, Recipient, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.content import Content

NOW = 1_700_000_000.0
MAIL = b"From: Bob <bob@far.test>\r\nSubject: pills\r\nMessage-ID: <1@far.test>\r\n\r\ncheap horoscope pills\r\n"


class FakeQueue:
    """Hears outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.back: list[Entry] = []

    async def settle(self, entry: Entry, outcomes: Any) -> None:
        self.outcomes += outcomes

    def give_back(self, entry: Entry, recipients: Any) -> None:
        self.back.append(entry)


class Trap:
    """A trap with a trainer and its store."""

    def __init__(self, *, off: bool = False) -> None:
        self.clock = SettableClock(NOW)
        self.store = MemoryStore(clock=self.clock)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.taught: list[bool] = []
        trainer = Trainer(self.store, self.clock, self.event, "mx.here.test")  # type: ignore[arg-type]
        trainer.elsewhere = self.elsewhere
        self.queue = FakeQueue()
        self.delivery = TrapDelivery(self.queue, None if off else trainer.trapped, self.event)  # type: ignore[arg-type]

    async def elsewhere(self, content: Content, spam: bool) -> None:
        self.taught.append(spam)

    def event(self, name: str, /, **fields: Any) -> None:
        self.told.append((name, fields))

    async def take(self, id: str = "Q1", **fields: Any) -> dict[str, Any]:
        recipient = Recipient(index=0, address="trap@here.test", route="trap")
        given = {
            "sender": "bob@far.test",
            "peer": "192.0.2.7",
            "proven": "far.test",
            "content": Content.of(MAIL),
        } | fields
        entry = Entry(id=id, slot=0, received=NOW, size=len(MAIL), recipients=(recipient,), **given)
        self.delivery.take(entry, [recipient])
        await self.delivery.settled()
        return self.told[-1][1]

    def learned(self) -> int:
        return self.store.training.learned(EVERYBODY, []).spam

    def standing(self, key: str) -> float:
        return self.store.training.standings([key], NOW)[0].bad


async def test_everybody_learns_it_and_its_sender_stands_worse() -> None:
    trap = Trap()
    told = await trap.take()
    assert told["learned"] is True
    assert (told["recipient"], told["queue_id"], told["peer"]) == ("trap@here.test", "Q1", "192.0.2.7")
    assert trap.learned() == 1
    assert trap.taught == [True]
    assert trap.standing("network:192.0.2.0/24") == TRAP_WEIGHT
    assert trap.standing("domain:far.test") == TRAP_WEIGHT
    assert [outcome.kind for outcome in trap.queue.outcomes] == [Kind.DELIVERED]


async def test_delivered_again_it_counts_once() -> None:
    trap = Trap()
    await trap.take()
    told = await trap.take()
    assert told["learned"] is False
    assert trap.learned() == 1
    assert trap.standing("network:192.0.2.0/24") == TRAP_WEIGHT


async def test_a_domain_that_is_not_proven_keeps_its_standing() -> None:
    trap = Trap()
    await trap.take(proven="")
    await trap.take("Q2", proven="other.test")
    assert trap.standing("domain:far.test") == 0.0
    assert trap.standing("network:192.0.2.0/24") == 2 * TRAP_WEIGHT


async def test_our_own_people_and_answers_to_forged_mail_teach_nothing() -> None:
    trap = Trap()
    for fields in ({"account": "acc1"}, {"sender": ""}):
        told = await trap.take(**fields)
        assert told["learned"] is False
        assert told["reason"]
    assert (await Trap(off=True).take())["reason"] == "the filter is off"
    assert trap.learned() == 0
    assert trap.standing("network:192.0.2.0/24") == 0.0
    assert [outcome.kind for outcome in trap.queue.outcomes] == [Kind.DELIVERED] * 2


async def test_one_network_cannot_poison_the_words() -> None:
    trap = Trap()
    for number in range(40):
        await trap.take(f"Q{number}")
    assert trap.learned() == 30
    await trap.take("other", peer="198.51.100.9")
    assert trap.learned() == 31
    trap.clock.time = NOW + 86400
    await trap.take("tomorrow")
    assert trap.learned() == 32


async def test_a_store_that_cannot_write_makes_it_wait() -> None:
    trap = Trap()

    async def broken(*_: Any) -> bool:
        raise StoreUnavailable("disk full")

    trap.delivery = TrapDelivery(trap.queue, broken, trap.event)  # type: ignore[arg-type]
    trap.told.append(("", {}))
    await trap.take()
    assert [outcome.kind for outcome in trap.queue.outcomes] == [Kind.DEFERRED]
    await trap.delivery.stop()
    await asyncio.sleep(0)
