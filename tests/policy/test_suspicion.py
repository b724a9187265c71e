"""Stolen accounts and honest ones: which signs freeze whom, and what is said then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.config import Config, Sending
from postroom.policy import Outgoing
from postroom.policy.outgoing import DAY, HOUR, Draft
from postroom.policy.suspicion import Result, Sign, Suspicion, is_spam, signs_of
from postroom.policy.words import Notice
from postroom.store.api import AccountRow, DomainRow, Lift, StoreUnavailable
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.refusal import Refusal

ANN = AccountRow(id="a1", login="ann@x.test", created=0.0)
UNKNOWN = ("5.1.1", "no such user here")
SPAM = ("5.7.1", "Message rejected as spam by content filtering")


class House:
    def __init__(self, **sending: int) -> None:
        self.clock = SettableClock(1_700_000_000.0)
        self.store = MemoryStore(clock=self.clock)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.posted: list[Notice] = []
        self.held: list[str] = []
        self.config = config = Config(sending=Sending(**sending))
        self.suspicion = Suspicion(config, self.store.limits, self.clock, self.tell, self.posted.append, self.hold)
        self.outgoing = Outgoing(
            config.sending,
            (self.store.limits, self.store.directory),
            self.clock,
            self.tell,
            self.posted.append,
            self.suspicion,
        )

    def tell(self, name: str, /, **fields: object) -> None:
        self.events.append((name, fields))

    async def hold(self, account: str) -> int:
        self.held.append(account)
        return 3

    async def send(self, *to: str, account: AccountRow = ANN) -> None:
        draft = Draft(account, "x.test")
        await self.outgoing.add(draft, to)
        await self.outgoing.take(draft)
        await self.suspicion.settled()

    async def write_to(self, count: int, name: str = "new", account: AccountRow = ANN) -> list[str]:
        names = [f"{name}{number}@y.test" for number in range(count)]
        for each in names:
            await self.send(each, account=account)
        return names

    async def answered(self, recipients: list[str], status: str = "2.0.0", reply: str = "ok") -> None:
        for each in recipients:
            self.suspicion.result(ANN, Result(each, failed=status.startswith("5"), status=status, reply=reply))
        await self.suspicion.settled()

    async def logged_in(self, *ips: str) -> None:
        for ip in ips:
            self.suspicion.entered(ANN, ip)
        await self.suspicion.settled()

    @property
    def signs(self) -> list[Sign]:
        return signs_of(self.store.limits, self.config.sending, "a1", self.clock.time)

    @property
    def frozen(self) -> bool:
        return "a1" in self.store.limits.rules().frozen


async def test_many_new_recipients_that_do_not_exist() -> None:
    house = House()
    names = await house.write_to(40)
    await house.answered(names[:16])
    await house.answered(names[16:39], *UNKNOWN)
    assert not house.frozen
    await house.answered(names[39:], *UNKNOWN)
    assert house.frozen
    freeze = house.store.limits.rules().frozen["a1"]
    assert freeze.reasons == ("24 of 40 recipients it wrote to for the first time do not exist",)
    assert freeze.score == 100
    assert house.held == ["a1"]
    assert [fields for name, fields in house.events if name == "account.frozen"] == [
        {"login": "ann@x.test", "score": 100, "reason": freeze.reasons[0], "held": 3}
    ]
    (notice,) = house.posted
    assert notice.subject == "Sending from ann@x.test is stopped"
    assert (notice.login, notice.domain) == ("ann@x.test", "x.test")
    for text in (*freeze.reasons, "3 of its messages", "postroom limit unfreeze ann@x.test", "user passwd"):
        assert text in notice.text
    with pytest.raises(Refusal) as caught:
        house.outgoing.check(ANN)
    assert caught.value.code == 550


async def test_a_newsletter_to_people_it_has_known_for_long_freezes_nobody() -> None:
    house = House(account_new_recipients_per_day=0)
    names = await house.write_to(300)
    house.clock.time += 2 * DAY
    await house.send(*names)
    await house.answered(names[:150])
    await house.answered(names[150:295], *UNKNOWN)  # half of them have moved away
    await house.answered(names[295:], *SPAM)  # and a few servers do not like it
    assert house.signs == []
    assert not house.frozen


async def test_a_club_that_writes_to_its_new_members_is_not_frozen() -> None:
    house = House()
    names = await house.write_to(120)
    await house.answered(names[:100])
    await house.answered(names[100:], *UNKNOWN)
    assert [sign.points for sign in house.signs] == [40]
    assert not house.frozen


async def test_a_burst_beyond_the_limit_from_everywhere() -> None:
    house = House()
    await house.logged_in("192.0.2.1")
    house.clock.time += DAY
    await house.logged_in("198.51.100.1", "203.0.113.1", "10.1.1.1", "2001:db8::1")
    await house.write_to(200)
    assert not house.frozen
    for number in range(20):
        with pytest.raises(Refusal):
            await house.send(f"more{number}@y.test")
    await house.suspicion.settled()
    assert house.frozen
    reasons = house.store.limits.rules().frozen["a1"].reasons
    assert reasons[0].startswith("200 recipients it has never written to, within ten minutes")
    assert "20 recipients beyond a sending limit within a day" in reasons
    assert (
        "log-ins from 4 networks never seen before, within an hour:"
        " 10.1.0.0/16, 198.51.0.0/16, 2001:db8::/32, 203.0.0.0/16" in reasons
    )


@pytest.mark.parametrize("share", [1, 20])
async def test_refused_as_spam(share: int) -> None:
    house = House()
    names = await house.write_to(10 * share)
    await house.answered(names[10:])
    await house.answered(names[:9], *SPAM)
    assert not house.frozen
    await house.answered(names[9:10], *SPAM)
    assert house.frozen == (share == 1)  # ten of ten, but not ten of two hundred


async def test_journeys_are_no_theft() -> None:
    house = House()
    await house.logged_in("192.0.2.1")
    for number in range(20):
        house.clock.time += HOUR
        await house.logged_in(f"10.{number}.0.1", f"172.{number}.0.1")
    assert house.signs == []


async def test_a_new_account_is_new_everywhere() -> None:
    house = House()
    await house.logged_in("192.0.2.1", "198.51.100.1", "203.0.113.1", "10.1.1.1", "10.2.1.1")
    assert house.signs == []


async def test_networks_alone_freeze_nobody_and_are_written_once_an_hour() -> None:
    house = House()
    await house.logged_in("192.0.2.1")
    house.clock.time += DAY
    await house.logged_in(*[f"10.{number}.0.1" for number in range(100)])
    (sign,) = house.signs
    assert sign.points == 40
    assert not house.frozen
    await house.logged_in("127.0.0.1", "::1")
    assert len(house.store.limits.places("a1")) == 101
    house.store.limits.place = None  # type: ignore[assignment, method-assign] - would fail
    await house.logged_in(*[f"10.{number}.7.7" for number in range(100)])
    assert "limit.fault" not in [name for name, _ in house.events]


async def test_sending_as_others_alone_freezes_nobody() -> None:
    house = House()
    for _ in range(100):
        house.outgoing.foreign(ANN)
    await house.suspicion.settled()
    assert [sign.points for sign in house.signs] == [50]
    assert not house.frozen
    names = await house.write_to(20)
    await house.answered(names[:12])
    await house.answered(names[12:], *UNKNOWN)
    assert house.frozen


async def test_unfrozen_starts_anew() -> None:
    house = House()
    names = await house.write_to(20)
    await house.answered(names, *UNKNOWN)
    assert house.frozen
    assert await house.store.limits.unfreeze("a1")
    assert house.signs == []
    await house.answered([(await house.write_to(1, "later"))[0]], *UNKNOWN)
    assert not house.frozen


async def test_a_lift_by_the_administrator_means_that_it_is_wanted() -> None:
    house = House()
    now = house.clock.time
    await house.store.limits.lift(Lift(name="a1", since=now, until=now + HOUR, by="root"))
    await house.answered(await house.write_to(30), *UNKNOWN)
    assert not house.frozen


async def test_switched_off() -> None:
    house = House(freeze_score=0)
    await house.answered(await house.write_to(60), *UNKNOWN)
    assert not house.frozen
    house = House(bounce_percent=0, spam_refusals=0, new_networks=0, foreign_senders=0)
    await house.logged_in("192.0.2.1")
    house.clock.time += DAY
    await house.logged_in(*[f"10.{number}.0.1" for number in range(9)])
    house.outgoing.foreign(ANN)
    await house.answered(await house.write_to(50), *UNKNOWN)
    await house.answered(await house.write_to(9, "spam"), *SPAM)
    assert house.signs == []


async def test_each_account_for_itself() -> None:
    house = House()
    ben = replace(ANN, id="a2", login="ben@x.test")
    await house.answered(await house.write_to(19), *UNKNOWN)
    await house.write_to(30, "bens", ben)
    assert not house.frozen


async def test_a_delay_counts_once() -> None:
    house = House()
    delay = Result("r@y.test", failed=False, status="4.7.28", reply="unusual rate of unsolicited mail", first=True)
    await house.write_to(1)
    for number in range(50):
        house.suspicion.result(ANN, replace(delay, first=not number))
    await house.suspicion.settled()
    assert house.store.limits.sums("a1", {"sign.spam": DAY, "sign.results": DAY}, house.clock.time) == {
        "sign.spam": 1,
        "sign.results": 1,
    }


async def test_a_store_that_cannot_be_read_freezes_nobody() -> None:
    house = House()

    def broken(*_: object) -> None:
        raise StoreUnavailable("disk error")

    house.store.limits.written = broken  # type: ignore[assignment, method-assign]
    house.store.limits.tally = broken  # type: ignore[assignment, method-assign]
    house.store.limits.sums = broken  # type: ignore[assignment, method-assign]
    house.suspicion.result(ANN, Result("r@y.test", failed=True, status="5.1.1", reply=""))
    house.outgoing.foreign(ANN)
    await house.store.directory.put_domain(DomainRow(name="x.test", created=0.0))
    await house.send("r@y.test")
    assert [name for name, _ in house.events] == ["limit.fault"] * 3


@pytest.mark.parametrize(
    ("status", "reply", "spam"),
    [
        ("5.7.1", "550 SPAM detected", True),
        ("5.7.1", "blocked using a block list", True),
        ("5.7.606", "Access denied, banned sending IP: your reputation is low", True),
        ("5.7.1", "Relaying denied", False),
        ("5.7.26", "DMARC policy", False),
        ("5.1.1", "our spam filter knows no such user", False),
        ("5.2.2", "mailbox full", False),
        ("4.7.0", "likely unsolicited mail", True),
        ("4.2.0", "try later, spam", False),
    ],
)
def test_what_is_a_refusal_as_spam(status: str, reply: str, spam: bool) -> None:
    assert is_spam(Result("r@y.test", failed=status.startswith("5"), status=status, reply=reply)) == spam
