"""Every promise survives a disk that fails, or loses power, at the n-th step, for every n.

What is allowed to be on disk at any moment is the table in docs/store.md. Each scenario acts on a store, notes a
promise only after the call returned, and then the promises are kept by the store that starts from what the disk holds.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from msgspec import structs
from store_house import STRICT, damage

from postroom.store.api import (
    DeliveredAlready,
    FlagChange,
    FlagOp,
    NotFound,
    Placing,
    QueueFilter,
    RecipientState,
    Source,
    StoreError,
    StoreUnavailable,
)
from postroom.store.embedded import EmbeddedStore
from postroom.store.embedded.database import OpenOptions
from postroom.testing.crashdisk import CrashDisk
from postroom.testing.store_contract import SettableClock, message, received
from postroom.testing.store_contract.build import named, open_account, rows, uids
from postroom.values.content import Content
from postroom.values.flags import SEEN

LARGE = b"0123456789abcdef" * 5000
KEEP = 1000.0


@dataclass
class Promises:
    """What calls that returned promised."""

    queued: dict[str, bytes] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    messages: dict[str, list[bytes]] = field(default_factory=dict)  # mailbox -> octets in UID order, at least these
    exact: dict[str, list[int]] = field(default_factory=dict)  # mailbox -> exactly these UIDs
    seen: set[int] = field(default_factory=set)
    handed: set[str] = field(default_factory=set)  # entries whose results were handed in: they may be gone
    delivered: list[tuple[str, str]] = field(default_factory=list)  # in the account, or still in the queue
    shown: dict[int, bytes] = field(default_factory=dict)  # UIDs clients may have seen, and what they saw


async def content_of(store: EmbeddedStore, octets: bytes) -> Content:
    spool = store.spool()
    spool.write(octets)
    return await spool.seal()


async def accept(store: EmbeddedStore, promises: Promises) -> None:
    for number, octets in (("n1", b"small"), ("n2", LARGE), ("n3", b"after")):
        content = await content_of(store, octets)
        await store.queue.accept(received(number, octets=content))
        promises.queued[number] = b"Received: by test\r\n" + octets


async def finish(store: EmbeddedStore, promises: Promises) -> None:
    for entry in await store.queue.due(9999.0):
        done = [structs.replace(item, state=RecipientState.DELIVERED) for item in entry.recipients]
        promises.handed.add(entry.id)
        if entry.id == "old2":
            await store.queue.update(entry.id, done)
            promises.finished.add(entry.id)
        else:
            store.queue.finish(entry.id, done)
    await store.queue.flush()
    await store.queue.accept(received("n1", octets=b"carries what waited"))
    promises.finished.update(("old1", "old2", "old3"))


async def append(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    inbox = await named(account, "INBOX")
    kept = promises.messages.setdefault("INBOX", [b"one", LARGE, b"three", b"four"])
    for octets in (b"small", LARGE + b"!", b"last"):
        await account.append(inbox.id, [message(await content_of(store, octets))])
        kept.append(octets)


async def deliver(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    inbox = await named(account, "INBOX")
    for entry in await store.queue.due(9999.0):
        key = (entry.id, "a@b.test")
        with suppress(DeliveredAlready):
            done = await account.append(inbox.id, [message(entry.content)], delivery=key)
            promises.shown[done.uids[0]] = entry.content.read()
        promises.delivered.append(key)
        results = [structs.replace(item, state=RecipientState.DELIVERED) for item in entry.recipients]
        promises.handed.add(entry.id)
        store.queue.finish(entry.id, results)
        if entry.id == "old2":
            await store.queue.flush()
            await store.queue.accept(received("n1", octets=b"carries what waited"))
            promises.finished.update(promises.handed)


async def deliver_and_read(store: EmbeddedStore, promises: Promises) -> None:
    """What is promised of a mailbox covers the deliveries before it."""
    await deliver(store, promises)
    account = await store.account("acc1")
    inbox = await named(account, "INBOX")
    change = FlagChange(op=FlagOp.ADD, bits=SEEN, keywords=("k5",))
    await account.store_flags(inbox.id, [5], change)
    promises.seen.add(5)
    promises.exact["INBOX"] = [1, 2, 3, 4, *promises.shown]


async def move(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    inbox, trash = await named(account, "INBOX"), await named(account, "Trash")
    await account.copy(inbox.id, [1], trash.id)
    promises.exact["Trash"] = [1]
    await account.move(inbox.id, [1, 2], trash.id)
    promises.exact |= {"INBOX": [3, 4], "Trash": [1, 2, 3]}


async def replace_message(store: EmbeddedStore, promises: Promises) -> None:
    """Both or neither (RFC 8508)."""
    account = await store.account("acc1")
    inbox, trash = await named(account, "INBOX"), await named(account, "Trash")
    await account.append(inbox.id, [message(await content_of(store, b"another"))], replaces=(inbox.id, 2))
    promises.exact["INBOX"] = [1, 3, 4, 5]
    await account.append(trash.id, [message(await content_of(store, LARGE))], replaces=(inbox.id, 1))
    promises.exact |= {"INBOX": [3, 4, 5], "Trash": [1]}


async def flags(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    inbox = await named(account, "INBOX")
    for uid in (2, 4):
        change = FlagChange(op=FlagOp.ADD, bits=SEEN, keywords=(f"k{uid}",))
        await account.store_flags(inbox.id, [uid], change)
        promises.seen.add(uid)


async def expunge(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    inbox = await named(account, "INBOX")
    await account.expunge(inbox.id, [2], only_deleted=False)
    promises.exact["INBOX"] = [1, 3, 4]
    await account.expunge(inbox.id, [1, 4], only_deleted=False)
    promises.exact["INBOX"] = [3]


async def sweep(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    inbox = await named(account, "INBOX")
    await account.expunge(inbox.id, [1, 2], only_deleted=False)
    promises.exact["INBOX"] = [3, 4]
    await store.sweep(1_700_000_000.0 + 10 * KEEP, KEEP)


async def folders(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    await account.create("a/b")
    trash = await named(account, "Trash")
    await account.rename(trash.id, "Bin")
    promises.exact["Bin"] = []
    inbox = await named(account, "INBOX")
    await account.copy(inbox.id, [1, 2], trash.id)
    promises.exact["Bin"] = [1, 2]
    await store.create_account("acc2", [("INBOX", ""), ("Sent", "\\Sent")])
    assert await (await store.account("acc2")).mailbox("Sent") is not None


async def restore(store: EmbeddedStore, promises: Promises) -> None:
    account = await store.account("acc1")
    made = await account.create("gone")
    await account.move((await named(account, "INBOX")).id, [1, 2], made.id)
    await account.delete(made.id)
    promises.exact["INBOX"] = [3, 4]
    [*_, one] = await account.departures()
    done = await account.restore([Placing(target="back/again", sources=[Source([1, 2], departure=one.modseq)])])
    await account.undo_restore(done.id)
    [*_, one] = await account.departures()
    await account.restore([Placing(target="last", sources=[Source([1, 2], departure=one.modseq)])])
    promises.messages["last"] = [b"one", LARGE]


SCENARIOS = [
    accept,
    finish,
    append,
    deliver,
    deliver_and_read,
    move,
    replace_message,
    flags,
    expunge,
    sweep,
    folders,
    restore,
]
Scenario = Callable[[EmbeddedStore, Promises], Awaitable[None]]


async def prepare(data: Path, clock: SettableClock) -> None:
    """A store with four messages in INBOX, of which one is large, and three queue entries."""
    store = EmbeddedStore(data, clock=clock, options=STRICT)
    account, inbox = await open_account(store)
    for octets in (b"one", LARGE, b"three", b"four"):
        await account.append(inbox.id, [message(octets)])
    for number, octets in (("old1", b"small"), ("old2", LARGE), ("old3", LARGE)):
        await store.queue.accept(received(number, octets=octets))
    await store.close()


async def keeps(data: Path, clock: SettableClock, promises: Promises) -> None:
    """A store started on `data`, in another run of the machine, is sound and keeps the promises."""
    store = EmbeddedStore(data, clock=clock, options=replace(STRICT, boot="the next"))
    try:
        found = [finding async for finding in store.check() if "belongs to no" not in finding.what]
        assert found == []  # before any cleaning up: nothing half, only octets that nobody was told about
        await store.sweep(clock.now(), KEEP)
        assert await damage(store) == []
        await keeps_queue(store, promises)
        account = await store.account("acc1")
        for name, octets in promises.messages.items():
            snapshot = await account.snapshot((await named(account, name)).id)
            held = [(await account.content(row.message)).read() for row in rows(snapshot)]
            assert held[: len(octets)] == octets
        for name, expected in promises.exact.items():
            assert_at_least(uids(await account.snapshot((await named(account, name)).id)), expected, name)
        inbox = await named(account, "INBOX")
        for row in rows(await account.snapshot(inbox.id)):
            if row.uid in promises.seen:
                assert row.flags & SEEN
                assert f"k{row.uid}" in row.keywords
        waiting = {entry.id for entry in await store.queue.entries(QueueFilter())}
        for key in promises.delivered:
            if key[0] not in waiting:
                with pytest.raises(DeliveredAlready):
                    await account.append(inbox.id, [message()], delivery=key)
        new = (await account.append(inbox.id, [message(b"new")])).uids[0]
        assert new not in promises.shown
        for row in rows(await account.snapshot(inbox.id)):
            if row.uid in promises.shown:
                assert (await account.content(row.message)).read() == promises.shown[row.uid]
    finally:
        await store.close()


def assert_at_least(found: list[int], promised: list[int], name: str) -> None:
    """What was promised holds; the call after it may or may not have been done."""
    later = {"INBOX": ([1, 3, 4], [3]), "Trash": ([1], [1, 2, 3]), "Bin": ([], [1, 2])}
    assert found == promised or found in later.get(name, ()), name


async def keeps_queue(store: EmbeddedStore, promises: Promises) -> None:
    there = {entry.id: entry.content.read() for entry in await store.queue.entries(QueueFilter())}
    for number, octets in promises.queued.items():
        assert there[number] == octets
    assert not promises.finished & there.keys()
    assert {"old1", "old2", "old3"} - promises.handed <= there.keys()


@dataclass
class Run:
    """One scenario on a copy of the prepared store, with a disk that fails at one step."""

    base: Path
    work: Path
    clock: SettableClock

    async def once(self, scenario: Scenario, number: int, *, lasting: bool) -> tuple[CrashDisk, Promises]:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.base, self.work)
        disk = CrashDisk(self.work, lasting=lasting)
        options = replace(STRICT, database=OpenOptions(vfs=disk.vfs, busy_ms=100), boot="this")
        promises = Promises()
        store = EmbeddedStore(self.work, clock=self.clock, options=options, disk=disk)
        disk.crash_at = disk.steps + number
        with suppress(StoreUnavailable):
            await scenario(store, promises)
        if not lasting:
            disk.crash_at = 0
            await goes_on(store, promises)
        await store.close()
        return disk, promises


async def goes_on(store: EmbeddedStore, promises: Promises) -> None:
    """After one failure the same store works again."""
    await store.queue.accept(received("later", octets=b"x"))
    promises.queued["later"] = b"Received: by test\r\nx"
    account = await store.account("acc1")
    inbox = await named(account, "INBOX")
    before = uids(await account.snapshot(inbox.id))
    done = await account.append(inbox.id, [message(b"later")])
    assert uids(done.snapshot) == [*before, *done.uids]
    if "INBOX" in promises.exact:
        promises.exact["INBOX"] = [*before, *done.uids]


@pytest.fixture
async def run(tmp_path: Path) -> Run:
    clock = SettableClock()
    await prepare(tmp_path / "base", clock)
    return Run(tmp_path / "base", tmp_path / "work", clock)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_power_loss_at_every_step(run: Run, scenario: Scenario, tmp_path: Path) -> None:
    number = 0
    while True:
        number += 1
        disk, promises = await run.once(scenario, number, lasting=True)
        for seed in (None,) if number % 2 else (None, number):  # without anything unsynced, and with some of it
            target = tmp_path / f"after-{seed}"
            disk.after_power_loss(target, seed)
            await keeps(target, run.clock, promises)
            shutil.rmtree(target)
        disk.end()
        if not disk.crashed:
            assert number > 5
            return


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_one_failure_at_every_step(run: Run, scenario: Scenario) -> None:
    number = 0
    while True:
        number += 1
        disk, promises = await run.once(scenario, number, lasting=False)
        await keeps(run.work, run.clock, promises)
        disk.end()
        if not disk.crashed:
            assert number > 5
            return


async def test_the_crash_disk_would_show_a_missing_sync(run: Run, tmp_path: Path) -> None:
    """The tests above can fail: without syncing the bodies' folder a promised message is lost."""
    shutil.copytree(run.base, run.work)
    disk = CrashDisk(run.work)
    options = replace(STRICT, database=OpenOptions(vfs=disk.vfs))
    disk.sync_folder = lambda _path: None  # type: ignore[method-assign]
    store = EmbeddedStore(run.work, clock=run.clock, options=options, disk=disk)
    await store.queue.accept(received("q", octets=LARGE))
    disk.after_power_loss(tmp_path / "after")
    await store.close()
    disk.end()
    store = EmbeddedStore(tmp_path / "after", clock=run.clock, options=STRICT)
    assert [finding.what for finding in [f async for f in store.check()] if "entry q" in finding.what]
    await store.close()


async def test_opening_a_new_store_may_be_cut_short_anywhere(tmp_path: Path) -> None:
    number = 0
    while True:
        number += 1
        data = tmp_path / f"data{number}"
        data.mkdir()
        for folder in ("queue/bodies", "queue/tmp", "accounts", "run"):
            (data / folder).mkdir(parents=True)
        disk = CrashDisk(data, crash_at=number)
        options = replace(STRICT, database=OpenOptions(vfs=disk.vfs))
        with suppress(StoreError):
            store = EmbeddedStore(data, options=options, disk=disk)
            with suppress(StoreError):
                await store.create_account("acc1", [("INBOX", "")])
            await store.close()
        disk.after_power_loss(tmp_path / "after", number)
        store = EmbeddedStore(tmp_path / "after", options=STRICT)
        with suppress(NotFound):
            await store.account("acc1")
        await store.create_account("acc1", [("INBOX", "")])
        assert await damage(store) == []
        await store.close()
        shutil.rmtree(tmp_path / "after")
        disk.end()
        if not disk.crashed:
            assert number > 20
            return
