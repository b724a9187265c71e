"""Requests with a key among several workers: claims of one are seen by the others, answers outlive a worker's slot."""

from __future__ import annotations

from pathlib import Path

from postroom.store.api import Once
from postroom.store.embedded import EmbeddedStore
from postroom.testing.store_contract import received

ONCE = Once(key=b"k" * 32, request=b"r" * 32, answer=b"{}")


async def test_claims_and_answers_are_everybodys(tmp_path: Path) -> None:
    first, second = EmbeddedStore(tmp_path, 0), EmbeddedStore(tmp_path, 1)
    with first.queue.claim(ONCE.key) as mine:
        with second.queue.claim(ONCE.key) as theirs:
            assert (mine, theirs) == (True, False)
        await second.queue.accept(received("q1", once=ONCE))
    with second.queue.claim(ONCE.key) as theirs:
        assert theirs
    assert await first.queue.answered(ONCE.key, 1000.0) == ONCE
    with first.queue.claim(b"x" * 32):
        await first.close()  # as a process that dies
    with second.queue.claim(b"x" * 32) as free:
        assert free
    await second.close()


async def test_answers_go_with_the_queue_of_a_worker_that_is_no_more(tmp_path: Path) -> None:
    second = EmbeddedStore(tmp_path, 1)
    await second.queue.accept(received("q1", once=ONCE))
    await second.close()
    first = EmbeddedStore(tmp_path, 0)
    assert await first.adopt(1) == 1
    assert await first.queue.answered(ONCE.key, 1000.0) == ONCE
    assert not (tmp_path / "queue" / "1.db").exists()
    await first.close()
