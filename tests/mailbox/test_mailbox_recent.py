"""Ranges of recent messages."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from postroom.mailbox.recent import Recent
from postroom.store.api import Page, Snapshot
from postroom.values.flags import RECENT


def page(uids: list[int]) -> Page:
    zeros = [0] * len(uids)
    longs = array("Q", zeros)
    return Page(
        array("I", uids), bytes(zeros), longs, longs, longs, array("I", zeros), array("q", zeros), array("I", zeros)
    )


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), max_size=12),
    st.sets(st.integers(1, 60), min_size=1),
    st.integers(1, 20),
)
def test_they_behave_like_a_set(steps: list[tuple[int, int]], present: set[int], size: int) -> None:
    recent, model, at = Recent(), set(), 1
    for gap, length in steps:
        recent.add(at + gap, at + gap + length)
        model.update(range(at + gap, at + gap + length))
        at += gap + length
    uids = sorted(present)
    assert bool(recent) == bool(model)
    assert recent.marked(uids, bytes(len(uids))) == bytes(RECENT if uid in model else 0 for uid in uids)
    snapshot = Snapshot(1, 1, 100, 1, [page(uids[begin : begin + size]) for begin in range(0, len(uids), size)])
    assert recent.count(snapshot) == len(model & present)


def test_their_number_is_bounded() -> None:
    recent = Recent()
    for number in range(5000):
        recent.add(3 * number + 1, 3 * number + 2)
    assert len(recent.places(range(1, 20_000))) == 1000
    assert recent.places([]) == []
