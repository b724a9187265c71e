"""The contract of counts, bans and freezes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from postroom.store.api import Ban, Charge, Demand, Freeze, Lift, Per, Store, Suppression, Taken, Tally, Used
from postroom.store.api.limits import KEEP_BANS, KEEP_COUNTS, KEEP_PLACES, KEEP_SENT, KEEP_WAITING, SIGN

HOUR = 3600
DAY = 86400
NOW = 1_700_000_000.0


def hourly(limit: int, name: str = "x.test") -> Charge:
    """Messages an hour."""
    return Charge(name=name, kind="messages", per=Per.MESSAGE, limit=limit, window=HOUR)


def demand(*charges: Charge, to: tuple[str, ...] = ("bob@y.test",)) -> Demand:
    """A message of account a1."""
    return Demand(account="a1", recipients=to, charges=charges)


async def taken(store: Store, wanted: Demand, now: float) -> Taken:
    """What was counted; it must be."""
    answer = await store.limits.take(wanted, now)
    assert isinstance(answer, Taken), answer
    return answer


async def refused(store: Store, wanted: Demand, now: float) -> Used:
    """The limit that would be passed; it must be."""
    answer = await store.limits.take(wanted, now)
    assert isinstance(answer, Used), answer
    return answer


async def eventually(check: Callable[[], bool]) -> None:
    """What is counted soon is counted."""
    async with asyncio.timeout(5):
        while not check():  # noqa: ASYNC110 - the committer tells nobody
            await asyncio.sleep(0)


def day_of_new(limit: int, account: str = "a1") -> Charge:
    """First-time recipients a day."""
    return Charge(name=account, kind="new", per=Per.NEW, limit=limit, window=DAY)


class LimitsContract:
    """What LimitsStore promises."""

    async def test_what_fits_is_counted_and_what_does_not_is_not(self, store: Store) -> None:
        charge = hourly(3)
        for number in range(3):
            assert (await taken(store, demand(charge), NOW + number)).amounts == (1,)
        full = await refused(store, demand(charge), NOW + 10)
        assert (full.charge, full.used, full.asked) == (charge, 3, 1)
        assert store.limits.used(charge, NOW + 10).used == 3
        assert store.limits.used(hourly(0), NOW + 10).used == 3
        await taken(store, demand(hourly(0)), NOW + 10)  # without a limit it is only counted
        assert store.limits.used(charge, NOW + 10).used == 4

    async def test_no_window_holds_more_than_the_limit(self, store: Store) -> None:
        charge, sent = hourly(5), []
        for minute in range(0, 240, 3):  # tries at every turn of slots and hours
            now = NOW + minute * 60.0 - 0.5
            while isinstance(await store.limits.take(demand(charge), now), Taken):
                sent.append(now)
        for end in sent:
            assert sum(end - HOUR < each <= end for each in sent) <= 5
        assert len(sent) >= 5 * 3  # and it is not much stricter than that

    async def test_the_end_is_told(self, store: Store) -> None:
        charge = hourly(4)
        for later in (0, 600, 1200, 1800):
            await taken(store, demand(charge), NOW + later)
        for asked in (1, 3):
            full = store.limits.used(charge, NOW + 1900, asked)
            assert NOW + 1900 < full.frees <= NOW + HOUR + (asked - 1) * 600 + HOUR / 60
            assert store.limits.used(charge, full.frees, asked).frees == 0.0
            assert store.limits.used(charge, full.frees - 1, asked).frees == full.frees
        assert store.limits.used(charge, NOW + 1900, 5).frees == float("inf")
        assert store.limits.used(charge, NOW + 1900).frees == 0.0

    async def test_a_clock_that_was_wrong_for_a_while_blocks_nobody_for_years(self, store: Store) -> None:
        await taken(store, demand(hourly(1)), NOW + 1000 * DAY)
        await taken(store, demand(hourly(1)), NOW)

    async def test_all_charges_or_none(self, store: Store) -> None:
        wide, narrow = hourly(10), hourly(1, "narrow.test")
        await taken(store, demand(wide, narrow, day_of_new(1)), NOW)
        assert (await refused(store, demand(wide, narrow), NOW)).charge == narrow
        assert (await refused(store, demand(wide, day_of_new(1), to=("new@y.test",)), NOW)).charge.kind == "new"
        assert store.limits.used(wide, NOW).used == 1
        assert store.limits.fresh("a1", ("new@y.test",)) == ("new@y.test",)

    async def test_recipients_are_new_once(self, store: Store) -> None:
        each = Charge(name="a1", kind="recipients", per=Per.RECIPIENT, limit=100, window=DAY)
        first = await taken(store, demand(each, day_of_new(3), to=("b@y.test", "c@y.test")), NOW)
        assert (first.fresh, first.amounts) == (("b@y.test", "c@y.test"), (2, 2))
        second = await taken(store, demand(each, day_of_new(3), to=("c@y.test", "d@y.test")), NOW + 2 * DAY)
        assert (second.fresh, second.amounts) == (("d@y.test",), (2, 1))
        assert store.limits.fresh("a1", ("b@y.test", "e@y.test")) == ("e@y.test",)
        assert store.limits.fresh("a2", ("b@y.test",)) == ("b@y.test",)
        assert store.limits.fresh("", ("b@y.test",)) == ()
        assert store.limits.written("a1", "c@y.test") == NOW
        assert store.limits.written("a1", "e@y.test") is None
        assert store.limits.correspondents("a1", 2) == [("d@y.test", NOW + 2 * DAY), ("b@y.test", NOW)]

    async def test_answers_are_known_by_what_was_sent(self, store: Store) -> None:
        sent = replace(demand(hourly(2)), message_id="1.a@x.test")
        await taken(store, sent, NOW)
        assert store.limits.answered("a1", ("other@y.test", "1.a@x.test"))
        assert not store.limits.answered("a2", ("1.a@x.test",))
        assert not store.limits.answered("a1", ("1.A@x.test", ""))
        assert not store.limits.answered("a1", ())
        assert store.limits.answered("", ("other@y.test", "1.a@x.test"))
        assert not store.limits.answered("", ("other@y.test", "1.A@x.test"))
        await taken(store, replace(sent, account="", message_id="machine@x.test", charges=()), NOW)
        assert store.limits.answered("", ("machine@x.test",))
        assert not store.limits.answered("a1", ("machine@x.test",))
        await taken(store, demand(hourly(2)), NOW)
        await refused(store, replace(sent, message_id="2@x.test"), NOW)
        assert not store.limits.answered("a1", ("2@x.test", ""))
        await store.limits.sweep(NOW + KEEP_SENT)
        assert store.limits.answered("a1", ("1.a@x.test",))
        await store.limits.sweep(NOW + KEEP_SENT + 1)
        assert not store.limits.answered("a1", ("1.a@x.test",))
        await taken(store, sent, NOW)
        await store.limits.forget("a1")
        assert not store.limits.answered("a1", ("1.a@x.test",))

    async def test_too_many_new_recipients_at_once(self, store: Store) -> None:
        many = tuple(f"r{number}@y.test" for number in range(5))
        full = await refused(store, demand(day_of_new(4), to=many), NOW)
        assert (full.used, full.asked, full.frees) == (0, 5, float("inf"))
        await taken(store, demand(day_of_new(4), to=many[:4]), NOW)

    async def test_given_back_as_if_it_never_was(self, store: Store) -> None:
        await taken(store, demand(hourly(5), to=("b@y.test",)), NOW)
        second = await taken(store, demand(hourly(5), day_of_new(2), to=("b@y.test", "c@y.test")), NOW + 70)
        await store.limits.give_back(second)
        assert store.limits.used(hourly(5), NOW + 70).used == 1
        assert store.limits.used(day_of_new(2), NOW + 70).used == 0
        assert store.limits.fresh("a1", ("b@y.test", "c@y.test")) == ("c@y.test",)

    async def test_near_is_told_once_in_a_window(self, store: Store) -> None:
        charge = hourly(10)
        told = [bool((await taken(store, demand(charge), NOW + number)).near) for number in range(10)]
        assert told == [False] * 7 + [True, False, False]
        later = NOW + 2 * HOUR
        told = [bool((await taken(store, demand(charge), later + number)).near) for number in range(9)]
        assert told == [False] * 7 + [True, False]

    async def test_many_at_once_are_exact(self, store: Store) -> None:
        answers = await asyncio.gather(*(store.limits.take(demand(hourly(7)), NOW) for _ in range(20)))
        assert sum(isinstance(answer, Taken) for answer in answers) == 7

    async def test_tallies(self, store: Store) -> None:
        kinds = {f"{SIGN}bounced": DAY, f"{SIGN}other": HOUR}
        for later in (0, 100):
            store.limits.note(
                [Tally(name="a1", kind=kind, window=window, amount=2) for kind, window in kinds.items()], NOW + later
            )
        await eventually(lambda: store.limits.sums("a1", kinds, NOW + 100)[f"{SIGN}other"] == 4)
        assert store.limits.sums("a1", kinds, NOW + 2 * HOUR) == {f"{SIGN}bounced": 4, f"{SIGN}other": 0}
        assert store.limits.sums("a2", {"x": HOUR}, NOW) == {"x": 0}
        await store.limits.tally([Tally(name="a2", kind="x", window=HOUR)], NOW)
        assert store.limits.sums("a2", {"x": HOUR}, NOW) == {"x": 1}

    async def test_places(self, store: Store) -> None:
        limits = store.limits
        assert await limits.place("a1", "192.0.0.0/16", NOW)
        assert await limits.place("a1", "198.51.0.0/16", NOW + HOUR)
        assert not await limits.place("a1", "192.0.0.0/16", NOW + DAY)
        assert await limits.place("a2", "192.0.0.0/16", NOW)
        assert limits.places("a1") == [("192.0.0.0/16", NOW, NOW + DAY), ("198.51.0.0/16", NOW + HOUR, NOW + HOUR)]
        assert limits.places("a3") == []

    async def test_bans_grow(self, store: Store) -> None:
        def again(since: float) -> Awaitable[Ban]:
            return store.limits.ban(Ban(network="192.0.2.1", since=since, until=since + 600, reason="x"), DAY, DAY)

        first = await again(NOW)
        assert (first.until, first.times) == (NOW + 600, 1)
        assert await again(NOW + 599) == first  # it holds
        second = await again(NOW + 601)
        assert (second.until, second.times) == (NOW + 601 + 1200, 2)
        now = second.until
        for times in range(3, 12):
            grown = await again(now)
            assert (grown.times, grown.until) == (times, now + min(600 * 2 ** (times - 1), DAY))
            now = grown.until
        assert (await again(now + DAY + 1)).times == 1  # long ago

    async def test_bans_are_told_by_serial(self, store: Store) -> None:
        limits = store.limits
        before = limits.generation()
        one = await limits.put_ban(Ban(network="192.0.2.1", since=NOW, until=NOW + 5, reason="Bäd", by="admin"))
        two = await limits.put_ban(Ban(network="198.51.100.0/24", since=NOW, until=float("inf"), reason="y", times=3))
        assert limits.generation() != before
        assert limits.bans() == [one, two]
        assert two.until == float("inf")
        assert limits.bans(one.serial) == [two]
        ended = await limits.put_ban(Ban(network="192.0.2.1", since=NOW, until=NOW, reason="lifted"))
        assert limits.bans(two.serial) == [ended]
        assert limits.bans() == [two, ended]

    async def test_freezes(self, store: Store) -> None:
        limits = store.limits
        made = Freeze(account="a1", since=NOW, score=120, reasons=("30 of 40 bounced", "ä"))
        before = limits.generation()
        assert await limits.freeze(made)
        assert not await limits.freeze(Freeze(account="a1", since=NOW + 5, score=1, reasons=()))
        assert limits.generation() != before
        assert limits.rules().frozen == {"a1": made}
        await taken(store, demand(hourly(9, "a1")), NOW)
        limits.note([Tally(name="a1", kind=f"{SIGN}bounced", window=DAY)], NOW)
        await eventually(lambda: limits.sums("a1", {f"{SIGN}bounced": DAY}, NOW)[f"{SIGN}bounced"] == 1)
        assert await limits.unfreeze("a1")
        assert not await limits.unfreeze("a1")
        assert limits.rules().frozen == {}
        assert limits.sums("a1", {f"{SIGN}bounced": DAY}, NOW) == {f"{SIGN}bounced": 0}
        assert limits.used(hourly(9, "a1"), NOW).used == 1

    async def test_lifts(self, store: Store) -> None:
        lift = Lift(name="x.test", since=NOW, until=NOW + HOUR, by="admin")
        await store.limits.lift(lift)
        assert store.limits.rules().lifts == {"x.test": lift}

    async def test_suppressions(self, store: Store) -> None:
        limits = store.limits
        made = Suppression(address="b@y.test", since=NOW, until=NOW + HOUR, reason="550 no such user: ä")
        assert limits.suppressed("b@y.test", NOW) is None
        await limits.suppress(made)
        assert limits.suppressed("b@y.test", NOW) == made
        assert limits.suppressed("b@y.test", NOW + HOUR) is None
        await limits.suppress(replace(made, until=NOW + 1))
        assert limits.suppressed("b@y.test", NOW) == made
        longer = replace(made, until=float("inf"), reason="other")
        await limits.suppress(longer)
        await limits.suppress(replace(made, address="a@y.test"))
        assert [one.address for one in limits.suppressions(NOW)] == ["a@y.test", "b@y.test"]
        assert limits.suppressions(NOW + HOUR) == [longer]
        asked = replace(made, until=NOW + 2, by="admin")
        await limits.suppress(asked)
        assert limits.suppressed("b@y.test", NOW) == asked
        assert await limits.unsuppress("b@y.test")
        assert not await limits.unsuppress("b@y.test")
        await limits.sweep(NOW + 2 * HOUR)
        assert limits.suppressions(0.0) == []

    async def test_forgetting(self, store: Store) -> None:
        limits = store.limits
        await taken(store, demand(hourly(1, "a1")), NOW)
        await limits.freeze(Freeze(account="a1", since=NOW, score=120, reasons=("x",)))
        await limits.lift(Lift(name="a1", since=NOW, until=NOW + HOUR, by="admin"))
        await limits.place("a1", "192.0.0.0/16", NOW)
        await limits.forget("a1")
        assert not limits.rules().frozen
        assert not limits.rules().lifts
        assert limits.fresh("a1", ("bob@y.test",)) == ("bob@y.test",)
        assert limits.used(hourly(1, "a1"), NOW).used == 0
        assert limits.places("a1") == []

    @pytest.mark.parametrize("later", [0.0, 30 * float(DAY)])
    async def test_sweeping_takes_only_what_no_window_reaches(self, store: Store, later: float) -> None:
        limits = store.limits
        await taken(store, demand(hourly(1), to=("b@y.test",)), NOW)
        await limits.place("a1", "192.0.0.0/16", NOW)
        ban = await limits.put_ban(Ban(network="192.0.2.1", since=NOW, until=NOW + 600, reason="x"))
        await limits.lift(Lift(name="x.test", since=NOW, until=NOW + HOUR, by="admin"))
        await limits.sweep(NOW + later)
        assert later == 0 or later > max(KEEP_COUNTS, KEEP_BANS)
        assert limits.bans() == ([] if later else [ban])
        assert limits.used(hourly(1), NOW).used == (0 if later else 1)
        assert limits.fresh("a1", ("b@y.test",)) == ()  # who was written to is known for good
        assert len(limits.places("a1")) == 1
        await limits.sweep(NOW + KEEP_PLACES + DAY)
        assert limits.places("a1") == []

    async def test_who_waits(self, store: Store) -> None:
        limits = store.limits
        assert limits.waits("a") is None
        assert await limits.wait("a", 10.0, 10.0) == 10.0
        assert await limits.wait("a", 20.0, 20.0) == 10.0
        assert limits.waits("a") == 10.0
        await limits.wait("b", 5.0, 5.0)
        await limits.sweep(15.0 + KEEP_WAITING)
        assert limits.waits("a") == 10.0
        assert limits.waits("b") is None
        await limits.sweep(21.0 + KEEP_WAITING)
        assert limits.waits("a") is None
