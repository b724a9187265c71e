"""Queue ids: short, sorted by time, unique."""

from __future__ import annotations

import random
import re

from postroom.queue.ids import Ids
from postroom.testing.mailflow import StandingClock


def test_ids_are_short_atoms() -> None:
    new_id = Ids(StandingClock(), random.Random(1).getrandbits)
    assert re.fullmatch("[0-9a-hjkmnp-tv-z]{13}", new_id())


def test_ids_sort_by_time_also_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    clock = StandingClock()
    new_id = Ids(clock, random.Random(2).getrandbits, slot=3)
    made = []
    for step in (0, 0.0004, 0.001, 3600, -1800, 0, 0.5):
        clock.time += step
        made += [new_id() for _ in range(300)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_a_millisecond_that_is_full_borrows_from_the_next() -> None:
    new_id = Ids(StandingClock(), lambda _bits: 0, slot=255)
    made = [new_id() for _ in range(40_000)]
    assert len(set(made)) == 40_000
    assert made == sorted(made)


def test_workers_never_make_the_same_id() -> None:
    clock = StandingClock()
    makers = [Ids(clock, lambda _bits: 7, slot=slot) for slot in range(256)]
    assert len({maker() for maker in makers for _ in range(50)}) == 256 * 50


def test_a_restart_in_the_same_millisecond_begins_elsewhere() -> None:
    clock = StandingClock()
    assert Ids(clock, random.Random(1).getrandbits)() != Ids(clock, random.Random(2).getrandbits)()


def test_ids_of_later_years_sort_after_those_of_today() -> None:
    clock = StandingClock(1_767_225_600.0)
    new_id = Ids(clock, random.Random(3).getrandbits)
    today = new_id()
    clock.time += 80 * 365.25 * 86400
    assert today < new_id()
