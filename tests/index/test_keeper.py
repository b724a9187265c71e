"""Keeping an index: it catches up in steps, merges, forgets what is gone, and is made anew when it is no good."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from index_house import Unindexed, add, body, filled, found, keep, text

from postroom.index import keeper as keeping
from postroom.index.keeper import Keeper
from postroom.index.lookup import look_up
from postroom.index.segment import BODY_FIELDS, TEXT_FIELDS
from postroom.index.terms import Wanted
from postroom.mailbox import indexed
from postroom.store.api import AccountStore, IndexChange, IndexState
from postroom.store.embedded import EmbeddedStore
from postroom.store.memory import MemoryStore


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


def mail(number: int, words: str = "") -> bytes:
    return f"Subject: number{number}\r\nX-Same: yes\r\n\r\nbody{number} {words} common\r\n".encode()


@pytest.fixture(autouse=True)
def _always_ask_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_FEW", 0)


async def test_small_steps_become_few_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "BATCH", 3)
    account = await filled([mail(number) for number in range(200)])
    await keep(account)
    with account.index.read() as reading:
        state = reading.state
    assert state.until == 200
    assert sum(row.messages for row in state.segments) == 200
    assert len(state.segments) < 24
    assert await found(account, body("body17")) == [18, *range(171, 181)]
    assert await found(account, text("number199")) == [200]
    assert await found(account, body("number199")) == []
    assert len(await found(account, text("yes"))) == 200


async def test_new_messages_are_found_before_they_are_indexed() -> None:
    store = MemoryStore()
    account = await filled([mail(1, "old")], store)
    await keep(account)
    await add(store, [mail(2, "new"), mail(3, "old")])
    assert await found(account, body("new")) == [2]
    assert await found(account, body("old")) == [1, 3]
    answer = await look_up(account.index, Wanted.of("old"), BODY_FIELDS)
    assert answer.sure == {1}
    assert answer.until == 1
    assert await keep(account) == 1
    assert await found(account, body("old")) == [1, 3]


async def test_blocks_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    account = await filled([])
    messages = {number: mail(number) for number in (65_534, 65_535, 65_536, 65_537)}
    store = MemoryStore()
    other = await filled(list(messages.values()), store)
    kept = other._messages  # type: ignore[attr-defined]
    account._messages.update({number: kept[place] for place, number in enumerate(messages, 1)})  # type: ignore[attr-defined]
    await keep(account)
    with account.index.read() as reading:
        assert [row.block for row in reading.state.segments] == [0, 1]
    assert (await look_up(account.index, Wanted.of("common"), BODY_FIELDS)).sure == set(messages)
    assert (await look_up(account.index, Wanted.of("body65536"), BODY_FIELDS)).sure == {65_536}


async def test_what_is_gone_leaves_the_index_within_a_day() -> None:
    account = await filled([mail(number) for number in range(40)])
    clock = Clock()
    keeper = Keeper(account, clock)
    while await keeper.step():
        pass
    gone = [message for message in await account.messages(0, 100) if message % 4]
    for message in gone:
        del account._messages[message]  # type: ignore[attr-defined]
    account.index.change(IndexChange(texts={gone[0]: b"secret", 40: b"kept"}))
    assert not await keeper.step()
    clock.time += 90_000
    while await keeper.step():
        pass
    with account.index.read() as reading:
        assert sum(row.messages for row in reading.state.segments) == 10
        assert reading.texts([gone[0], 40]) == {40: b"kept"}
        octets = b"".join(reading.segment(row)(0, row.size) for row in reading.state.segments)
    assert b"body0\n" not in octets
    assert b"body39\n" in octets
    assert (await look_up(account.index, Wanted.of("common"), BODY_FIELDS)).sure == {*range(4, 41, 4)}


async def test_an_index_of_other_messages_is_made_anew() -> None:
    account = await filled([mail(number) for number in range(3)])
    await keep(account)
    other = await filled([mail(number, "restored") for number in range(10, 15)])
    other.index = account.index  # type: ignore[misc,assignment]
    assert await found(other, body("restored")) == [1, 2, 3, 4, 5]
    await keep(other)
    assert (await look_up(other.index, Wanted.of("restored"), BODY_FIELDS)).sure == {1, 2, 3, 4, 5}
    assert (await look_up(other.index, Wanted.of("body1"), BODY_FIELDS)).sure == {1, 2, 3, 4, 5}


async def test_an_index_that_is_ahead_is_made_anew() -> None:
    """Power loss may take messages back whose ids are then given again."""
    account = await filled([mail(number) for number in range(5)])
    await keep(account)
    for message in (3, 4, 5):
        del account._messages[message]  # type: ignore[attr-defined]
    await keep(account)
    with account.index.read() as reading:
        assert reading.state.until == 2


async def test_an_index_of_another_form_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    account = await filled([mail(1)])
    await keep(account)
    account.index.change(IndexChange(form=99))
    assert (await look_up(account.index, Wanted.of("body1"), BODY_FIELDS)).until == 0
    assert await found(account, body("body1")) == [1]
    await keep(account)
    assert (await look_up(account.index, Wanted.of("body1"), BODY_FIELDS)).sure == {1}


async def test_endless_text_is_known_in_part_and_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postroom.index.documents.MAX_TEXT", 1000)
    long = mail(1, "x" * 2000 + " hidden")
    wide = mail(2, " ".join(f"{number:060}" for number in range(10_000)) + " hidden")
    account = await filled([long, wide, mail(3)])
    await keep(account)
    answer = await look_up(account.index, Wanted.of("hidden"), BODY_FIELDS)
    assert answer.maybe == {1, 2}
    assert await found(account, body("hidden")) == [1, 2]
    assert await found(account, body(f"{9_999:060}")) == [2]


async def test_a_message_that_cannot_be_read_is_looked_at_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    account = await filled([mail(1), mail(2)])
    first, data = account._messages[1]  # type: ignore[attr-defined]
    account._messages[1] = (
        type(first)(**{name: getattr(first, name) for name in first.__struct_fields__} | {"parts": b""}),
        data,
    )  # type: ignore[attr-defined]
    await keep(account)
    account._messages[1] = first, data  # type: ignore[attr-defined]
    assert (await look_up(account.index, Wanted.of("body1"), BODY_FIELDS)).maybe == {1}
    assert await found(account, body("body1")) == [1]


def spoil(damage: str, account: AccountStore, folder: Path) -> None:
    """Damage the account's index."""
    path = next(folder.rglob("index.db"))
    account.index.close()
    if damage == "gone":
        for file in path.parent.glob("index.db*"):
            file.unlink()
    elif damage == "state":
        account.index.change(IndexChange(remove=[1]))
        account.index._connection.execute("UPDATE state SET crc = crc + 1")  # type: ignore[attr-defined]
    else:
        for file in path.parent.glob("index.db*"):
            data = bytearray(file.read_bytes())
            if damage == "cut":
                del data[len(data) // 2 :]
            else:
                data[1000:] = os.urandom(max(0, len(data) - 1000))
            file.write_bytes(data)


@pytest.mark.parametrize("damage", ["cut", "noise", "gone", "state"])
async def test_a_damaged_index_is_noticed_and_made_anew(damage: str, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "data")
    account = await filled([mail(number) for number in range(30)], store)
    await keep(account)
    spoil(damage, account, tmp_path)
    assert await found(account, body("body7")) == [8]
    await keep(account)
    assert (await look_up(account.index, Wanted.of("body7"), BODY_FIELDS)).sure == {8}
    assert await found(account, text("number3")) == await found(Unindexed(account), text("number3"))  # type: ignore[arg-type]
    findings = [finding async for finding in store.check("a1")]
    await store.close()
    assert findings == []


def spoil_open(damage: str, folder: Path, chance: random.Random) -> None:
    """Damage the index's files while processes have them open."""
    path = next(folder.rglob("index.db"))
    if damage == "removed":
        for file in path.parent.glob("index.db*"):
            file.unlink()
        return
    for file in (path, path.with_name("index.db-wal")):
        data = bytearray(file.read_bytes()) if file.exists() else bytearray()
        if damage == "cut":
            del data[chance.randrange(len(data) + 1) :]
        for _ in range(chance.randrange(1, 200) if data else 0):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("damage", ["removed", "cut", "flipped"])
async def test_an_index_is_damaged_while_it_is_open(damage: str, seed: int, tmp_path: Path) -> None:
    """The keeper has it open, and a worker that searches: answers stay right, and it is made anew by itself."""
    store, worker = EmbeddedStore(tmp_path / "data"), EmbeddedStore(tmp_path / "data", None)
    account = await filled([mail(number, f"word{number % 5}") for number in range(60)], store)
    await keep(account)
    reader = await worker.account("a1")
    assert await found(reader, body("word3")) == list(range(4, 61, 5))
    spoil_open(damage, tmp_path, random.Random(seed))
    await add(store, [mail(100, "word3")])
    for who in (reader, account):
        for key in (body("word3"), body("ody7 "), text("number59"), text("nowhere")):
            assert await found(who, key) == await found(Unindexed(who), key)  # type: ignore[arg-type]
    await keep(account)
    for who in (account, reader):
        assert await found(who, body("word3")) == [*range(4, 61, 5), 61]
    await keep(account)  # what the keeper did not need, the searches may have found damaged
    assert (await look_up(reader.index, Wanted.of("word3"), BODY_FIELDS)).sure == {*range(4, 61, 5), 61}
    left = [finding async for finding in store.check("a1")]  # of what nobody reads
    assert {(finding.place, finding.mendable) for finding in left} <= {("accounts/a1/index.db", True)}
    await store.repair("a1")
    await keep(account)
    assert [finding async for finding in store.check("a1")] == []
    assert await found(reader, body("word3")) == [*range(4, 61, 5), 61]
    await worker.close()
    await store.close()


async def test_the_state_of_nothing() -> None:
    account = await filled([])
    assert not await Keeper(account, Clock()).step()
    assert await Keeper(account, Clock()).state() == IndexState()
    assert (await look_up(account.index, Wanted.of("x"), TEXT_FIELDS)).sure == frozenset()
