"""Orders that are brought up to date are those that sorting gives."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailbox.slices import EachTime
from postroom.mailbox.sorting import Known, less, more, order_of
from postroom.wire.imap.commands import SortBy, SortCriterion


async def known_of(uids: list[int], numbers: dict[int, int], *, reverse: bool) -> Known:
    column = array("q", [numbers[uid] for uid in uids])
    order = await order_of(SortCriterion(SortBy.DATE, reverse), column, EachTime())
    return Known(array("I", uids), order, column)


@given(
    numbers=st.dictionaries(st.integers(1, 60), st.integers(-3, 3), min_size=1),
    then=st.sets(st.integers(1, 60)),
    new=st.lists(st.integers(-3, 3), max_size=8),
    reverse=st.booleans(),
)
@settings(max_examples=100, deadline=None)
async def test_growing_and_shrinking(numbers: dict[int, int], then: set[int], new: list[int], *, reverse: bool) -> None:
    before = sorted(numbers)
    known = await known_of(before, numbers, reverse=reverse)
    numbers |= dict(enumerate(new, before[-1] + 1))
    after = sorted((set(before) & then) | set(range(before[-1] + 1, before[-1] + 1 + len(new))))
    kept = less(known, array("I", after))
    if 4 * len(after) < len(before):
        assert kept is None
        return
    assert kept is not None
    grown = more(kept, array("I", after), array("q", new), reverse=reverse)
    assert grown == await known_of(after, numbers, reverse=reverse)
    assert known == await known_of(before, numbers, reverse=reverse)  # nobody's answer was touched


async def test_what_came_between_is_not_put_in() -> None:
    numbers = dict.fromkeys(range(10), 1)
    known = await known_of([1, 3, 5], numbers, reverse=False)
    assert less(known, array("I", [1, 2, 3, 5])) is None
    assert less(known, array("I", [1, 2, 5])) is None
    assert less(known, array("I", [1, 3, 5, *range(6, 1000)])) is None
    assert less(known, array("I", [1, 3, 5, 6])) == known
