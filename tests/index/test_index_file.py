"""Where an index is kept: the same promises in memory and in a file, and what a file says that was damaged."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from postroom.store.api import IndexChange, IndexDamaged, IndexFile, IndexState
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.index_file import PIECE, EmbeddedIndex
from postroom.store.memory.index import MemoryIndex


@pytest.fixture(params=["memory", "file"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> IndexFile:
    return MemoryIndex() if request.param == "memory" else EmbeddedIndex(f"{tmp_path}/index.db", OpenOptions())


def octets(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_an_index_that_is_not_there_is_empty(index: IndexFile) -> None:
    with index.read() as reading:
        assert reading.state == IndexState()
        assert reading.texts([1, 2]) == {}
    index.drop()
    index.close()


def test_segments_come_and_go(index: IndexFile) -> None:
    large = octets(3 * PIECE + 17)
    state = index.change(IndexChange(add=[(0, 10, large), (1, 2, b"second")], until=12, witness="ab", form=3))
    assert [(row.block, row.messages, row.size) for row in state.segments] == [(0, 10, len(large)), (1, 2, 6)]
    with index.read() as reading:
        assert reading.state == state
        read = reading.segment(state.segments[0])
        for start, end in (
            (0, 5),
            (PIECE - 3, PIECE + 3),
            (0, len(large)),
            (2 * PIECE, 9 * PIECE),
            (len(large), 1 << 40),
        ):
            assert read(start, end) == large[start:end]
        assert reading.segment(state.segments[1])(1, 3) == b"ec"
    state = index.change(IndexChange(add=[(0, 12, b"both")], remove=[row.id for row in state.segments], swept=7.0))
    assert [row.size for row in state.segments] == [4]
    assert (state.until, state.witness, state.form, state.swept) == (12, "ab", 3, 7.0)
    index.close()
    with index.read() as reading:
        assert reading.segment(reading.state.segments[0])(0, 9) == b"both"


def test_texts(index: IndexFile) -> None:
    index.change(IndexChange(texts={5: b"five", 7: b"seven"}, waits={9: 1, 8: 0, 10: 0}))
    index.change(IndexChange(texts={7: b"again"}, forget=[5], done=[8, 10], waits={10: 2}))
    with index.read() as reading:
        assert reading.texts([5, 6, 7]) == {7: b"again"}
        assert reading.state.waiting == {9: 1, 10: 2}
    index.drop()
    with index.read() as reading:
        assert reading.state == IndexState()
        assert reading.texts([7]) == {}


def test_a_reader_sees_one_moment(tmp_path: Path) -> None:
    writer, reader = (EmbeddedIndex(f"{tmp_path}/index.db", OpenOptions()) for _ in range(2))
    first = writer.change(IndexChange(add=[(0, 1, b"old")], until=1))
    with reader.read() as reading:
        writer.change(IndexChange(add=[(0, 2, b"new")], remove=[first.segments[0].id], until=2))
        assert reading.state.until == 1
        assert reading.segment(first.segments[0])(0, 3) == b"old"
    with reader.read() as reading:
        assert reading.state.until == 2


def test_a_reader_notices_that_the_file_is_another(tmp_path: Path) -> None:
    writer, reader = (EmbeddedIndex(f"{tmp_path}/index.db", OpenOptions()) for _ in range(2))
    writer.change(IndexChange(add=[(0, 1, b"old")], until=1))
    with reader.read() as reading:
        assert reading.state.until == 1
    writer.drop()
    with reader.read() as reading:
        assert reading.state.until == 0
    writer.change(IndexChange(until=5))
    with reader.read() as reading:
        assert reading.state.until == 5
        assert reading.state.segments == ()


def test_several_threads_may_read(tmp_path: Path) -> None:
    index = EmbeddedIndex(f"{tmp_path}/index.db", OpenOptions())
    data = octets(PIECE * 4)
    row = index.change(IndexChange(add=[(0, 1, data)])).segments[0]
    wrong: list[int] = []

    def look() -> None:
        for _ in range(50):
            with index.read() as reading:
                if reading.segment(row)(0, len(data)) != data:
                    wrong.append(1)
            index.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("seed", range(40))
def test_changed_octets_are_noticed(seed: int, tmp_path: Path) -> None:
    """Whatever is read after damage is what was written, or IndexDamaged."""
    path = tmp_path / "index.db"
    index = EmbeddedIndex(str(path), OpenOptions())
    data = octets(PIECE * 3, seed)
    state = index.change(IndexChange(add=[(0, 1, data), (0, 2, b"x" * 100)], texts={1: b"text"}, until=3))
    index.close()
    checkpointed = EmbeddedIndex(str(path), OpenOptions())
    checkpointed._open(create=False).pragma("wal_checkpoint", "truncate")  # type: ignore[union-attr]
    checkpointed.close()
    chance = random.Random(seed)
    damaged = bytearray(path.read_bytes())
    if seed % 4 == 3:
        del damaged[chance.randrange(len(damaged)) :]
    for _ in range(1 + seed % 30):
        if damaged:
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    path.write_bytes(damaged)
    index = EmbeddedIndex(str(path), OpenOptions())
    try:
        with index.read() as reading:
            assert reading.state == state
            assert reading.segment(state.segments[0])(0, len(data)) == data
            assert reading.segment(state.segments[1])(0, 100) == b"x" * 100
            assert reading.texts([1]) in ({1: b"text"}, {})
    except IndexDamaged:
        pass
    index.drop()
    assert index.change(IndexChange(until=1)).until == 1
