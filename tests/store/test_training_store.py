"""The filter's training on disk: many accounts, damage, other processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from postroom.store.api import EVERYBODY, Learned, Lesson
from postroom.store.embedded import EmbeddedStore, schema
from postroom.store.embedded.learned import RecentTokens, read_learned

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


async def test_tokens_in_memory_are_forgotten_when_anybody_learns(tmp_path: Path) -> None:
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


@pytest.fixture
def base() -> Iterator[apsw.Connection]:
    db = apsw.Connection(":memory:")
    db.execute(schema.TRAINING)
    db.execute("UPDATE total SET spam = 900, ham = 800")
    db.executemany("INSERT INTO token VALUES (?, ?, ?, 0)", [(each, each % 7, each % 5) for each in range(0, 4000, 2)])
    yield db
    db.close()


def test_memory_says_what_the_file_says_and_stays_small(base: apsw.Connection) -> None:
    recent = RecentTokens(base, 100)
    for first in (0, 30, 500, 0, 3900, 30, 7, 0):
        tokens = list(range(first, first + 90))
        assert recent.learned(tokens) == read_learned(base, tokens)
        assert recent.size <= 2 * (100 + 90)
    assert recent.learned([]) == Learned(spam=900, ham=800)


def test_what_is_asked_again_is_not_read_again(base: apsw.Connection) -> None:
    recent = RecentTokens(base, 1000)
    tokens = list(range(90))
    recent.learned(tokens)
    asked: list[str] = []
    base.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: asked.append(event["sql"]))
    assert recent.learned(tokens) == recent.learned(tokens)
    assert not [sql for sql in asked if "token" in sql]
    recent.learned([*tokens, 90])
    assert [sql for sql in asked if "token" in sql]
