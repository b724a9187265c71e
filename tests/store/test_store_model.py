"""Random operations on the embedded store and on the plain one: after every step both say the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_house import STRICT, must_be_sound

from postroom.store.api import (
    EVERY_FLAG,
    AccountStore,
    Departure,
    FlagChange,
    FlagOp,
    Placing,
    Restored,
    RightsChange,
    Settable,
    Source,
    StoreError,
)
from postroom.store.embedded import EmbeddedStore, working
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock, message
from postroom.testing.store_contract.build import rows

BOXES = ("INBOX", "Trash", "a", "a/b")
KEYWORDS = ("one", "Two", "three")
DAY = 86_400.0


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A few messages make many pages."""
    monkeypatch.setattr(working, "FULL", 8)
    monkeypatch.setattr(working, "TAIL", 3)
    monkeypatch.setattr(working, "_MERGE_BELOW", 2)
    yield


box = st.sampled_from(BOXES)
some_uids = st.lists(st.integers(1, 40), max_size=40, unique=True).map(sorted)
keywords = st.lists(st.sampled_from(KEYWORDS), max_size=2, unique=True).map(tuple)
settable = st.just(EVERY_FLAG) | st.builds(Settable, st.integers(0, 31), st.booleans())
change = st.builds(
    FlagChange,
    op=st.sampled_from(FlagOp),
    bits=st.integers(0, 31),
    keywords=keywords,
    unchanged_since=st.none() | st.integers(0, 60),
    may=settable,
)
operation = st.one_of(
    st.tuples(st.just("append"), box, st.lists(st.tuples(st.integers(0, 31), keywords), min_size=1, max_size=12)),
    st.tuples(st.just("append"), st.just("INBOX"), st.lists(st.tuples(st.integers(0, 31), keywords), min_size=1)),
    st.tuples(st.just("store"), box, some_uids, change),
    st.tuples(st.just("store"), st.just("INBOX"), st.just(list(range(1, 41))), change),
    st.tuples(st.just("append"), box, st.just([(1, ())]), st.integers(1, 40), box),
    st.tuples(st.just("copy"), box, some_uids, box, settable),
    st.tuples(st.just("move"), box, some_uids, box, settable),
    st.tuples(st.just("expunge"), box, st.none() | some_uids),
    st.tuples(st.just("remove"), box, some_uids),
    st.tuples(st.just("create"), box),
    st.tuples(st.just("delete"), st.sampled_from(BOXES[1:])),
    st.tuples(st.just("rename"), st.sampled_from(BOXES[1:]), st.sampled_from(("x", "a/c", "Trash"))),
    st.tuples(st.just("subscribe"), box, st.booleans()),
    st.tuples(st.just("restore"), st.sampled_from((*BOXES, "back/again")), st.integers(0, 5), st.integers(0, 2**12)),
    st.tuples(st.just("undo"), st.integers(0, 3)),
    st.tuples(st.just("grant"), box, st.sampled_from(("ben", "-ben")), st.sampled_from(FlagOp), st.integers(0, 2047)),
    st.tuples(st.just("sweep"), st.integers(0, 2)),
    st.tuples(st.just("reopen")),
)


