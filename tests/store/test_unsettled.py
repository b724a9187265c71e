"""Deliveries are not synced one by one, and the queue answers for them until they are."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from store_house import STRICT, damage

from postroom.store.api import DeliveredAlready, Entry, NotFound, QueueFilter, RecipientState
from postroom.store.embedded import EmbeddedStore
from postroom.store.embedded.account import EmbeddedAccount
from postroom.store.embedded.database import OpenOptions
from postroom.testing.crashdisk import CrashDisk
from postroom.testing.store_contract import message, received
from postroom.testing.store_contract.build import named, uids

KEY = ("q1", "a@b.test")


class SlowDisk(CrashDisk):
    """Counts what is synced; can refuse."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.syncs: list[str] = []
        self.refusing = False

    def synced(self, path: str) -> None:
        self.syncs.append(path)
        super().synced(path)

    def sync_path(self, path: str) -> None:
        if self.refusing:
            raise OSError(errno.EIO, "no")
        self.syncs.append(path)
        super().sync_path(path)

    def of_accounts(self) -> list[str]:
        return [path for path in self.syncs if "/accounts/" in path]


def opened(data: Path, disk: SlowDisk, *, slot: int = 0, boot: str = "this") -> EmbeddedStore:
    options = replace(STRICT, database=OpenOptions(vfs=disk.vfs), boot=boot)
    return EmbeddedStore(data, slot, options=options, disk=disk)


async def inbox_of(store: EmbeddedStore) -> tuple[EmbeddedAccount, int]:
    """The account and its INBOX, made when they are first asked for."""
    try:
        account = await store.account("acc1")
    except NotFound:
        await store.create_account("acc1", [("INBOX", "")])
        account = await store.account("acc1")
    return account, (await named(account, "INBOX")).id


async def deliver(store: EmbeddedStore, number: str) -> Entry:
    """From the queue into INBOX, and back what came of it."""
    entry = await store.queue.accept(received(number, octets=number.encode()))
    account, inbox = await inbox_of(store)
    await account.append(inbox, [message(entry.content)], delivery=(number, "a@b.test"))
    done = [structs.replace(item, state=RecipientState.DELIVERED) for item in entry.recipients]
    store.queue.finish(number, done)
    return entry


async def waiting(store: EmbeddedStore) -> set[str]:
    return {entry.id for entry in await store.queue.entries(QueueFilter())}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in ("queue/bodies", "queue/tmp", "accounts", "run"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    return tmp_path / "data"


async def test_many_deliveries_cost_one_sync(data: Path) -> None:
    disk = SlowDisk(data)
    store = opened(data, disk)
    await deliver(store, "first")  # its commit says that what follows may be lost, and is synced
    disk.syncs.clear()
    for number in range(20):
        await deliver(store, f"q{number}")
    assert disk.of_accounts() == []
    await store.queue.flush()
    assert len(disk.of_accounts()) == 1
    await store.close()
    disk.end()


async def test_without_a_name_for_the_run_each_delivery_is_synced(data: Path) -> None:
    disk = SlowDisk(data)
    store = opened(data, disk, boot="")
    await deliver(store, "first")
    disk.syncs.clear()
    await deliver(store, "second")
    assert len(disk.of_accounts()) == 1
    await store.close()
    disk.end()


async def test_what_the_disk_does_not_take_stays_in_the_queue(data: Path) -> None:
    disk = SlowDisk(data)
    store = opened(data, disk)
    await deliver(store, "first")
    await deliver(store, "second")
    disk.refusing = True
    await store.queue.flush()
    assert await store.queue.due(9999.0) == []  # not to be tried again by us
    await store.close()
    disk.refusing = False
    store = opened(data, disk)
    assert await waiting(store) == {"first", "second"}
    account, inbox = await inbox_of(store)
    with pytest.raises(DeliveredAlready):
        await account.append(inbox, [message()], delivery=("second", "a@b.test"))
    await store.close()
    disk.end()


async def test_results_are_written_by_themselves(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.store.embedded.queue._TOGETHER", 0.0)
    disk = SlowDisk(data)
    store = opened(data, disk)
    await deliver(store, "first")
    while await waiting(EmbeddedStore(data, None, options=STRICT)):  # noqa: ASYNC110 - as a command sees it
        await asyncio.sleep(0)
    await store.close()
    disk.end()


async def test_so_many_results_do_not_wait(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.store.embedded.queue._TOGETHER", 3600.0)
    monkeypatch.setattr("postroom.store.embedded.queue._MOST_RESULTS", 3)
    disk = SlowDisk(data)
    store = opened(data, disk)
    for number in range(4):
        await deliver(store, f"q{number}")
    while len(await waiting(EmbeddedStore(data, None, options=STRICT))) > 1:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await store.close()
    disk.end()


async def test_a_removed_account_holds_nothing_up(data: Path) -> None:
    disk = SlowDisk(data)
    store = opened(data, disk)
    await deliver(store, "first")
    await deliver(store, "second")
    await store.remove_account("acc1")
    await store.queue.flush()
    await store.close()
    looking = opened(data, disk)
    assert await waiting(looking) == set()
    await looking.close()
    disk.end()


async def test_a_delivery_of_a_process_that_died_is_synced_before_it_counts(data: Path, tmp_path: Path) -> None:
    """Its mark is there, but perhaps only in memory of the machine."""
    disk = SlowDisk(data)
    died, store = opened(data, disk), opened(data, disk, slot=1)
    await deliver(died, "first")
    entry = await died.queue.accept(received("q1"))
    account, inbox = await inbox_of(died)
    await account.append(inbox, [message(b"unsynced")], delivery=KEY)
    account, inbox = await inbox_of(store)
    with pytest.raises(DeliveredAlready):
        await account.append(inbox, [message(entry.content)], delivery=KEY)
    await store._settle()
    disk.after_power_loss(tmp_path / "after")
    after = EmbeddedStore(tmp_path / "after", options=replace(STRICT, boot="the next"))
    account, inbox = await inbox_of(after)
    with pytest.raises(DeliveredAlready):
        await account.append(inbox, [message()], delivery=KEY)
    for each in (after, store, died):
        await each.close()
    disk.end()


async def test_after_power_loss_numbers_go_on_elsewhere(data: Path, tmp_path: Path) -> None:
    disk = SlowDisk(data)
    store = opened(data, disk)
    await deliver(store, "first")
    await deliver(store, "lost")
    account, inbox = await inbox_of(store)
    seen = await account.snapshot(inbox)
    assert uids(seen) == [1, 2]
    disk.after_power_loss(tmp_path / "after")
    await store.close()
    disk.end()

    after = EmbeddedStore(tmp_path / "after", options=replace(STRICT, boot="the next"))
    account, inbox = await inbox_of(after)
    now = await account.snapshot(inbox)
    assert uids(now) == [1]
    assert now.uidnext > seen.uidnext
    assert now.modseq > seen.modseq
    assert await account.vanished(inbox, seen.modseq) is None  # a client that asks is told to compare
    assert await waiting(after) == {"first", "lost"}
    again = await account.append(inbox, [message(b"lost")], delivery=("lost", "a@b.test"))
    assert again.uids[0] >= now.uidnext
    assert await damage(after) == []
    await after.close()

    same = EmbeddedStore(tmp_path / "after", options=replace(STRICT, boot="the next"))
    account, inbox = await inbox_of(same)
    assert (await account.snapshot(inbox)).uidnext == again.uids[0] + 1  # once is enough
    await same.close()
