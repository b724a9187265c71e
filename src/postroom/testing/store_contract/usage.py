"""The contract of what accounts held when somebody last looked."""

from __future__ import annotations

from postroom.store.api import Seen, Store, Together
from postroom.testing.store_contract.build import SettableClock

STEPS = (80, 90, 95)


def seen(percent: int, account: str = "a1", domain: str = "x.test", octets: int = 1000, messages: int = 3) -> Seen:
    """A look at an account."""
    return Seen(account=account, domain=domain, octets=octets, messages=messages, percent=percent)


class UsageContract:
    """note, note_domain, of, all, domain."""

    async def test_the_last_look_counts(self, store: Store) -> None:
        usage = store.usage
        assert usage.of("a1") is None
        assert await usage.note([seen(10), seen(0, "a2", octets=5)], STEPS, 100.0) == []
        assert await usage.note([seen(20, octets=2000, messages=9)], STEPS, 200.0) == []
        one = usage.of("a1")
        assert one is not None
        assert (one.octets, one.messages, one.percent, one.at, one.full_since, one.warned) == (2000, 9, 20, 200.0, 0, 0)
        assert [(one.account, one.percent) for one in usage.all()] == [("a1", 20), ("a2", 0)]

    async def test_a_threshold_is_told_once_for_each_crossing(self, store: Store) -> None:
        usage = store.usage
        uses = [79, 80, 81, 89, 95, 99, 93, 95, 90, 95, 79, 80, 74, 80, 100]
        told = []
        for number, percent in enumerate(uses):
            told += [(percent, one.warned) for one in await usage.note([seen(percent)], STEPS, float(number))]
        # 95 not after 93, but after 90; 80 not after 81, but after it sank to 75 or less
        assert told == [(80, 80), (95, 95), (95, 95), (80, 80), (80, 80), (100, 95)]

    async def test_since_when_it_is_full(self, store: Store) -> None:
        usage = store.usage
        for now, percent in ((1.0, 99), (2.0, 100), (3.0, 130), (4.0, 99), (5.0, 101)):
            await usage.note([seen(percent)], STEPS, now)
            one = usage.of("a1")
            assert one is not None
            assert one.full_since == {1.0: 0.0, 2.0: 2.0, 3.0: 2.0, 4.0: 0.0, 5.0: 5.0}[now]

    async def test_domains(self, store: Store, clock: SettableClock) -> None:
        usage = store.usage
        assert usage.domain("x.test") == Together()
        await usage.note([seen(1), seen(2, "a2", octets=10, messages=1), seen(3, "b1", "y.test")], (), 1.0)
        clock.time += 60
        assert usage.domain("x.test") == Together(1010, 4, 2)
        assert [one.account for one in usage.all("x.test")] == ["a2", "a1"]
        assert await usage.note_domain("x.test", 79, STEPS) == 0
        assert await usage.note_domain("x.test", 91, STEPS) == 90
        assert await usage.note_domain("x.test", 92, STEPS) == 0
        assert await usage.note_domain("x.test", 10, STEPS) == 0
        assert await usage.note_domain("x.test", 85, STEPS) == 80

    async def test_what_is_gone_is_forgotten(self, store: Store, clock: SettableClock) -> None:
        await store.usage.note([seen(99)], STEPS, 1.0)
        await store.usage.note_domain("x.test", 99, STEPS)
        await store.limits.forget("a1")
        await store.limits.forget("x.test")
        clock.time += 60
        assert store.usage.of("a1") is None
        assert store.usage.domain("x.test") == Together()
        assert await store.usage.note_domain("x.test", 99, STEPS) == 95
