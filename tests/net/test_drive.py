"""Coroutines without tasks behave as with one: order, faults, cancellation; nothing is run twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postroom.net.drive import drive


class Ends:
    """What `done` was told."""

    def __init__(self) -> None:
        self.told: list[BaseException | None] = []
        self.came = asyncio.Event()

    def __call__(self, fault: BaseException | None) -> None:
        self.told.append(fault)
        self.came.set()


async def test_what_never_waits_is_done_when_drive_returns() -> None:
    steps: list[int] = []
    ends = Ends()

    async def work() -> None:
        steps.append(1)

    assert drive(work(), ends) is None
    assert steps == [1]
    assert ends.told == []


async def test_what_is_raised_before_the_first_wait_is_raised_by_drive() -> None:
    ends = Ends()

    async def work() -> None:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        drive(work(), ends)
    assert ends.told == []


async def test_goes_on_when_the_future_is_done_and_tells_the_end_once() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    got: list[int] = []
    ends = Ends()

    async def work() -> None:
        got.append(await future)
        got.append(await future)

    assert drive(work(), ends) is not None
    assert got == []
    future.set_result(7)
    await ends.came.wait()
    assert got == [7, 7]
    assert ends.told == [None]


async def test_futures_raise_inside_and_what_is_not_caught_is_told() -> None:
    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    caught: list[str] = []
    ends = Ends()

    async def work() -> None:
        try:
            await first
        except OSError as fault:
            caught.append(str(fault))
        await asyncio.sleep(0)
        raise KeyError("late")

    drive(work(), ends)
    first.set_exception(OSError("disk"))
    await ends.came.wait()
    assert caught == ["disk"]
    assert [type(fault) for fault in ends.told] == [KeyError]


async def test_without_done_the_loop_is_told_of_a_fault() -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Any] = loop.create_future()
    loop.set_exception_handler(lambda _, context: told.set_result(context["exception"]))

    async def work() -> None:
        await asyncio.sleep(0)
        raise ValueError("nobody asked")

    drive(work())
    assert isinstance(await told, ValueError)


async def test_cancelled_where_it_waits_for_a_future() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cleaned: list[str] = []
    ends = Ends()

    async def work() -> None:
        try:
            await future
        finally:
            cleaned.append("up")

    driven = drive(work(), ends)
    assert driven is not None
    driven.cancel()
    assert cleaned == []  # not while the caller is busy
    await ends.came.wait()
    assert cleaned == ["up"]
    assert isinstance(ends.told[0], asyncio.CancelledError)


async def test_cancelled_between_two_turns_and_when_the_future_was_done_already() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for waits_for in (asyncio.sleep(0), future):
        ends = Ends()

        async def work(waits_for: Any = waits_for) -> None:
            await waits_for

        driven = drive(work(), ends)
        assert driven is not None
        if not future.done() and waits_for is future:
            future.set_result(None)
        driven.cancel()
        await ends.came.wait()
        assert isinstance(ends.told[0], asyncio.CancelledError)


async def test_a_cancellation_may_be_survived() -> None:
    ends = Ends()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    driven = drive(work(), ends)
    assert driven is not None
    driven.cancel()
    await ends.came.wait()
    assert ends.told == [None]
    driven.cancel()  # too late, and nothing happens


async def test_tasks_gather_shields_and_threads_can_be_awaited() -> None:
    got: list[Any] = []
    ends = Ends()

    async def one(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def work() -> None:
        got.append(await asyncio.gather(one(1), one(2)))
        got.append(await asyncio.to_thread(lambda: 3))
        got.append(await asyncio.shield(asyncio.ensure_future(one(4))))

    drive(work(), ends)
    await ends.came.wait()
    assert got == [[1, 2], 3, 4]
    assert ends.told == [None]


async def test_many_at_once_keep_the_order_of_their_futures() -> None:
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[None]] = [loop.create_future() for _ in range(20)]
    order: list[int] = []
    ends = Ends()

    async def work(number: int) -> None:
        await futures[number]
        order.append(number)

    for number in range(20):
        drive(work(number), ends if number == 0 else None)
    for future in reversed(futures):
        future.set_result(None)
    await ends.came.wait()
    assert order == list(reversed(range(20)))


async def test_timeouts_work_before_and_after_the_first_wait() -> None:
    told: list[str] = []
    ends = Ends()

    async def work() -> None:
        for _ in range(2):
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                told.append("late")
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        told.append("in time")

    drive(work(), ends)
    await ends.came.wait()
    assert told == ["late", "late", "in time"]
    assert ends.told == [None]


async def test_a_group_of_tasks_ends_together() -> None:
    told: list[str] = []
    ends = Ends()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise OSError("one of them")

    async def work() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
                group.create_task(fails())
        except* OSError:
            told.append("group")

    drive(work(), ends)
    await ends.came.wait()
    assert told == ["group"]


async def test_the_current_task_is_the_one_that_runs() -> None:
    mine = asyncio.current_task()
    seen: list[object] = []
    ends = Ends()

    async def inner() -> None:
        seen.append(asyncio.current_task())

    async def work() -> None:
        seen.append(asyncio.current_task())
        drive(inner())
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    driven = drive(work(), ends)
    assert asyncio.current_task() is mine
    await ends.came.wait()
    outer, within, again, later = seen
    assert outer is again is later is driven
    assert within not in (driven, mine, None)


async def test_cancelled_by_itself() -> None:
    ends = Ends()

    async def work() -> None:
        this = asyncio.current_task()
        assert this is not None
        this.cancel()
        await asyncio.Event().wait()

    drive(work(), ends)
    await ends.came.wait()
    assert isinstance(ends.told[0], asyncio.CancelledError)
