"""The filter's training on disk: many accounts, damage, other processes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from postroom.store.api import EVERYBODY, Learned, Lesson
from postroom.store.embedded import EmbeddedStore, schema, words

SPAM = Lesson(id="one", tokens=(1, 2), spam=True)


async def test_it_is_there_after_a_restart_and_for_others(tmp_path: Path) -> None:
    first, second = EmbeddedStore(tmp_path, 0), EmbeddedStore(tmp_path, 1)
    assert second.training.learned(EVERYBODY, [1]).spam == 0
    await first.training.learn(EVERYBODY, [SPAM], 1.0)
    assert second.training.learned(EVERYBODY, [1]) == Learned(spam=1, counts=((1, 0),))
    await first.close()
    await second.close()
    third = EmbeddedStore(tmp_path, 0)
    assert third.training.learned(EVERYBODY, [1]).spam == 1
    await third.close()


async def test_more_accounts_than_stay_open(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, 0)
    for number in range(40):
        await store.create_account(f"a{number}", [("INBOX", "")])
        await store.training.learn(f"a{number}", [SPAM], 1.0)
    for number in range(40):
        assert store.training.learned(f"a{number}", [2]).counts == ((1, 0),)
    await store.close()


async def test_damage_costs_the_training_only(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path, 0)
    await store.training.learn(EVERYBODY, [SPAM], 1.0)
    await store.close()
    path = tmp_path / "training.db"
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    path.write_bytes(b"nonsense" * 1000)
    store = EmbeddedStore(tmp_path, 0)
    assert store.training.learned(EVERYBODY, [1]).spam == 0
    assert await store.training.learn(EVERYBODY, [SPAM], 1.0) == 1
    assert store.training.learned(EVERYBODY, [1]).spam == 1
    assert path.with_name("training.db.damaged").exists()
    await store.close()


async def test_what_anybody_learns_is_known_to_all_at_once(tmp_path: Path) -> None:
    first, second = EmbeddedStore(tmp_path, 0), EmbeddedStore(tmp_path, 1)
    await first.training.learn(EVERYBODY, [SPAM], 1.0)
    for store in (first, second):
        assert store.training.learned(EVERYBODY, [1, 2, 3]).counts == ((1, 0), (1, 0), (0, 0))
    await second.training.learn(EVERYBODY, [Lesson(id="two", tokens=(2, 3), spam=False)], 2.0)
    for store in (first, second):
        assert store.training.learned(EVERYBODY, [1, 2, 3]) == Learned(spam=1, ham=1, counts=((1, 0), (1, 1), (0, 1)))
    await first.training.unlearn(EVERYBODY)
    for store in (first, second):
        assert store.training.learned(EVERYBODY, [1, 2]) == Learned(counts=((0, 0), (0, 0)))
    await first.close()
    await second.close()


class Base:
    """A database and the table of it; `learn` changes both as the store does."""

    def __init__(self, folder: Path) -> None:
        self.db = apsw.Connection(":memory:")
        self.db.execute(schema.TRAINING)
        self.path = str(folder / "words")
        self.table = words.WordTable(self.path)

    def learn(self, tokens: list[int], spam: int, ham: int, *, all_new: bool = False) -> None:
        self.db.execute("BEGIN; UPDATE total SET spam = spam + 3, ham = ham + 2")
        self.db.executemany("REPLACE INTO token VALUES (?, ?, ?, 0)", [(token, spam, ham) for token in tokens])
        words.write(self.path, self.db, None if all_new else tokens)
        self.db.execute("COMMIT")

    def agree(self, tokens: list[int]) -> bool:
        return self.table.learned(self.db, tokens) == words.read_learned(self.db, tokens)

    def from_table(self) -> bool:
        """Does the database stay unasked, once the table is open?"""
        self.table.learned(self.db, [])
        asked: list[str] = []
        self.db.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: asked.append(event["sql"]))
        self.table.learned(self.db, [1, 2, 3])
        self.db.trace_v2(0, None)
        return not asked


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    made = Base(tmp_path)
    yield made
    made.table.close()
    made.db.close()


def test_the_table_says_what_the_database_says(base: Base) -> None:
    chance = random.Random(3)
    known = [chance.getrandbits(32) for _ in range(40)] + [0, 4096, 8192, 2**32 - 1]
    assert base.agree(known)
    for turn in range(60):  # it grows, and is made anew several times
        base.learn([chance.getrandbits(32) for _ in range(200)], turn % 5, 1 + turn % 3)
        base.learn(chance.sample(known, 20), turn, 7, all_new=turn == 30)
        assert base.agree([*known, *(chance.getrandbits(32) for _ in range(40))])
        assert base.from_table()


def test_large_counts_are_nearly_right(base: Base) -> None:
    base.learn([1], 16_383, 0)
    assert base.agree([1])
    base.learn([1], 1_000_003, 1)
    ((spam, ham),) = base.table.learned(base.db, [1]).counts
    assert abs(spam - 1_000_003) < 1_000_003 / 8000
    assert 0 < ham < 100


def test_tokens_made_for_the_same_slot_cost_no_more_than_a_look_at_some_of_them(base: Base) -> None:
    alike = [number << 20 | 5 for number in range(500)]
    base.learn(alike, 1, 0)
    found = base.table.learned(base.db, [*alike, 9]).counts
    assert found.count((1, 0)) == words._PROBES
    assert found[-1] == (0, 0)


@pytest.mark.parametrize("damage", [b"", b"x", b"\0" * 4096, b"nonsense" * 600])
def test_a_table_that_does_not_fit_is_not_used_and_made_anew(base: Base, damage: bytes) -> None:
    base.learn([1, 2], 1, 0)
    base.table.close()
    Path(base.path).write_bytes(damage)
    assert base.agree([1, 2, 3])
    assert not base.from_table()
    base.learn([3], 1, 0)
    assert base.agree([1, 2, 3])
    assert base.from_table()


def test_what_was_rolled_back_is_not_believed_for_long(base: Base) -> None:
    base.learn([1], 1, 0)
    base.db.execute("BEGIN; UPDATE total SET spam = spam + 1; UPDATE token SET spam = 9")
    words.write(base.path, base.db, [1])
    base.db.execute("ROLLBACK")
    other = words.WordTable(base.path)
    assert other.learned(base.db, [1]) == words.read_learned(base.db, [1])
    other.close()
    base.learn([2], 1, 0)
    assert base.agree([1, 2])
    assert base.from_table()


def test_with_more_tokens_than_it_may_have_there_is_no_table(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    base.learn(list(range(100)), 1, 0)
    assert base.from_table()
    monkeypatch.setattr(words, "_MOST_SLOTS", 4096)
    base.learn(list(range(3000)), 1, 0)
    assert base.agree(list(range(4000)))
    assert not base.from_table()
    assert not Path(base.path).exists()
