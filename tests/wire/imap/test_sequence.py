"""Sequence sets against plain Python sets."""

from __future__ import annotations

import itertools
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.wire.imap import sequence
from postroom.wire.imap.commands import SAVED
from postroom.wire.imap.errors import BadSyntax

ENDS = st.integers(0, 60)  # 0 is "*"
SETS = st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=12).map(tuple)
SORTED = st.sets(st.integers(1, 200), max_size=80).map(sorted)


def model(ranges: tuple[tuple[int, int], ...], largest: int) -> set[int]:
    found: set[int] = set()
    for low, high in ranges:
        low, high = low or largest, high or largest
        if low and high:
            found |= set(range(min(low, high), max(low, high) + 1))
    return found


@given(SETS)
def test_print_then_parse(ranges: tuple[tuple[int, int], ...]) -> None:
    assert sequence.parse(sequence.print_wire(ranges)) == ranges


@given(SETS, st.integers(0, 70))
def test_resolve(ranges: tuple[tuple[int, int], ...], largest: int) -> None:
    resolved = sequence.resolve(ranges, largest)
    expected = model(ranges, largest)
    assert list(sequence.numbers(resolved)) == sorted(expected)
    assert sequence.size(resolved) == len(expected)
    for (_, high), (low, _) in itertools.pairwise(resolved):
        assert high + 1 < low
    for number in range(0, 75):
        assert sequence.contains(resolved, number) == (number in expected)


@given(SORTED, st.integers(0, 210), st.integers(0, 210))
def test_intersect(numbers: list[int], low: int, high: int) -> None:
    cut = sequence.intersect(sequence.ranges_of(numbers), low, high)
    assert list(sequence.numbers(cut)) == [number for number in numbers if low <= number <= high]


@given(SORTED, SORTED)
def test_overlap(left: list[int], right: list[int]) -> None:
    common = sequence.overlap(sequence.ranges_of(left), sequence.ranges_of(right))
    assert list(sequence.numbers(common)) == sorted(set(left) & set(right))


@given(SORTED)
def test_ranges_of_lists_and_arrays(numbers: list[int]) -> None:
    ranges = sequence.ranges_of(numbers)
    assert list(sequence.numbers(ranges)) == numbers
    assert ranges == sequence.join((number, number) for number in numbers)
    assert sequence.ranges_of(array("I", numbers)) == ranges
    assert sequence.print_set(numbers) == sequence.print_ranges(ranges)


def test_text() -> None:
    assert sequence.parse(b"2,4:7,9,12:*") == ((2, 2), (4, 7), (9, 9), (12, 0))
    assert sequence.parse(b"*:4") == ((0, 4),)
    assert sequence.parse(b"4294967295") == ((4294967295, 4294967295),)
    assert sequence.parse(b"$") == SAVED
    assert sequence.print_wire(SAVED) == b"$"
    assert sequence.print_set([1, 2, 3, 5, 7, 8]) == b"1:3,5,7:8"
    assert sequence.print_set([]) == b""
    assert sequence.resolve(((3291, 0),), 100) == ((100, 3291),)  # RFC 9051 9: 3291:* has the last message in it


@pytest.mark.parametrize(
    "text", [b"", b"0", b"01", b"1,", b",1", b"1:", b":1", b"a", b"1-2", b"$,1", b"4294967296", b" 1"]
)
def test_bad_sets(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        sequence.parse(text)
