"""The life of DKIM keys: no receiver ever misses one."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.config import Signing
from postroom.identity.rotation import DAY, Rotation, published
from postroom.mailauth.zone import ZoneData
from postroom.store.api import DomainRow, KeyState, SigningKeyRow
from postroom.store.memory import MemoryStore

HOUR = 3600.0


class FakeClock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class House:
    """A domain, its keys, and a DNS in which its administrator publishes what he is told."""

    def __init__(self, **config: Any) -> None:
        self.clock = FakeClock()
        self.directory = MemoryStore(self.clock).directory
        self.rotation = Rotation(self.directory, Signing(**config), self.clock)
        self.zone: dict[str, Any] = {}

    async def keys(self) -> tuple[SigningKeyRow, ...]:
        return await self.directory.signing_keys("x.test")

    async def states(self) -> list[str]:
        return sorted(row.state.value for row in await self.keys())

    async def publish(self) -> None:
        for key in published(await self.keys()):
            self.zone[f"{key.selector}._domainkey.x.test"] = {"TXT": [key.text]}

    async def turn(self) -> str:
        turned = await self.rotation.turn("x.test", ZoneData(self.zone))
        return turned.act if turned else ""


@pytest.fixture
async def house() -> House:
    house = House()
    await house.directory.put_domain(DomainRow(name="x.test", created=0.0))
    return house


async def test_first_keys_sign_at_once(house: House) -> None:
    assert await house.turn() == "made"
    rows = await house.keys()
    assert {row.algorithm for row in rows} == {"rsa-sha256", "ed25519-sha256"}
    assert await house.states() == ["active", "active"]
    assert await house.turn() == ""
    assert [key.text.split(";")[1].strip() for key in published(rows)] == ["k=ed25519", "k=rsa"]


async def test_a_whole_rotation(house: House) -> None:
    await house.turn()
    await house.publish()
    house.clock.time += 179 * DAY
    assert await house.turn() == ""
    house.clock.time += 1 * DAY
    old = {row.selector for row in await house.keys()}
    assert await house.turn() == "made"
    assert await house.states() == ["active", "active", "next", "next"]
    assert await house.turn() == "waits"  # for whoever publishes it
    await house.publish()
    house.clock.time += HOUR
    assert await house.turn() == "waits"  # seen once: not every server of the zone may have it
    house.clock.time += HOUR
    assert await house.turn() == "switched"
    assert {row.selector for row in await house.keys() if row.state is KeyState.RETIRED} == old
    house.clock.time += 7 * DAY
    assert await house.turn() == ""
    house.clock.time += 1 * DAY
    assert await house.turn() == "removed"
    assert await house.states() == ["active", "active"]
    assert not old & {row.selector for row in await house.keys()}


async def test_a_wrong_or_doubled_record_is_not_the_key(house: House) -> None:
    await house.turn()
    await house.rotation.begin("x.test")
    await house.publish()
    [first, *_] = [row for row in await house.keys() if row.state is KeyState.NEXT]
    name = f"{first.selector}._domainkey.x.test"
    right = house.zone[name]["TXT"]
    for wrong in ([right[0][:-8]], right * 2, ["v=DKIM1; p="], []):
        house.zone[name] = {"TXT": wrong}
        assert [await house.turn() for _ in range(3)] == ["waits"] * 3
    house.zone[name] = {"TXT": "SERVFAIL"}
    assert await house.turn() == "waits"
    house.zone[name] = {"TXT": right}
    assert [await house.turn(), await house.turn()] == ["waits", "switched"]


async def test_a_key_that_disappears_again_is_waited_for(house: House) -> None:
    await house.turn()
    await house.rotation.begin("x.test")
    await house.publish()
    assert await house.turn() == "waits"
    zone, house.zone = house.zone, {}
    assert await house.turn() == "waits"
    house.zone = zone
    assert [await house.turn(), await house.turn()] == ["waits", "switched"]


async def test_begin_twice_is_one_rotation(house: House) -> None:
    first = await house.rotation.begin("x.test")
    assert {row.state for row in first} == {KeyState.ACTIVE}
    waiting = await house.rotation.begin("x.test")
    assert waiting == await house.rotation.begin("x.test")
    assert len({row.selector for row in await house.keys()}) == 4
    assert {row.state for row in await house.rotation.switch("x.test")} == {KeyState.ACTIVE}
    assert await house.states() == ["active", "active", "retired", "retired"]


async def test_never_by_itself() -> None:
    house = House(rotate_days=0)
    await house.directory.put_domain(DomainRow(name="x.test", created=0.0))
    await house.turn()
    house.clock.time += 4000 * DAY
    assert await house.turn() == ""


async def test_private_keys_are_not_printed(house: House) -> None:
    assert "PRIVATE" not in repr(await house.rotation.begin("x.test"))
