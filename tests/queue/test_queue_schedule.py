"""When mail is tried again."""

from __future__ import annotations

from itertools import accumulate

import pytest

from postroom.queue.schedule import Schedule

EARLY, LATE = Schedule(jitter=lambda: 0.0), Schedule(jitter=lambda: 0.999999)


def test_the_first_retry_comes_within_five_minutes_and_then_doubles_to_four_hours() -> None:
    steps = [EARLY.interval(attempt, local=False) for attempt in range(1, 10)]
    assert steps == [300, 600, 1200, 2400, 4800, 9600, 14400, 14400, 14400]


def test_local_mail_is_tried_again_after_half_a_minute() -> None:
    steps = [EARLY.interval(attempt, local=True) for attempt in range(1, 12)]
    assert steps[:3] == [30, 60, 120]
    assert steps[-1] == 14400


@pytest.mark.parametrize("attempt", [1, 2, 7, 1000])
def test_jitter_only_shortens(attempt: int) -> None:
    assert 0.79 < LATE.interval(attempt, local=False) / EARLY.interval(attempt, local=False) <= 1


def test_the_delay_notice_and_the_end_are_not_slept_through() -> None:
    assert EARLY.next_try(now=14000, received=0, attempts=7, local=False) == 14_400
    assert EARLY.next_try(now=14_400, received=0, attempts=7, local=False) == 28_800
    assert EARLY.next_try(now=431_000, received=0, attempts=30, local=False) == 432_000


def test_five_days_of_tries() -> None:
    tries = list(accumulate(EARLY.interval(n, local=False) for n in range(1, 40)))
    assert 30 < sum(moment < EARLY.lifetime for moment in tries) < 40


def test_expiry_and_lateness() -> None:
    assert not EARLY.expired(431_999, 0)
    assert EARLY.expired(432_000, 0)
    assert not EARLY.late(14_399, 0)
    assert EARLY.late(14_400, 0)
