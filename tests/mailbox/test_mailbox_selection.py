"""What sequence sets name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mailbox_model import Message, page_of

from postroom.mailbox.errors import BadSequence
from postroom.mailbox.selection import merged, of_uids, resolve
from postroom.mailbox.view import View
from postroom.store.api import Snapshot
from postroom.wire.imap.commands import SAVED, STAR, SequenceSet


def snapshot(uids: list[int], size: int = 3, modseqs: list[int] | None = None) -> Snapshot:
    rows = [Message(uid, modseq=modseq) for uid, modseq in zip(uids, modseqs or [1] * len(uids), strict=True)]
    pages = [page_of(rows[at : at + size]) for at in range(0, len(rows), size)]
    return Snapshot(1, 1, (uids[-1] if uids else 0) + 5, 9, pages)


@pytest.mark.parametrize(
    ("wanted", "uid", "uids"),
    [
        (((1, 3),), False, [2, 4, 6]),
        (((3, 1),), False, [2, 4, 6]),
        (((STAR, STAR),), False, [12]),
        (((5, STAR),), False, [10, 12]),
        (((6, 6), (1, 2), (2, 3)), False, [2, 4, 6, 12]),
        (((1, STAR),), True, [2, 4, 6, 8, 10, 12]),
        (((5, 9),), True, [6, 8]),
        (((9, 5),), True, [6, 8]),
        (((3, 3), (5, 5)), True, []),
        (((100, STAR),), True, [12]),  # RFC 9051 9: n:* always holds the last message
        (((100, 200),), True, []),
        (((STAR, STAR),), True, [12]),
        (((4, 4), (4, 6), (2, 2)), True, [2, 4, 6]),
        (((2, 4_294_967_295),), True, [2, 4, 6, 8, 10, 12]),
        (SAVED, True, [4, 12]),
        (SAVED, False, [4, 12]),
    ],
)
def test_sets(wanted: SequenceSet, uid: bool, uids: list[int]) -> None:
    chosen = resolve(snapshot([2, 4, 6, 8, 10, 12]), wanted, uid=uid, saved=(3, 4, 5, 12, 99))
    assert chosen.uids() == uids
    assert chosen.seqs() == [value // 2 for value in uids]
    assert chosen.messages() == [1000 + value for value in uids]
    assert len(chosen) == len(uids)
    assert [row[:2] for row in chosen.rows()] == [(value // 2, value) for value in uids]


@pytest.mark.parametrize("wanted", [((7, 7),), ((1, 7),), ((STAR, 8),), ((1, 2), (9, 9))])
def test_numbers_that_are_not_there(wanted: SequenceSet) -> None:
    with pytest.raises(BadSequence):
        resolve(snapshot([2, 4, 6, 8, 10, 12]), wanted, uid=False)


def test_an_empty_mailbox() -> None:
    empty = View(snapshot([]))
    assert empty.resolve(((1, STAR),), uid=True).uids() == []
    assert empty.resolve(SAVED, uid=False).uids() == []
    with pytest.raises(BadSequence):
        empty.resolve(((1, STAR),), uid=False)


_UIDS = st.lists(st.integers(1, 60), unique=True, max_size=25).map(sorted)


@given(_UIDS, _UIDS, st.integers(1, 9))
@settings(max_examples=100)
def test_uids_that_are_there(present: list[int], asked: list[int], size: int) -> None:
    chosen = of_uids(snapshot(present, size), asked)
    assert chosen.uids() == [uid for uid in present if uid in set(asked)]
    assert all(first <= last for first, last in chosen.ranges)
    assert all(one[1] + 1 < other[0] for one, other in zip(chosen.ranges, chosen.ranges[1:], strict=False))


_RANGES = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), min_size=1, max_size=6).map(tuple)


@given(_UIDS, _RANGES, st.integers(1, 9))
@settings(max_examples=100)
def test_uid_sets_mean_what_they_say(present: list[int], wanted: SequenceSet, size: int) -> None:
    top = present[-1] if present else 0
    meant = set()
    for low, high in wanted:
        low, high = low or top, high or top
        meant |= set(range(min(low, high), max(low, high) + 1))
    assert resolve(snapshot(present, size), wanted, uid=True).uids() == [uid for uid in present if uid in meant]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 6)).map(lambda pair: (pair[0], sum(pair))), max_size=9))
def test_merged_ranges_hold_the_same_numbers(ranges: list[tuple[int, int]]) -> None:
    out = merged(ranges)
    numbers = [number for first, last in out for number in range(first, last + 1)]
    assert numbers == sorted({number for first, last in ranges for number in range(first, last + 1)})


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(0, 10), st.integers(1, 9))
def test_changed_since(modseqs: list[int], since: int, size: int) -> None:
    uids = list(range(1, len(modseqs) + 1))
    chosen = resolve(snapshot(uids, size, modseqs), ((1, STAR),), uid=True).changed_since(since)
    assert chosen.uids() == [uid for uid, modseq in zip(uids, modseqs, strict=True) if modseq > since]


def test_saved_forgets_what_was_expunged() -> None:
    view = View(snapshot([2, 4, 6]))
    view.save([2, 6])
    assert view.resolve(SAVED, uid=True).seqs() == [1, 3]
    view.changes(Snapshot(1, 1, 11, 10, [page_of([Message(4), Message(6)])]), expunge_ok=True)
    assert view.resolve(SAVED, uid=True).seqs() == [2]
