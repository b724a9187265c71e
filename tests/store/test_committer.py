"""Group commit: what waits is one transaction; a poisoned request fails alone; lazy work costs nobody a sync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import apsw
import pytest

from postroom.store.api import NotFound, StoreUnavailable
from postroom.store.embedded.committer import MAX_REQUESTS, Committer


class Sheet:
    """A database that is a list, and says what was done to it."""

    def __init__(self) -> None:
        self.rows: list[object] = []
        self.log: list[str] = []
        self.noted = threading.Condition()
        self.fail_commits = 0
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def note(self, line: str) -> None:
        with self.noted:
            self.log.append(line)
            self.noted.notify_all()

    def wait_for(self, happened: Callable[[], bool]) -> None:
        """On another thread than the committer's."""
        with self.noted:
            assert self.noted.wait_for(happened, timeout=30)

    def begin(self, durable: bool) -> SheetUnit:
        self.entered.set()
        self.gate.wait()
        self.note("begin" if durable else "begin lazily")
        return SheetUnit(self)


class SheetUnit:
    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.new: list[object] = []

    def add(self, row: object) -> None:
        self.new.append(row)

    def changed(self) -> int:
        return len(self.new)

    def commit(self) -> Callable[[], None] | None:
        if self.sheet.fail_commits:
            self.sheet.fail_commits -= 1
            raise apsw.FullError("disk full")
        self.sheet.rows += self.new
        self.sheet.note(f"commit {len(self.new)}")
        return lambda: self.sheet.note("told")

    def rollback(self) -> None:
        self.sheet.note("rollback")


def put(row: object) -> Callable[[SheetUnit], Callable[[], object]]:
    def work(unit: SheetUnit) -> Callable[[], object]:
        unit.add(row)
        return lambda: row

    return work


def refuse(_unit: SheetUnit) -> Callable[[], object]:
    raise NotFound("no")


def poison(unit: SheetUnit) -> Callable[[], object]:
    unit.add("poison")
    raise ZeroDivisionError


def dishonest(unit: SheetUnit) -> Callable[[], object]:
    unit.add("half")
    raise NotFound("after a change")


@pytest.fixture
async def committer():
    made = Committer("test")
    yield made
    await made.close()


async def test_one_turn_is_one_transaction(committer: Committer) -> None:
    sheet = Sheet()
    assert await asyncio.gather(*(committer.submit(sheet, put(n)) for n in range(50))) == list(range(50))
    assert sheet.log == ["begin", "commit 50", "told"]


async def test_what_waits_while_a_commit_runs_is_the_next(committer: Committer) -> None:
    sheet = Sheet()
    sheet.gate.clear()
    first = committer.submit(sheet, put(0))
    await asyncio.to_thread(sheet.entered.wait)
    late = []
    for n in range(1, 8):
        late.append(committer.submit(sheet, put(n)))
        await asyncio.sleep(0)
    sheet.gate.set()
    await asyncio.gather(first, *late)
    assert [line for line in sheet.log if line.startswith("commit")] == ["commit 1", "commit 7"]
    assert sheet.rows == list(range(8))


async def test_batches_are_bounded(committer: Committer) -> None:
    sheet = Sheet()
    await asyncio.gather(*(committer.submit(sheet, put(n)) for n in range(MAX_REQUESTS + 1)))
    assert [line for line in sheet.log if line.startswith("commit")] == [f"commit {MAX_REQUESTS}", "commit 1"]
    other = Sheet()
    await asyncio.gather(*(committer.submit(other, put(n), 5 << 20) for n in range(4)))
    assert [line for line in other.log if line.startswith("commit")] == ["commit 2", "commit 2"]


async def test_a_refusal_leaves_the_others_alone(committer: Committer) -> None:
    sheet = Sheet()
    done = await asyncio.gather(
        committer.submit(sheet, put(1)), committer.submit(sheet, refuse), committer.submit(sheet, put(2)),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(one).__name__ for one in done] == ["int", "NotFound", "int"]
    assert sheet.log == ["begin", "commit 2", "told"]


@pytest.mark.parametrize("bad", [poison, dishonest])
async def test_a_poisoned_request_fails_alone(committer: Committer, bad: Callable[..., object]) -> None:
    sheet = Sheet()
    calls = [committer.submit(sheet, put(n)) for n in range(3)]
    calls.insert(1, committer.submit(sheet, bad))
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(one, Exception) for one in done] == [False, True, False, False]
    assert sheet.rows == [0, 1, 2]
    assert sheet.log.count("rollback") == 2


async def test_a_failing_commit_is_tried_one_by_one(committer: Committer) -> None:
    sheet = Sheet()
    sheet.fail_commits = 2
    done = await asyncio.gather(*(committer.submit(sheet, put(n)) for n in range(3)), return_exceptions=True)
    assert [type(one).__name__ for one in done] == ["StoreUnavailable", "int", "int"]
    assert sheet.rows == [1, 2]


async def test_files_are_separate_transactions(committer: Committer) -> None:
    one, two = Sheet(), Sheet()
    two.fail_commits = 1
    done = await asyncio.gather(committer.submit(one, put(1)), committer.submit(two, put(2)), return_exceptions=True)
    assert done[0] == 1
    assert isinstance(done[1], StoreUnavailable)


async def test_lazy_work_joins_the_next_commit_or_is_not_synced(committer: Committer) -> None:
    sheet = Sheet()
    committer.submit_lazy(sheet, put("lazy"))
    await committer.submit(sheet, put("waits"))
    assert sheet.log == ["begin", "commit 2", "told"]
    committer.submit_lazy(sheet, put("alone"))
    await asyncio.to_thread(sheet.wait_for, lambda: "alone" in sheet.rows)
    assert sheet.log[3:5] == ["begin lazily", "commit 1"]


async def test_lazy_work_that_failed_is_tried_again(committer: Committer) -> None:
    sheet = Sheet()
    sheet.fail_commits = 1
    committer.submit_lazy(sheet, put("lazy"))
    await asyncio.to_thread(sheet.wait_for, lambda: "rollback" in sheet.log)
    await committer.submit(Sheet(), put("another file"))
    await committer.submit(sheet, put("waits"))
    assert "lazy" in sheet.rows


async def test_closing_commits_what_waits() -> None:
    committer, sheet = Committer("test"), Sheet()
    call = committer.submit(sheet, put(1))
    committer.submit_lazy(sheet, put("lazy"))
    await committer.close()
    assert await call == 1
    assert sheet.rows == [1, "lazy"]
    with pytest.raises(StoreUnavailable):
        committer.submit(sheet, put(2))


async def test_a_cancelled_request_is_left_out(committer: Committer) -> None:
    sheet = Sheet()
    call = committer.submit(sheet, put(1))
    call.cancel()
    await committer.submit(sheet, put(2))
    assert sheet.rows == [2]
