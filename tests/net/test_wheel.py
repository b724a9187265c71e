"""The wheel against a plain list of deadlines."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from postroom.net import Wheel


class Timed:
    def __init__(self) -> None:
        self.due = self.slot = 0
        self.expired_at: list[int] = []
        self.wheel: Wheel | None = None
        self.again = 0.0

    def expire(self) -> None:
        assert self.wheel is not None
        self.expired_at.append(self.wheel.now)
        if self.again:
            self.wheel.arm(self, self.again)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("arm"), st.integers(0, 3), st.floats(0.1, 50)),
        st.tuples(st.just("disarm"), st.integers(0, 3), st.just(0.0)),
        st.tuples(st.just("turn"), st.integers(1, 30), st.just(0.0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_never_early_and_at_most_one_step_late(steps: list[tuple[str, int, float]]) -> None:
    wheel, timed = Wheel(), [Timed() for _ in range(4)]
    for one in timed:
        one.wheel = wheel
    armed: dict[int, tuple[float, float]] = {}
    for what, number, seconds in [*steps, ("turn", 100, 0.0)]:
        if what == "arm":
            wheel.arm(timed[number], seconds)
            armed[number] = (wheel.now + seconds, wheel.now + seconds + 1)
        elif what == "disarm":
            wheel.disarm(timed[number])
            armed.pop(number, None)
        else:
            for _ in range(number):
                wheel.turn()
                for key, one in enumerate(timed):
                    if one.expired_at:
                        (at,) = one.expired_at
                        earliest, latest = armed.pop(key)
                        # `now` may be anywhere within its step when a deadline is armed: late by less than one
                        assert earliest - 1 < at <= latest
                        assert at >= int(earliest)
                        one.expired_at.clear()
    assert not armed
    assert not wheel._slots or all(not links for links in wheel._slots.values())


def test_an_expired_link_may_arm_again_or_disarm_another() -> None:
    wheel, first, second = Wheel(), Timed(), Timed()
    for one in (first, second):
        one.wheel = wheel
        wheel.arm(one, 3)
    first.again = 2.0
    second.expire = lambda: wheel.disarm(first)  # type: ignore[method-assign]
    wheel.turn(20)
    assert first.expired_at in ([], [5])  # whichever came first in the slot
    assert first.slot == 0 or first.expired_at


async def test_the_loop_turns_it_and_a_failing_link_does_not_stop_it() -> None:
    wheel, over = Wheel(0.01), asyncio.Event()

    class Failing(Timed):
        def expire(self) -> None:
            raise ValueError("a bug")

    class Last(Timed):
        def expire(self) -> None:
            over.set()

    loop = asyncio.get_running_loop()
    faults: list[object] = []
    loop.set_exception_handler(lambda _loop, context: faults.append(context))
    wheel.arm(Failing(), 0.01)
    wheel.arm(Last(), 0.05)
    wheel.start(loop)
    wheel.start(loop)
    await asyncio.wait_for(over.wait(), 10)
    wheel.stop()
    assert len(faults) == 1
