"""The contract of the alarms."""

from __future__ import annotations

from postroom.store.api import Store


class AlarmContract:
    """What AlarmStore promises."""

    async def test_none(self, store: Store) -> None:
        assert await store.alarms.open() == []
        assert await store.alarms.close([1]) == 0
        store.alarms.end(("account.frozen",), "a@here.test")
        await store.alarms.flush()
        assert await store.alarms.open() == []

    async def test_what_happens_again_is_counted(self, store: Store) -> None:
        alarms = store.alarms
        alarms.note(1000.0, "account.frozen", "a@here.test", {"login": "a@here.test", "score": 5})
        alarms.note(1001.0, "account.frozen", "a@here.test", {"login": "a@here.test", "score": 6})
        alarms.note(1002.0, "account.frozen", "b@here.test", {"login": "b@here.test"})
        await alarms.flush()
        alarms.note(1003.0, "account.frozen", "a@here.test", {"login": "a@here.test", "score": 7})
        await alarms.flush()
        found = await alarms.open()
        assert [(one.subject, one.first, one.last, one.count) for one in found] == [
            ("b@here.test", 1002.0, 1002.0, 1),
            ("a@here.test", 1000.0, 1003.0, 3),
        ]
        assert found[1].fields == {"login": "a@here.test", "score": 7}

    async def test_an_event_ends_it_and_it_may_come_again(self, store: Store) -> None:
        alarms = store.alarms
        for subject in ("x", "y"):
            alarms.note(1000.0, "list.ignored", subject, {})
        await alarms.flush()
        alarms.end(("list.ignored", "other.thing"), "x")
        await alarms.flush()
        assert [one.subject for one in await alarms.open()] == ["y"]
        alarms.note(1001.0, "list.ignored", "x", {})
        alarms.end(("list.ignored",), "x")
        alarms.note(1002.0, "list.ignored", "x", {})
        await alarms.flush()
        assert [(one.subject, one.last) for one in await alarms.open()] == [("y", 1000.0), ("x", 1002.0)]

    async def test_an_administrator_closes_it(self, store: Store) -> None:
        for subject in ("x", "y", "z"):
            store.alarms.note(1000.0, "list.ignored", subject, {})
        await store.alarms.flush()
        x, y, z = await store.alarms.open()
        assert await store.alarms.close([x.id, z.id, 999]) == 2
        assert [one.id for one in await store.alarms.open()] == [y.id]
