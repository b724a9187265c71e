"""The filter's training on disk: many accounts, damage, other processes."""

from __future__ import annotations

from pathlib import Path

from postroom.store.api import EVERYBODY, Learned, Lesson
from postroom.store.embedded import EmbeddedStore

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
