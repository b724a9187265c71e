"""A mailbox as it was at a time, compared with a plain record of what happened; on both stores."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postroom.mailbox.errors import NoSuchMailbox
from postroom.mailbox.past import as_it_was, mailbox_at, mailboxes_at, snapshot_at, sources
from postroom.store.api import AccountStore, Store
from postroom.store.embedded import EmbeddedStore, working
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock, message
from postroom.testing.store_contract.build import named, open_account, uids
from postroom.values.flags import DELETED


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock) -> AsyncIterator[Store]:
    made: Store = MemoryStore(clock=clock) if request.param == "memory" else EmbeddedStore(tmp_path / "d", clock=clock)
    yield made
    await made.close()


async def texts(account: AccountStore, name: str, time: float) -> list[bytes]:
    past = await snapshot_at(account, await mailbox_at(account, name, time), time)
    return [(await account.content(one)).read() for page in past.snapshot.pages for one in page.messages]


async def test_what_came_and_what_left(store: Store, clock: SettableClock) -> None:
    account, inbox = await open_account(store)
    begin = clock.time
    await account.append(inbox.id, [message(b"1"), message(b"2"), message(b"3", keywords=("Blue",))])
    clock.time += 100
    await account.expunge(inbox.id, [1], only_deleted=False)
    clock.time += 100
    await account.move(inbox.id, [3], (await named(account, "Trash")).id)
    clock.time += 100
    await account.append(inbox.id, [message(b"4")])
    for after, expected in ((0, [b"1", b"2", b"3"]), (100, [b"2", b"3"]), (199, [b"2", b"3"]), (200, [b"2"])):
        assert await texts(account, "inbox", begin + after) == expected
    assert await texts(account, "INBOX", begin + 300) == [b"2", b"4"]
    assert await texts(account, "Trash", begin + 199) == []
    assert await texts(account, "Trash", begin + 200) == [b"3"]
    past = await snapshot_at(account, await mailbox_at(account, "INBOX", begin), begin)
    assert (uids(past.snapshot), past.gone, past.size, past.unseen) == ([1, 2, 3], 2, 3, 3)
    page, place = past.snapshot.locate(3)
    assert past.snapshot.keyword_names(page.keywords[place]) == ["Blue"]
    assert past.snapshot.uidvalidity == inbox.uidvalidity


async def test_mailboxes_that_were(store: Store, clock: SettableClock) -> None:
    account, _ = await open_account(store)
    begin = clock.time
    clock.time += 10
    made = await account.create("Work/Old")
    await account.append(made.id, [message(b"x")])
    clock.time += 10
    await account.rename((await named(account, "Work")).id, "Job")
    clock.time += 10
    await account.delete(made.id)

    async def then(after: float) -> list[str]:
        return [box.name for box in await mailboxes_at(account, begin + after)]

    assert await then(-1) == []
    assert await then(0) == ["INBOX", "Trash"]
    assert await then(10) == ["INBOX", "Trash", "Work", "Work/Old"]
    assert await then(25) == ["INBOX", "Job", "Job/Old", "Trash"]
    assert await then(30) == ["INBOX", "Job", "Trash"]
    assert await texts(account, "Work/Old", begin + 15) == [b"x"]
    with pytest.raises(NoSuchMailbox):
        await mailbox_at(account, "Work/Old", begin + 20)


async def test_bringing_it_back(store: Store, clock: SettableClock) -> None:
    account, inbox = await open_account(store)
    await account.append(inbox.id, [message(b"%d" % number, flags=DELETED) for number in range(1, 7)])
    trash = await named(account, "Trash")
    begin = clock.time
    clock.time += 10
    await account.expunge(inbox.id, [2, 5], only_deleted=False)
    await account.move(inbox.id, [3], trash.id)
    await account.expunge(trash.id, [1], only_deleted=False)
    clock.time += 10
    pasts = [await snapshot_at(account, box, begin) for box in await mailboxes_at(account, begin)]
    done = await account.restore(as_it_was(pasts, "Restored"))
    assert [placed.name for placed in done.placed] == ["Restored/INBOX", "Restored/Trash"]
    assert await texts(account, "Restored/INBOX", clock.time) == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert await texts(account, "Restored/Trash", clock.time) == []
    assert uids(await account.snapshot(inbox.id)) == [1, 4, 6]
    some = sources(pasts[0], [3, 4, 99])
    assert [(list(one.uids), bool(one.departure)) for one in some] == [([3], True), ([4], False)]
    undone = await account.undo_restore(done.id)
    assert undone.mailboxes == ("Restored/Trash", "Restored/INBOX", "Restored")


@pytest.mark.parametrize("seed", range(12))
def test_every_moment_of_a_random_past_is_right(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in each mailbox after each step is what the store tells of that moment afterwards."""
    for name, value in (("FULL", 8), ("TAIL", 3), ("_MERGE_BELOW", 2)):  # a few messages make many pages
        monkeypatch.setattr(working, name, value)

    async def play() -> None:
        chance = random.Random(seed)
        clock = SettableClock()
        with tempfile.TemporaryDirectory() as folder:
            store: Store = EmbeddedStore(Path(folder) / "d", clock=clock) if seed % 2 else MemoryStore(clock=clock)
            account, _ = await open_account(store)
            await account.create("a")
            seen: list[tuple[float, dict[str, list[int]]]] = []
            for _ in range(60):
                clock.time += 1
                await _step(account, chance)
                seen.append((clock.time, await _state(account)))
            for time, expected in seen:
                for moment in (time, time + 0.5):
                    told = {}
                    for box in await mailboxes_at(account, moment):
                        snapshot = (await snapshot_at(account, box, moment)).snapshot
                        told[box.name] = [number for page in snapshot.pages for number in page.messages]
                    assert told == expected, (seed, time)
            await store.close()

    asyncio.run(play())


async def _state(account: AccountStore) -> dict[str, list[int]]:
    found = {}
    for info in await account.mailboxes():
        snapshot = await account.snapshot(info.id)
        found[info.name] = [number for page in snapshot.pages for number in page.messages]
    return found


async def _step(account: AccountStore, chance: random.Random) -> None:
    boxes = await account.mailboxes()
    box, other = chance.choice(boxes), chance.choice(boxes)
    present = uids(await account.snapshot(box.id))
    some = sorted(chance.sample(present, chance.randint(0, len(present))))
    kind = chance.choice(["append", "append", "append", "expunge", "move", "copy", "rename", "delete", "create"])
    if kind == "append":
        await account.append(box.id, [message() for _ in range(chance.randint(1, 4))])
    elif kind == "expunge":
        await account.expunge(box.id, some, only_deleted=False)
    elif kind == "move":
        await account.move(box.id, some, other.id)
    elif kind == "copy":
        await account.copy(box.id, some, other.id)
    elif kind == "create":
        await account.create(f"made {chance.random()}")
    elif box.name not in ("INBOX", "Trash"):
        if kind == "rename":
            await account.rename(box.id, f"named {chance.random()}")
        else:
            await account.delete(box.id)
