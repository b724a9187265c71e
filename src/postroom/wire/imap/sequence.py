"""Sequence sets: sets of message numbers or UIDs as ranges (RFC 9051 9: sequence-set).

Purpose: read them, put them in order, cut them to what exists, and print them short.
Trust: sets come from clients: any order, overlaps, "*", numbers that do not exist.
Standards: RFC 9051 4.1.1 and 9, RFC 5182 ("$").
On failure: BadSyntax.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, compress, islice
from operator import ne
from typing import Final

import msgspec

from postroom.wire.imap.commands import SAVED, STAR, SequenceSet
from postroom.wire.imap.errors import BadSyntax

_NUMBER: Final = rb"(?:[1-9][0-9]{0,9}|\*)"
_RANGE: Final = _NUMBER + rb"(?::" + _NUMBER + rb")?"
_SET: Final = re.compile(_RANGE + rb"(?:," + _RANGE + rb")*")
_COMMON: Final = re.compile(rb"([1-9]\d{0,8})(?::([1-9]\d{0,8}|\*))?")  # what clients send most
_MOST: Final = 2**32 - 1  # RFC 9051 9: nz-number is an unsigned 32-bit integer

_as_json: Final = msgspec.json.Encoder().encode

#: ranges in ascending order that neither overlap nor touch; both ends count; no STAR in it
Ranges = tuple[tuple[int, int], ...]


def parse(text: bytes) -> SequenceSet:
    """A sequence set as it was written; "$" gives SAVED. Raises BadSyntax."""
    common = _COMMON.fullmatch(text)
    if common:
        low, high = common.groups()
        first = int(low)
        return ((first, first if high is None else STAR if high == b"*" else int(high)),)
    if text == b"$":
        return SAVED
    if not _SET.fullmatch(text):
        raise BadSyntax("message set is not valid")
    ranges = []
    for item in text.replace(b"*", b"0").split(b","):
        low, _, high = item.partition(b":")
        first = int(low)
        last = int(high) if high else first
        if first > _MOST or last > _MOST:
            raise BadSyntax("number in message set is too large")
        ranges.append((first, last))
    return tuple(ranges)


def resolve(ranges: SequenceSet, largest: int) -> Ranges:
    """The set in ascending order, "*" replaced by largest, overlaps joined. Not cut to what exists.

    largest: the number of messages, or the largest UID (RFC 9051 9: seq-number); "*" in an empty mailbox (0) gives
    nothing. SAVED must have been replaced before.
    """
    if len(ranges) == 1:
        low, high = ranges[0]
        if 0 < low <= high:
            return ((low, high),)
    ordered = []
    for low, high in ranges:
        low, high = low or largest, high or largest
        if low and high:
            ordered.append((low, high) if low <= high else (high, low))
    return join(ordered)


def join(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges in any order as ascending ranges that neither overlap nor touch."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            if high > joined[-1][1]:
                joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return tuple(joined)


def intersect(ranges: Ranges, low: int, high: int) -> Ranges:
    """What of ascending ranges lies in low..high (both count)."""
    if not ranges or low > high:
        return ()
    if low <= ranges[0][0] and ranges[-1][1] <= high:
        return ranges
    return tuple((max(first, low), min(last, high)) for first, last in ranges if last >= low and first <= high)


def overlap(left: Ranges, right: Ranges) -> Ranges:
    """What two ascending sets have in common."""
    common = []
    place = 0
    for low, high in left:
        while place < len(right) and right[place][1] < low:
            place += 1
        ahead = place
        while ahead < len(right) and right[ahead][0] <= high:
            common.append((max(low, right[ahead][0]), min(high, right[ahead][1])))
            ahead += 1
    return tuple(common)


def contains(ranges: Ranges, number: int) -> bool:
    """True when number is in the ascending ranges; logarithmic."""
    place = bisect_right(ranges, (number, _MOST + 1)) - 1
    return place >= 0 and ranges[place][0] <= number <= ranges[place][1]


def size(ranges: Ranges) -> int:
    """How many numbers there are in ascending ranges."""
    return sum(high - low + 1 for low, high in ranges)


def numbers(ranges: Ranges) -> Iterable[int]:
    """Every number of ascending ranges."""
    return chain.from_iterable(range(low, high + 1) for low, high in ranges)


def ranges_of(ascending: Sequence[int]) -> Ranges:
    """Ascending distinct numbers (list or array) as ranges, without a Python step for each number."""
    count = len(ascending)
    if not count:
        return ()
    first, last = ascending[0], ascending[-1]
    if last - first == count - 1:
        return ((first, last),)
    # a range ends where the next number is not one more
    after = map((1).__add__, ascending)
    ends = list(compress(range(count), map(ne, islice(ascending, 1, None), after)))
    starts = [0, *map((1).__add__, ends)]
    ends.append(count - 1)
    return tuple(zip(map(ascending.__getitem__, starts), map(ascending.__getitem__, ends), strict=True))


def runs_of(numbers: Sequence[int]) -> Ranges:
    """Numbers in any order as ranges that keep it: a range holds numbers that follow each other (RFC 5267 3.2)."""
    if not numbers:
        return ()
    ends = list(compress(range(len(numbers)), map(ne, islice(numbers, 1, None), map((1).__add__, numbers))))
    starts = [0, *map((1).__add__, ends)]
    ends.append(len(numbers) - 1)
    return tuple(zip(map(numbers.__getitem__, starts), map(numbers.__getitem__, ends), strict=True))


def print_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """Ranges as text, in their order. An empty set prints as nothing: no response may contain it."""
    return b",".join([b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges])


def print_set(ascending: Sequence[int]) -> bytes:
    """Ascending distinct numbers as text, compressed."""
    return print_ranges(ranges_of(ascending))


def print_numbers(numbers: Sequence[int]) -> bytes:
    """Numbers as text, spaces between, in their order: as a JSON array that costs a tenth of printing each."""
    wanted = numbers if isinstance(numbers, list) else list(numbers)
    return _as_json(wanted)[1:-1].replace(b",", b" ")


def print_wire(ranges: SequenceSet) -> bytes:
    """A set as a client writes it: STAR as "*", SAVED as "$"."""
    if ranges == SAVED:
        return b"$"
    ends = [((b"%d" % low) if low != STAR else b"*", (b"%d" % high) if high != STAR else b"*") for low, high in ranges]
    return b",".join([low if low == high else low + b":" + high for low, high in ends])
