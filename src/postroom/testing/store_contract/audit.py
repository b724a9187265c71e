"""The contract of the audit records."""

from __future__ import annotations

import asyncio

from postroom.store.api import NewAct, Store
from postroom.store.api.audit import GENESIS


def act(number: int, **fields: object) -> NewAct:
    """Something that was done."""
    given = {
        "time": 1000.0 + number,
        "who": {"user": "root", "uid": 0},
        "act": "user set",
        "on": f"u{number}@here.test",
    }
    return NewAct(**(given | fields))  # type: ignore[arg-type]


class AuditContract:
    """What AuditStore promises."""

    async def test_nothing_yet(self, store: Store) -> None:
        assert await store.audit.acts() == []
        verdict = await store.audit.verify({})
        assert (verdict.number, verdict.hash, verdict.faults) == (0, GENESIS, ())

    async def test_records_are_kept_as_they_were_told(self, store: Store) -> None:
        told = act(1, before={"quota": 0, "näme": "ö"}, after={"quota": 5, "näme": None}, note='a "note"\nof two lines')
        first = await store.audit.append(told)
        second = await store.audit.append(act(2))
        assert (first.number, first.previous) == (1, GENESIS)
        assert (second.number, second.previous) == (2, first.hash)
        assert await store.audit.acts() == [first, second]
        assert await store.audit.acts(since=1002.0) == [second]
        assert {name: getattr(first, name) for name in told.__struct_fields__} == {
            name: getattr(told, name) for name in told.__struct_fields__
        }

    async def test_the_chain_is_whole_however_many_write(self, store: Store) -> None:
        await asyncio.gather(*[store.audit.append(act(number)) for number in range(20)])
        kept = await store.audit.acts()
        assert [one.number for one in kept] == list(range(1, 21))
        assert [one.previous for one in kept[1:]] == [one.hash for one in kept[:-1]]
        assert len({one.on for one in kept}) == 20
        verdict = await store.audit.verify({5: kept[4].hash, 20: kept[19].hash})
        assert (verdict.number, verdict.hash, verdict.faults) == (20, kept[19].hash, ())

    async def test_what_is_known_elsewhere_must_be_there(self, store: Store) -> None:
        kept = [await store.audit.append(act(number)) for number in range(3)]
        for known in ({4: "f" * 64}, {2: kept[2].hash}):
            assert (await store.audit.verify(known)).faults
