"""What only the embedded store's events can get wrong: files, floods, full disks, kills, several writers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.store.api import EventQuery, NewAct
from postroom.store.api.events import keys_of
from postroom.store.embedded import EmbeddedStore, events
from postroom.store.embedded.events_block import MOST_FROM_ONE, Events, among, join, number, pack
from postroom.testing.store_contract import SettableClock

HERE = Path(__file__).parent


def blocks(data: Path) -> list[tuple[int, int]]:
    """(level, events) of every block, file after file."""
    found = []
    for path in sorted(data.glob("events/*.db")):
        connection = apsw.Connection(str(path))
        found += connection.execute("SELECT level, count FROM block ORDER BY id").fetchall()
        connection.close()
    return found


def tell(store: EmbeddedStore, number: int, **fields: object) -> None:
    store.events.add(1000.0 + number, "message.accepted", {"queue_id": f"q{number}", "sender": "s@far.test", **fields})


async def count(store: EmbeddedStore, word: str = "s@far.test") -> int:
    return len(await store.events.find(EventQuery(word=word, limit=100_000)))


async def test_small_blocks_are_joined(embedded: EmbeddedStore, tmp_path: Path) -> None:
    for each in range(600):
        tell(embedded, each)
        await embedded.events.flush()
    assert len(blocks(tmp_path / "data")) < 50
    assert sum(events for _, events in blocks(tmp_path / "data")) == 600
    assert await count(embedded) == 600


async def test_a_busy_second_is_not_joined(embedded: EmbeddedStore, tmp_path: Path) -> None:
    for each in range(20 * events.MOST_WAITING):
        tell(embedded, each)
        if each % events.MOST_WAITING == 0:
            await asyncio.sleep(0)
    await embedded.events.flush()
    assert {level for level, _ in blocks(tmp_path / "data")} <= {0, 2}
    assert await count(embedded) == 20 * events.MOST_WAITING


async def test_a_flood_from_one_address_is_counted_not_kept(embedded: EmbeddedStore) -> None:
    for each in range(200):
        embedded.events.add(1000.0 + each, "mail.refused", {"ip": "192.0.2.1", "code": "550"})
        embedded.events.add(1000.0 + each, "mail.refused", {"ip": "192.0.2.2"}) if each < 3 else None
    tell(embedded, 1)
    await embedded.events.flush()
    assert await count(embedded, "192.0.2.2") == 3
    found = await embedded.events.find(EventQuery(word="192.0.2.1", limit=1000))
    assert len(found) == MOST_FROM_ONE + 1
    [omitted] = [life.events[0].fields for life in found if life.events[0].name == "events.omitted"]
    assert omitted == {"ip": "192.0.2.1", "count": 200 - MOST_FROM_ONE}
    assert await count(embedded) == 1


async def test_a_damaged_file_is_set_aside_and_others_are_read(tmp_path: Path, clock: SettableClock) -> None:
    data = tmp_path / "data"
    for day in range(3):
        clock.time += 86400
        store = EmbeddedStore(data, clock=clock)
        tell(store, day)
        await store.close()
    oldest, middle, newest = sorted(data.glob("events/*.db"))
    middle.write_bytes(b"no database at all" * 1000)
    newest.write_bytes(b"no database at all" * 1000)
    store = EmbeddedStore(data, clock=clock)
    assert await count(store) == 1
    tell(store, 9)
    await store.events.flush()
    assert await count(store) == 2
    await store.close()
    assert newest.with_name(newest.name + ".damaged").exists()
    assert oldest.exists()


async def test_a_damaged_block_hides_only_itself(tmp_path: Path, clock: SettableClock) -> None:
    embedded = EmbeddedStore(tmp_path / "data", clock=clock)
    for each in range(3):
        tell(embedded, each)
        await embedded.events.flush()
    [path] = (tmp_path / "data").glob("events/*.db")
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE block SET data = x'00' WHERE id = 2")
    connection.close()
    assert await count(embedded) == 2
    for each in range(3, 40):
        tell(embedded, each)
        await embedded.events.flush()
    assert await count(embedded) == 39
    await embedded.close()


async def test_check_names_what_is_damaged(tmp_path: Path, clock: SettableClock) -> None:
    data = tmp_path / "data"
    for day in range(3):
        clock.time += 86400
        store = EmbeddedStore(data, clock=clock)
        tell(store, day)
        await store.audit.append(NewAct(time=1.0, who={}, act="x"))
        await store.close()
    first, second, _ = sorted(data.glob("events/*.db"))
    connection = apsw.Connection(str(first))
    connection.execute("UPDATE block SET data = x'00', count = 7")
    connection.close()
    second.write_bytes(b"no database at all" * 1000)
    records = data / "audit" / "records"
    records.write_bytes(records.read_bytes().replace(b'"act":"x"', b'"act":"y"', 1))
    store = EmbeddedStore(data, None, clock=clock)
    found = [(finding.place, finding.what) async for finding in store.check()]
    await store.close()
    assert [place for place, _ in found] == [f"events/{second.name}", f"events/{first.name}", "audit"]
    assert "not a database" in found[0][1]
    assert found[1][1].startswith("block 1: a block of events is damaged")
    assert found[2][1].startswith("record 1: it was changed")


async def test_a_full_disk_loses_events_and_says_so(
    embedded: EmbeddedStore, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, str]] = []
    embedded.events.lost = lambda number, reason: told.append((number, reason))
    monkeypatch.setattr(events, "_free", lambda _folder: 1000)
    for each in range(3):
        tell(embedded, each)
        with pytest.raises(Exception, match="nearly full"):
            await embedded.events.flush()
    assert told == [(1, "the disk is nearly full")], "once a minute"
    clock.time += 61
    tell(embedded, 3)
    with pytest.raises(Exception, match="nearly full"):
        await embedded.events.flush()
    assert told[1] == (3, "the disk is nearly full")
    monkeypatch.undo()
    tell(embedded, 4)
    await embedded.events.flush()
    assert await count(embedded) == 1


async def test_a_thread_that_is_far_behind_costs_no_memory(
    embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    embedded.events.lost = lambda number, _reason: told.append(number)
    for each in range(30 * events.MOST_WAITING):  # the loop never runs, so nothing is answered
        tell(embedded, each)
    assert told[:1] == [events.MOST_WAITING]
    await embedded.events.flush()


async def test_events_are_written_within_a_second(embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, calls = asyncio.get_running_loop(), []
    real: Callable[..., Any] = loop.call_later

    def later(seconds: float, call: Callable[..., Any], *arguments: Any) -> Any:
        calls.append(seconds)
        return real(0, call, *arguments)

    monkeypatch.setattr(loop, "call_later", later)
    tell(embedded, 1)
    monkeypatch.undo()
    assert calls == [events.FLUSH_SECONDS]
    async with asyncio.timeout(10):
        while not await count(embedded):  # noqa: ASYNC110 - what happens is a thread's writing
            await asyncio.sleep(0)


async def test_commands_share_a_file(tmp_path: Path) -> None:
    stores = [EmbeddedStore(tmp_path / "data", None) for _ in range(3)]
    for round_ in range(10):
        for place, store in enumerate(stores):
            tell(store, round_ * 3 + place)
        await asyncio.gather(*[store.events.flush() for store in stores])
    assert await count(stores[0]) == 30
    for store in stores:
        await store.close()
    assert len(list((tmp_path / "data").glob("events/*.command.db"))) == 1


def test_a_kill_keeps_what_was_written(tmp_path: Path) -> None:
    source = str(HERE.parents[1] / "src")
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, str(HERE / "killed_teller.py"), str(tmp_path / "data")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert process.stdout is not None
        said = 0
        for line in process.stdout:
            said = int(line)
            if said > 1500:
                process.kill()
        process.wait()
        process.stdout.close()

        async def look(said: int = said) -> None:
            store = EmbeddedStore(tmp_path / "data")
            found = await store.events.find(EventQuery(word="s@far.test", limit=100_000))
            assert {f"q{each}" for each in range(1, said + 1)} <= {life.id for life in found}
            await store.close()

        asyncio.run(look())


#: without NUL, which parts values in the making of a block, and the Kelvin sign, whose lower case is ASCII
TEXT = st.text(st.characters(exclude_characters="\0\u212a", exclude_categories=("Cs",)), max_size=12)
VALUES = st.dictionaries(st.sampled_from(["sender", "recipient", "login", "reply", "from"]), TEXT | st.integers(0, 9))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2e9), st.just("x.y"), VALUES), min_size=1, max_size=30), st.integers(1, 4))
def test_blocks_hold_what_was_told_however_they_are_joined(
    waiting: list[tuple[float, str, dict[str, object]]], pieces: int
) -> None:
    parts = [part for start in range(pieces) if (part := waiting[start::pieces])]
    block = join([pack(part) for part in parts])
    inside = Events(block.data)
    told = [(event.time, event.name, event.fields) for event in inside.all()]
    assert told == [event for part in parts for event in part]
    assert (block.first, block.last) == (min(t for t, _, _ in waiting), max(t for t, _, _ in waiting))
    for _, name, fields in waiting:
        for word in keys_of(name, fields):
            one = frozenset((number(word),))
            assert among(block.keys, one) == one
            assert among(block.keys, one | frozenset(range(100))) >= one
            assert any(word in keys_of(event.name, event.fields) for event in inside.containing(word))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_any_octets_are_a_block_or_a_clear_error(octets: bytes) -> None:
    good = pack([(1.0, "x.y", {"sender": "a@b"})]).data
    for data in (octets, good[:10] + octets, good[: -len(octets) or None]):
        try:
            list(Events(data).all())
        except ValueError:
            continue
