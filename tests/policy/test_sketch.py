"""Sketches against exact counters: never below, gone when released, columns apart."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.policy.sketch import ROWS, WINDOW, Cells, CountSketch, WindowSketch
from postroom.policy.tables import Tables

NAMES = st.sampled_from([f"imap 192.0.2.{number}" for number in range(12)])
STEPS = st.lists(st.tuples(NAMES, st.integers(0, 2), st.booleans()), max_size=60)


def count_sketch(width: int, workers: int) -> CountSketch:
    return CountSketch(memoryview(bytearray(CountSketch.size(width, workers))), workers)


def window_sketch(width: int, workers: int) -> WindowSketch:
    return WindowSketch(memoryview(bytearray(WindowSketch.size(width, workers))), workers)


@given(STEPS, st.sampled_from([4, 64, 4096]), st.integers(0, 3))
def test_an_estimate_is_never_below_the_truth(steps: list[tuple[str, int, bool]], width: int, gone: int) -> None:
    cells, sketch = Cells(b"key", width, 3), count_sketch(width, 3)
    exact: Counter[tuple[str, int]] = Counter()
    for name, slot, come in steps:
        if come or exact[name, slot]:
            exact[name, slot] += 1 if come else -1
            sketch.add(cells.of(name), slot, 1 if come else -1)
    if gone < 3:
        sketch.clear(gone)
        exact = Counter({key: number for key, number in exact.items() if key[1] != gone})
    for name in {name for name, _, _ in steps}:
        true = sum(exact[name, slot] for slot in range(3))
        estimate = sketch.estimate(cells.of(name))
        assert estimate >= true
        assert sketch.below(cells.of(name), estimate + 1)
        assert not sketch.below(cells.of(name), estimate)
        if width == 4096:
            assert estimate == true  # twelve names do not meet in four rows of 4,096


@given(st.lists(st.tuples(NAMES, st.integers(0, 2), st.floats(0, 40)), max_size=60), st.floats(0, 200))
def test_a_window_counts_the_last_minute(steps: list[tuple[str, int, float]], later: float) -> None:
    """Between what came in the last window alone, and everything of the last two."""
    cells, sketch, now = Cells(b"key", 4096, 3), window_sketch(4096, 3), 1000.0
    told: list[tuple[str, float]] = []
    for name, slot, pause in steps:
        now += pause
        told.append((name, now))
        sketch.add(cells.of(name), slot, 1, now)
    now += later
    window = now // WINDOW
    for name in {name for name, _, _ in steps}:
        this = sum(1 for one, when in told if one == name and when // WINDOW == window)
        last = sum(1 for one, when in told if one == name and when // WINDOW == window - 1)
        expected = this + last * (1 - now % WINDOW / WINDOW)
        assert sketch.estimate(cells.of(name), now) == pytest.approx(expected)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 20), st.floats(0, 59.9))
def test_wait_says_when_it_ends(before: int, current: int, limit: int, into: float) -> None:
    cells, sketch = Cells(b"key", 64, 1), window_sketch(64, 1)
    spot, now = cells.of("x"), 6000.0 + into
    sketch.add(spot, 0, before, 5999.0)
    sketch.add(spot, 0, current, now)
    wait = sketch.wait(spot, limit, now)
    assert sketch.estimate(spot, now + wait + 0.001) < limit
    if wait > 0.01:
        assert sketch.estimate(spot, now + wait - 0.01) >= limit


def test_taking_back_what_another_worker_counted() -> None:
    cells, sketch = Cells(b"key", 64, 2), window_sketch(64, 2)
    spot = cells.of("x")
    sketch.add(spot, 0, 3, 100.0)
    sketch.add(spot, 1, -5, 100.0)
    assert sketch.estimate(spot, 100.0) == 0


def test_cells_depend_on_the_key_and_stay_in_their_rows() -> None:
    first, second = Cells(b"one", 1024, 3), Cells(b"two", 1024, 3)
    assert first.of("x") == Cells(b"one", 1024, 3).of("x") != second.of("x")
    assert [cell // 3072 for cell in first.of("y")] == list(range(ROWS))


def test_processes_share_the_tables() -> None:
    tables = Tables(2, b"key")
    spot = tables.cells.of("imap 192.0.2.1")
    pid = os.fork()
    if not pid:
        tables.connections.add(spot, 1, 7)
        tables.failures.add(tables.few.of("n"), 1, 2, 100.0)
        os._exit(0)
    os.waitpid(pid, 0)
    tables.connections.add(spot, 0, 1)
    assert tables.connections.estimate(spot) == 8
    assert tables.failures.estimate(tables.few.of("n"), 100.0) == 2
    tables.forget(1)
    assert tables.connections.estimate(spot) == 1
    assert tables.failures.estimate(tables.few.of("n"), 100.0) == 0


def test_a_full_house_does_not_shut_strangers_out() -> None:
    """40,000 connections from as many addresses: a stranger's estimate stays far below the limit of 25."""
    tables = Tables(1, b"key")
    for number in range(40_000):
        tables.connections.add(tables.cells.of(f"imap 10.{number >> 8}.{number & 255}.1"), 0, 1)
    worst = max(tables.connections.estimate(tables.cells.of(f"imap 192.0.2.{number}")) for number in range(256))
    assert worst <= 3
