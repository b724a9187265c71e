"""Limits on what leaves: whose, how much, until when, in words; by a clock that stands still."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from postroom.config import Sending
from postroom.policy import Outgoing
from postroom.policy.outgoing import DAY, HOUR, Draft
from postroom.policy.words import Notice, span
from postroom.store.api import AccountRow, DomainRow, Freeze, Lift, Taken
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.refusal import Refusal

ANN = AccountRow(id="a1", login="ann@x.test", created=0.0)


class House:
    def __init__(self, **sending: int) -> None:
        self.clock = SettableClock(1_700_000_000.0)  # 22:13:20 UTC
        self.store = MemoryStore(clock=self.clock)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.posted: list[Notice] = []
        self.outgoing = Outgoing(
            Sending(**sending),
            (self.store.limits, self.store.directory),
            self.clock,
            lambda name, /, **fields: self.events.append((name, fields)),
            self.posted.append,
        )

    async def host(self, **fields: int) -> House:
        await self.store.directory.put_domain(DomainRow(name="x.test", created=0.0, **fields))
        return self

    async def send(self, *to: str, account: AccountRow | None = ANN, domain: str = "x.test") -> Taken | None:
        draft = Draft(account, domain)
        for each in to:
            await self.outgoing.add(draft, [each])
        return await self.outgoing.take(draft)


async def refused(house: House, *to: str, **who: object) -> str:
    with pytest.raises(Refusal) as caught:
        await house.send(*to, **who)
    refusal = caught.value
    assert (refusal.code, refusal.enhanced) == (450, "4.7.1")
    assert refusal.temporary
    assert refusal.public.isascii()
    assert len(refusal.public) < 500
    return refusal.public


async def test_a_domain_sends_so_many_messages_an_hour() -> None:
    house = await House(domain_messages_per_hour=3).host()
    bob = replace(ANN, id="a2", login="bob@x.test")
    for account in (ANN, bob, None):
        await house.send("r@y.test", account=account)
    text = await refused(house, "r@y.test", account=bob)
    assert text == (
        "Sending limit: x.test may send 3 messages an hour to other domains and has sent 3;"
        " try again at 23:14 UTC (in 61 minutes)"
    )
    assert house.events[-1] == (
        "limit.reached",
        {"name": "x.test", "login": "bob@x.test", "limit": 3, "kind": "messages"},
    )
    house.clock.time += HOUR + HOUR / 60
    await house.send("r@y.test")


async def test_the_named_time_is_true() -> None:
    house = await House(account_messages_per_day=2, domain_messages_per_hour=0).host()
    await house.send("r@y.test")
    house.clock.time += HOUR
    await house.send("r@y.test")
    text = await refused(house, "r@y.test")
    found = re.search(r"ann@x.test may send 2 messages a day .* try again at (\S+ \S+) UTC \(in (\d+) hours\)", text)
    assert found
    assert found[1] == "2023-11-15 22:24"
    house.clock.time += int(found[2]) * HOUR
    await house.send("r@y.test")


async def test_who_is_not_hosted_here_has_no_limit_of_a_domain() -> None:
    house = House(domain_messages_per_hour=1)
    for _ in range(3):
        await house.send("r@y.test", account=None, domain="elsewhere.test")


async def test_new_recipients_are_refused_one_by_one() -> None:
    house = await House(account_new_recipients_per_day=2).host()
    await house.send("old@y.test")
    draft = Draft(ANN, "x.test")
    await house.outgoing.add(draft, ["one@y.test"])
    with pytest.raises(Refusal) as caught:
        await house.outgoing.add(draft, ["two@y.test"])
    assert "ann@x.test may write to 2 new recipients a day in other domains" in caught.value.public
    assert "has written to 1; try again at 2023-11-15 22:24" in caught.value.public
    await house.outgoing.add(draft, ["old@y.test"])  # who is known goes on
    taken = await house.outgoing.take(draft)
    assert taken is not None
    assert taken.demand.recipients == ("one@y.test", "old@y.test")
    assert taken.fresh == ("one@y.test",)


async def test_more_at_once_than_the_limit() -> None:
    house = await House(account_new_recipients_per_day=3).host()
    draft = Draft(ANN, "x.test")
    with pytest.raises(Refusal) as caught:
        await house.outgoing.add(draft, [f"r{number}@y.test" for number in range(4)])
    assert "new recipients a day in other domains; this message is for 4 at once" in caught.value.public


async def test_recipients_of_a_day() -> None:
    house = await House(account_recipients_per_day=5).host()
    await house.send("a@y.test", "b@y.test", "a@y.test")
    await house.send("a@y.test", "b@y.test", "c@y.test")
    assert "may send to 5 recipients a day" in await refused(house, "a@y.test")


async def test_what_another_worker_sent_meanwhile_counts_too() -> None:
    house = await House(account_messages_per_day=1).host()
    draft = Draft(ANN, "x.test")
    await house.outgoing.add(draft, ["a@y.test"])
    await house.send("b@y.test")
    with pytest.raises(Refusal) as caught:
        await house.outgoing.take(draft)
    assert caught.value.code == 450
    assert house.store.limits.fresh("a1", ("a@y.test",))


async def test_mail_inside_is_free() -> None:
    house = await House(account_messages_per_day=1, domain_messages_per_hour=1).host()
    await house.send("a@y.test")
    assert await house.send() is None


async def test_given_back() -> None:
    house = await House(account_messages_per_day=1, account_new_recipients_per_day=1).host()
    taken = await house.send("a@y.test")
    assert taken is not None
    await house.outgoing.give_back(taken)
    await house.send("b@y.test")


async def test_limits_of_their_own() -> None:
    house = await House(domain_messages_per_hour=1, account_messages_per_day=1).host(hourly_messages=0)
    strict, free = replace(ANN, daily_messages=2), replace(ANN, id="a2", login="bob@x.test", daily_messages=0)
    for _ in range(2):
        await house.send("r@y.test", account=strict)
    assert "may send 2 messages a day" in await refused(house, "r@y.test", account=strict)
    for _ in range(5):
        await house.send("r@y.test", account=free)


async def test_a_lift_ends_by_itself_and_costs_nothing_afterwards() -> None:
    house = await House(domain_messages_per_hour=1).host()
    await house.send("r@y.test")
    now = house.clock.time
    await house.store.limits.lift(Lift(name="x.test", since=now, until=now + HOUR, by="admin"))
    for _ in range(5):
        await house.send("r@y.test")
    house.clock.time += HOUR + HOUR / 60 + 1
    await house.send("r@y.test")
    await refused(house, "r@y.test")


async def test_user_and_administrator_are_warned_once() -> None:
    house = await House(account_messages_per_day=10, domain_messages_per_hour=0).host()
    for number in range(10):
        await house.send("r@y.test")
        assert len(house.posted) == (number >= 7)
    notice = house.posted[0]
    assert (notice.login, notice.domain) == ("ann@x.test", "x.test")
    assert notice.subject == "Sending limit of ann@x.test: 80 % used"
    assert "ann@x.test may send 10 messages a day to other domains and has sent 8 (80 %)" in notice.text
    assert "postroom limit lift ann@x.test" in notice.text
    assert [name for name, _ in house.events] == ["limit.near"]
    house.clock.time += 2 * DAY
    for _ in range(8):
        await house.send("r@y.test")
    assert len(house.posted) == 2


async def test_who_is_frozen_sends_nothing() -> None:
    house = await House().host()
    house.outgoing.check(ANN)
    await house.store.limits.freeze(Freeze(account="a1", since=0.0, score=120, reasons=("30 of 40 messages bounced",)))
    with pytest.raises(Refusal) as caught:
        house.outgoing.check(ANN)
    assert (caught.value.code, caught.value.enhanced) == (550, "5.7.1")
    assert "somebody else may be using it (30 of 40 messages bounced). Change the password" in caught.value.public
    assert len(caught.value.public) < 500
    house.outgoing.check(replace(ANN, id="a2"))


async def test_long_names_fit_a_reply() -> None:
    house = await House(account_messages_per_day=1).host()
    long = replace(ANN, login="ö" * 200 + "@x.test")
    await house.send("r@y.test", account=long)
    assert "\\xf6" in await refused(house, "r@y.test", account=long)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1 seconds"),
        (90, "90 seconds"),
        (91, "2 minutes"),
        (5400, "90 minutes"),
        (5401, "2 hours"),
        (36 * 3600, "36 hours"),
        (36 * 3600 + 1, "2 days"),
    ],
)
def test_spans_are_never_too_short(seconds: float, text: str) -> None:
    assert span(seconds) == text


async def test_what_filters_send_counts_too() -> None:
    """With what the account writes itself, in one count; who it goes to stays somebody it has never written to."""
    house = await House(
        account_messages_per_day=3, account_recipients_per_day=4, account_new_recipients_per_day=1
    ).host()
    assert await house.outgoing.automatic(ANN, ()) is None
    for number in range(2):
        await house.outgoing.automatic(ANN, (f"far{number}@y.test",))
    assert house.store.limits.fresh("a1", ["far0@y.test"]) == ("far0@y.test",)
    await house.send("new@y.test")
    with pytest.raises(Refusal) as caught:
        await house.outgoing.automatic(ANN, ("far@y.test",))
    assert (caught.value.code, caught.value.temporary) == (450, True)
    assert "may send 3 messages a day" in caught.value.public
    assert house.events[-1][0] == "limit.reached"
    house.clock.time += DAY + HOUR
    with pytest.raises(Refusal) as caught:
        await house.outgoing.automatic(ANN, tuple(f"far{number}@y.test" for number in range(5)))
    assert "may send to 4 recipients" in caught.value.public
    taken = await house.outgoing.automatic(ANN, ("far@y.test",))
    assert taken is not None
    await house.outgoing.give_back(taken)
    for _ in range(3):
        await house.outgoing.automatic(ANN, ("far@y.test",))


async def test_filters_of_frozen_accounts_send_nothing() -> None:
    house = await House().host()
    await house.store.limits.freeze(Freeze(account="a1", since=0.0, score=10, reasons=("too much",)))
    with pytest.raises(Refusal) as caught:
        await house.outgoing.automatic(ANN, ("far@y.test",))
    assert caught.value.code == 550
    assert await house.outgoing.automatic(ANN, ()) is None