class Pair:
    """The two stores."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.clock = SettableClock()
        self.plain = MemoryStore(clock=self.clock)
        self.embedded = EmbeddedStore(data, clock=self.clock, options=STRICT)
        self.modseqs = {0}

    async def start(self) -> None:
        for store in (self.plain, self.embedded):
            await store.create_account("acc", [("INBOX", ""), ("Trash", "\\Trash")])

    async def reopen(self) -> None:
        await self.embedded.close()
        self.embedded = EmbeddedStore(self.data, clock=self.clock, options=STRICT)

    async def both(self, step: tuple) -> None:
        """Do one step on both; the same result or the same refusal."""
        if step[0] == "reopen":
            await self.reopen()
            return
        if step[0] == "sweep":
            self.clock.time += DAY
            assert await self.plain.sweep(self.clock.time, step[1] * DAY) == await self.embedded.sweep(
                self.clock.time, step[1] * DAY
            )
            return
        new = (
            [message(b"x" * len(step[2]), flags=flags, keywords=names) for flags, names in step[2]]
            if (step[0] == "append")
            else []
        )
        outcomes = []
        for store in (self.plain, self.embedded):
            account = await store.account("acc")
            try:
                outcomes.append(await act(account, step, new))
            except StoreError as no:
                outcomes.append(type(no))
        assert outcomes[0] == outcomes[1], step

    async def compare(self) -> None:
        plain, embedded = await self.plain.account("acc"), await self.embedded.account("acc")
        infos = await plain.mailboxes()
        assert await embedded.mailboxes() == infos
        assert await plain.usage() == await embedded.usage()
        assert await past(plain) == await past(embedded)
        assert await plain.modseq() == await embedded.modseq()
        assert await plain.next_number() == await embedded.next_number()
        assert await plain.restores() == await embedded.restores()
        assert await plain.acls() == await embedded.acls()
        assert await plain.subscriptions() == await embedded.subscriptions()
        for info in infos:
            one, two = await plain.snapshot(info.id), await embedded.snapshot(info.id)
            assert (two.modseq, two.uidnext, two.uidvalidity) == (one.modseq, one.uidnext, one.uidvalidity)
            assert rows(two) == rows(one)
            self.modseqs.add(one.modseq)
            for since in self.modseqs:
                assert list(await embedded.vanished(info.id, since) or ()) == list(
                    await plain.vanished(info.id, since) or ()
                )


async def past(account: AccountStore) -> tuple:
    """Lives and departures; keywords as names: each store may learn those of one change in an order of its own."""
    lives = {life.id: life for life in await account.lives()}
    return (
        [replace(life, keywords=tuple(sorted(life.keywords))) for life in lives.values()],
        [told(one, lives[one.mailbox].keywords) for one in await account.departures()],
    )


def told(one: Departure, names: tuple[str, ...]) -> tuple:
    page = one.page
    keywords = [{name for place, name in enumerate(names) if bits >> place & 1} for bits in page.keywords]
    columns = (page.uids, page.flags, keywords, page.modseqs, page.messages, page.sizes, page.dates, page.saved)
    return one.modseq, one.mailbox, one.time, one.moved, one.number, one.back, columns


async def restore(account: AccountStore, target: str, which: int, chosen: int) -> Restored:
    """Some of what left at one time, and some of a mailbox."""
    gone = await account.departures()
    sources = []
    if gone:
        one = gone[which % len(gone)]
        sources.append(Source([uid for uid in one.page.uids if chosen >> uid % 12 & 1][::-1], departure=one.modseq))
    boxes = await account.mailboxes()
    box = boxes[which % len(boxes)]
    sources.append(Source([uid for uid in range(1, 41) if chosen >> uid % 12 & 1], mailbox=box.id))
    return await account.restore([Placing(target=target, sources=sources)])


async def act(account: AccountStore, step: tuple, new: list) -> object:
    found = {info.name: info.id for info in await account.mailboxes()}
    kind, name = step[0], step[1]
    number = found.get(name, 999)
    if kind == "append":
        replaces = (found.get(step[4], 999), step[3]) if len(step) > 3 else None
        done = await account.append(number, new, replaces=replaces)
        return done.uids, rows(done.snapshot)
    if kind == "store":
        result = await account.store_flags(number, step[2], step[3])
        return result.changed, result.modified, result.missing, rows(result.snapshot)
    if kind in ("copy", "move"):
        call = account.copy if kind == "copy" else account.move
        moved = await call(number, step[2], found.get(step[3], 999), may=step[4])
        return moved.source, moved.target, rows(moved.source_snapshot), rows(moved.target_snapshot)
    if kind in ("expunge", "remove"):
        gone = await account.expunge(number, step[2], only_deleted=kind == "expunge")
        return gone.uids, rows(gone.snapshot)
    if kind == "restore":
        return await restore(account, name, step[2], step[3])
    if kind == "undo":
        return await account.undo_restore(name)
    return await act_on_list(account, step, number)


async def act_on_list(account: AccountStore, step: tuple, number: int) -> object:
    kind, name = step[0], step[1]
    if kind == "create":
        return await account.create(name)
    if kind == "subscribe":
        return await account.subscribe(name, step[2])
    if kind == "grant":
        return await account.grant([number, 0], step[2], RightsChange(step[3], step[4]))
    if kind == "delete":
        return await account.delete(number)
    return await account.rename(number, step[2])


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(operation, min_size=3, max_size=30))
def test_both_stores_say_the_same(steps: list[tuple]) -> None:
    async def play() -> None:
        with tempfile.TemporaryDirectory() as folder:
            pair = Pair(Path(folder) / "data")
            try:
                await pair.start()
                for step in steps:
                    await pair.both(step)
                    await pair.compare()
                await pair.reopen()
                await pair.compare()
            finally:
                await pair.embedded.close()
            await must_be_sound(pair.data)

    asyncio.run(play())
