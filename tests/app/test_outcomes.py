"""From results of the queue to a frozen account, its mail held and its people told."""

from __future__ import annotations

from msgspec.structs import replace

from postroom.app.outcomes import Outcomes, hold_mail
from postroom.config import Config
from postroom.policy.suspicion import Suspicion
from postroom.policy.words import Notice
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import AccountRow, DirectoryStore, Entry, NewRecipient, QueueFilter, RecipientState
from postroom.store.api.limits import SIGN
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock, received

ANN = AccountRow(id="a1", login="ann@x.test", created=0.0)


def _tried(entry: Entry, attempts: int) -> Entry:
    (recipient,) = entry.recipients
    return replace(entry, recipients=(replace(recipient, attempts=attempts),))


class House:
    def __init__(self) -> None:
        self.clock = SettableClock()
        self.store = MemoryStore(clock=self.clock)
        self.events: list[str] = []
        self.posted: list[Notice] = []
        self.suspicion = Suspicion(
            Config(),
            self.store.limits,
            self.clock,
            self.tell,
            self.posted.append,
            lambda account: hold_mail(self.store.queue, account),
        )

    def tell(self, name: str, /, **_: object) -> None:
        self.events.append(name)

    def outcomes(self, directory: DirectoryStore | None = None) -> Outcomes:
        return Outcomes(self.suspicion, directory or self.store.directory, self.tell)  # type: ignore[arg-type]

    async def sent(self, number: str, *to: str, account: str = "a1", route: str = "remote") -> Entry:
        recipients = tuple(NewRecipient(address=each, route=route) for each in to)
        return await self.store.queue.accept(received(number, recipients=recipients, account=account))

    async def result(self, entry: Entry, kind: Kind, status: str, reply: str = "no such user") -> None:
        outcomes = [Outcome(recipient=one, kind=kind, status=status, reply=reply) for one in entry.recipients]
        await self.outcomes()(entry, outcomes)
        await self.suspicion.settled()


async def test_results_freeze_and_hold() -> None:
    house = House()
    await house.store.directory.put_account(ANN)
    waiting = await house.sent("q1", "later@y.test")
    other = await house.sent("q2", "later@y.test", account="a2")
    spam = await house.sent("q3", *[f"Nobody{number}@y.test" for number in range(25)])
    await house.result(spam, Kind.FAILED, "5.1.1")
    assert list(house.store.limits.rules().frozen) == ["a1"]
    assert house.posted[0].login == "ann@x.test"
    states = {entry.id: entry.recipients[0].state for entry in await house.store.queue.entries(QueueFilter())}
    assert states == {
        waiting.id: RecipientState.HELD,
        other.id: RecipientState.WAITING,
        spam.id: RecipientState.HELD,
    }


async def test_recipients_are_the_ones_that_were_counted() -> None:
    """Case of a domain does not make an old recipient new."""
    house = House()
    await house.store.directory.put_account(ANN)
    house.store.limits._written["a1"] = {"Bob@y.test".lower(): 0.0}
    entry = await house.sent("q1", "BOB@Y.test")
    await house.result(entry, Kind.FAILED, "5.1.1")
    counts = house.store.limits.sums("a1", {SIGN + "unknown": 86400, SIGN + "results": 86400}, house.clock.time)
    assert counts == {SIGN + "unknown": 0, SIGN + "results": 1}


async def test_what_is_delivered_here_says_nothing() -> None:
    house = House()
    await house.store.directory.put_account(ANN)
    entry = await house.sent("q1", *[f"nobody{number}@x.test" for number in range(50)], route="local")
    await house.result(entry, Kind.FAILED, "5.1.1")
    assert house.store.limits.sums("a1", {SIGN + "results": 86400}, house.clock.time) == {SIGN + "results": 0}


async def test_later_tries_are_not_results_again() -> None:
    house = House()
    await house.store.directory.put_account(ANN)
    entry = await house.sent("q1", "bob@y.test")
    for attempts in range(5):
        await house.result(_tried(entry, attempts), Kind.DEFERRED, "4.7.1", "greylisted")
    assert house.store.limits.sums("a1", {SIGN + "results": 86400}, house.clock.time) == {SIGN + "results": 1}


async def test_an_account_that_is_gone() -> None:
    house = House()
    entry = await house.sent("q1", "bob@y.test")
    await house.result(entry, Kind.FAILED, "5.1.1")
    assert house.events == []
