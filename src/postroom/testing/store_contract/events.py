"""The contract of the events."""

from __future__ import annotations

import random

import pytest

from postroom.store.api import EventQuery, Store
from postroom.testing.store_contract.build import SettableClock

_DAY = 86400.0


def _tell(store: Store, at: float, number: int, **fields: object) -> None:
    """The usual two events of a message."""
    name = f"q{number}"
    told = {"queue_id": name, "sender": f"s{number}@far.test", "to": [f"R{number}@here.test", "all@here.test"]}
    store.events.add(at, "message.accepted", {**told, "message_id": f"M{number}@far.test", **fields})
    store.events.add(at + 0.5, "message.delivered", {"queue_id": name, "recipient": f"r{number}@here.test", "uid": 1})


class EventContract:
    """What EventStore promises."""

    async def test_a_life_is_found_by_all_it_is_known_by(self, store: Store, clock: SettableClock) -> None:
        for number in range(50):
            _tell(store, clock.time + number, number)
        await store.events.flush()
        for word in ("q7", "S7@far.test", "r7@HERE.test", "<m7@far.test>", "M7@far.test", " <r7@here.test> "):
            [life] = await store.events.find(EventQuery(word=word))
            assert life.id == "q7"
            assert [told.name for told in life.events] == ["message.accepted", "message.delivered"]
            assert life.events[0].time == clock.time + 7
            assert life.events[0].fields["to"] == ["R7@here.test", "all@here.test"]
            assert life.events[1].fields == {"queue_id": "q7", "recipient": "r7@here.test", "uid": 1}

    async def test_nothing_is_found_by_a_part_or_by_another_field(self, store: Store, clock: SettableClock) -> None:
        _tell(store, clock.time, 1, reply="hello@there.test")
        await store.events.flush()
        for word in ("q", "here.test", "s1", "hello@there.test", "message"):
            assert await store.events.find(EventQuery(word=word)) == []

    @pytest.mark.parametrize("size", [1, 30, 200])
    async def test_the_newest_come_first_and_no_more_than_asked(
        self, store: Store, clock: SettableClock, size: int
    ) -> None:
        for number in range(size * 3):
            _tell(store, clock.time + number, number)
            if number % size == 0:
                await store.events.flush()
        await store.events.flush()
        found = await store.events.find(EventQuery(word="all@here.test", limit=20))
        wanted = list(range(size * 3))[::-1][:20]
        assert [life.id for life in found] == [f"q{number}" for number in wanted]
        everything = await store.events.find(EventQuery(limit=3))
        assert [life.id for life in everything] == [f"q{number}" for number in wanted[:3]]

    async def test_a_window_of_time_chooses_lives_and_shows_them_whole(
        self, store: Store, clock: SettableClock
    ) -> None:
        for number in range(100):
            _tell(store, clock.time + number * 10, number)
        await store.events.flush()
        window = EventQuery(word="all@here.test", since=clock.time + 200, until=clock.time + 220, limit=99)
        assert [life.id for life in await store.events.find(window)] == ["q22", "q21", "q20"]
        late = EventQuery(word="r5@here.test", since=clock.time + 50.2)
        assert [len(life.events) for life in await store.events.find(late)] == [2]

    async def test_a_life_of_many_days_is_whole(self, store: Store, clock: SettableClock) -> None:
        start = clock.time
        store.events.add(start, "message.accepted", {"queue_id": "q1", "sender": "s@far.test"})
        for day in range(1, 5):
            await store.events.flush()
            clock.time = start + day * _DAY
            store.events.add(clock.time, "message.deferred", {"queue_id": "q1", "recipient": "r@out.test", "try": day})
        await store.events.flush()
        for word in ("s@far.test", "r@out.test", "q1"):
            [life] = await store.events.find(EventQuery(word=word))
            assert [told.fields.get("try") for told in life.events] == [None, 1, 2, 3, 4]
        [life] = await store.events.find(EventQuery(word="s@far.test", until=start + _DAY))
        assert len(life.events) == 5

    async def test_events_of_no_message_stand_alone(self, store: Store, clock: SettableClock) -> None:
        for number in range(3):
            store.events.add(clock.time + number, "login.failed", {"login": "Ann@here.test", "ip": "192.0.2.1"})
        await store.events.flush()
        found = await store.events.find(EventQuery(word="ann@here.test"))
        assert [(life.id, len(life.events)) for life in found] == [("", 1)] * 3
        assert len(await store.events.find(EventQuery(word="192.0.2.1", limit=2))) == 2
        assert len(await store.events.find(EventQuery(word="login.failed"))) == 3
        assert await store.events.find(EventQuery(word="192.0.2.1", alone=False)) == []

    async def test_old_days_go_and_others_stay(self, store: Store, clock: SettableClock) -> None:
        start = clock.time
        for day in range(4):
            clock.time = start + day * _DAY
            _tell(store, clock.time, day)
            await store.events.flush()
        assert await store.events.sweep(start) == 0
        assert await store.events.sweep(start + 2 * _DAY) == 2
        assert {life.id for life in await store.events.find(EventQuery())} == {"q2", "q3"}
        assert await store.events.sweep(start + 2 * _DAY) == 0

    async def test_a_day_is_read_as_a_whole(self, store: Store, clock: SettableClock) -> None:
        start = clock.time // _DAY * _DAY
        for number in range(700):
            clock.time = start - 3 + number * 200
            store.events.add(clock.time, "mail.checked", {"queue_id": f"q{number}", "n": number})
            store.events.add(clock.time, "mail.refused", {"queue_id": f"q{number}", "reason": "mail.checked"})
            if not number % 50:
                await store.events.flush()
        await store.events.flush()
        found = [told async for some in store.events.told("mail.checked", start, start + _DAY) for told in some]
        times = [start - 3 + number * 200 for number in range(700)]
        wanted = [number for number, at in enumerate(times) if start <= at < start + _DAY]
        assert sorted(told.fields["n"] for told in found) == wanted
        assert {told.name for told in found} == {"mail.checked"}

    async def test_it_finds_what_a_plain_list_finds(self, store: Store, clock: SettableClock) -> None:
        dice = random.Random(7)  # noqa: S311 - the same every time
        told: list[tuple[float, str, str]] = []
        for _ in range(600):
            clock.time += dice.choice((0.01, 1, 4000))
            life, who = f"q{dice.randrange(150)}", f"p{dice.randrange(20)}@here.test"
            store.events.add(clock.time, "message.deferred", {"queue_id": life, "recipient": who})
            told.append((clock.time, life, who))
            if dice.random() < 0.3:
                await store.events.flush()
        await store.events.flush()
        for _ in range(30):
            who, limit = f"p{dice.randrange(20)}@here.test", dice.randrange(1, 30)
            since = told[dice.randrange(600)][0]
            newest = {life: at for at, life, whom in told if whom == who and at >= since}
            wanted = sorted(newest, key=lambda life: newest[life], reverse=True)[:limit]
            found = await store.events.find(EventQuery(word=who, since=since, limit=limit))
            assert {life.id for life in found} == set(wanted)
            for one in found:
                assert [event.time for event in one.events] == [at for at, life, _ in told if life == one.id]
