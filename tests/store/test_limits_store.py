"""Counting in policy.db: several processes, power loss, and what a look costs nobody."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from store_house import STRICT

from postroom.store.api import Ban, Freeze, Lift, StoreUnavailable, Taken
from postroom.store.embedded import EmbeddedStore
from postroom.store.embedded.database import OpenOptions
from postroom.testing.crashdisk import CrashDisk
from postroom.testing.store_contract import SettableClock
from postroom.testing.store_contract.limits import DAY, HOUR, NOW, day_of_new, demand, hourly

STEP = 0.3  # seconds between two messages


async def count_until_power_fails(data: Path, clock: SettableClock, at: int) -> tuple[CrashDisk, list[float]]:
    """Messages one after the other on a disk that fails at a step; the times of those that were counted."""
    disk = CrashDisk(data)
    options = replace(STRICT, database=OpenOptions(vfs=disk.vfs, busy_ms=100))
    store = EmbeddedStore(data, clock=clock, options=options, disk=disk)
    disk.crash_at = disk.steps + at
    counted: list[float] = []
    with suppress(StoreUnavailable):
        for number in range(12):
            clock.time += STEP
            await store.limits.take(demand(hourly(0), day_of_new(0), to=(f"r{number}@y.test",)), clock.time)
            counted.append(clock.time)
    await store.close()
    return disk, counted


async def test_power_loss_takes_back_a_second_at_most(tmp_path: Path) -> None:
    base = EmbeddedStore(tmp_path / "base", options=STRICT)
    await base.close()
    number, lost = 0, 0
    while True:
        number += 1
        work, target, clock = tmp_path / "work", tmp_path / "after", SettableClock(NOW)
        shutil.copytree(tmp_path / "base", work)
        disk, counted = await count_until_power_fails(work, clock, number)
        for seed in (None, number):
            disk.after_power_loss(target, seed)
            store = EmbeddedStore(target, clock=clock, options=STRICT)
            kept = store.limits.used(hourly(0), clock.time).used
            certain = [moment for moment in counted if moment < counted[-1] - 1.0]
            assert len(certain) <= kept <= len(counted) + 1
            known = store.limits.fresh("a1", [f"r{each}@y.test" for each in range(12)])
            assert 12 - len(known) == kept  # counts and recipients stay together
            lost = max(lost, len(counted) - kept)
            await store.close()
            shutil.rmtree(target)
        disk.end()
        shutil.rmtree(work)
        if not disk.crashed:
            break
    assert number > 20
    assert lost  # without the second's grace every message would wait for the disk


@pytest.fixture
async def pair(tmp_path: Path) -> list[EmbeddedStore]:
    """The stores of two workers."""
    return [EmbeddedStore(tmp_path / "data", slot, clock=SettableClock(NOW), options=STRICT) for slot in range(2)]


async def test_two_workers_count_as_one(pair: list[EmbeddedStore]) -> None:
    answers = await asyncio.gather(
        *(
            store.limits.take(demand(hourly(25), to=(f"r{number}@y.test",)), NOW)
            for number in range(20)
            for store in pair
        )
    )
    assert sum(isinstance(answer, Taken) for answer in answers) == 25
    assert [store.limits.used(hourly(25), NOW).used for store in pair] == [25, 25]
    fresh = [answer.fresh for answer in answers if isinstance(answer, Taken)]
    named = [each for recipients in fresh for each in recipients]
    assert len(named) == len(set(named))  # nobody is new twice
    for store in pair:
        await store.close()


async def test_what_one_worker_decides_the_other_knows_at_once(pair: list[EmbeddedStore]) -> None:
    one, two = (store.limits for store in pair)
    seen = [limits.generation() for limits in (one, two)]
    assert seen[0] == seen[1]
    ban = await one.ban(Ban(network="192.0.2.1", since=NOW, until=NOW + 600, reason="x"), DAY, DAY)
    assert two.generation() != seen[1]
    assert two.bans() == [ban]
    await two.freeze(Freeze(account="a1", since=NOW, score=100, reasons=("x",)))
    await two.lift(Lift(name="x.test", since=NOW, until=NOW + HOUR, by="admin"))
    assert list(one.rules().frozen) == ["a1"]
    assert list(one.rules().lifts) == ["x.test"]
    for store in pair:
        await store.close()


async def test_bans_freezes_and_recipients_outlive_the_server(tmp_path: Path) -> None:
    clock = SettableClock(NOW)
    store = EmbeddedStore(tmp_path, clock=clock, options=STRICT)
    ban = await store.limits.ban(Ban(network="192.0.2.1", since=NOW, until=NOW + 600, reason="x"), DAY, DAY)
    await store.limits.freeze(Freeze(account="a1", since=NOW, score=100, reasons=("x",)))
    await store.limits.take(demand(hourly(0)), NOW)
    await store.close()
    store = EmbeddedStore(tmp_path, clock=clock, options=STRICT)
    assert store.limits.bans() == [ban]
    assert list(store.limits.rules().frozen) == ["a1"]
    assert store.limits.fresh("a1", ("bob@y.test",)) == ()
    assert store.limits.used(hourly(0), NOW).used == 1
    await store.close()
