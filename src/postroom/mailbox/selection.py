"""Messages picked out of a snapshot: rows for a reply, and what a sequence set means.

Owns nothing; everything here refers to immutable snapshots. Sequence sets come from clients and may name anything.
Standards: RFC 9051 9 (sequence-set, seq-range, uid-set), RFC 5182 ("$"), RFC 7162 3.1.4.1 (CHANGEDSINCE).
On failure: BadSequence for a message sequence number that is not there; UIDs that are not there are ignored.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Final

from postroom.mailbox.errors import BadSequence
from postroom.store.api import Page, Snapshot
from postroom.wire.imap.commands import STAR, SequenceSet


class Rows:
    """Columns of messages to tell a client about, all of one length; iterating gives tuples in that order.

    seqs: sequence numbers; uids; flags: octets of values.flags; keywords: bit sets over the snapshot's names; modseqs.
    """

    __slots__ = ("flags", "keywords", "modseqs", "seqs", "uids")

    def __init__(self) -> None:
        self.seqs: Final[list[int]] = []
        self.uids: Final[list[int]] = []
        self.flags = bytearray()
        self.keywords: Final[list[int]] = []
        self.modseqs: Final[list[int]] = []

    def __len__(self) -> int:
        return len(self.seqs)

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        return zip(self.seqs, self.uids, self.flags, self.keywords, self.modseqs, strict=True)

    def add_run(self, seq: int, page: Page, begin: int, end: int) -> None:
        """Add the rows begin..end (not including end) of a page; the first has sequence number seq."""
        self.seqs.extend(range(seq, seq + end - begin))
        self.uids.extend(page.uids[begin:end])
        self.flags += page.flags[begin:end]
        self.keywords.extend(page.keywords[begin:end])
        self.modseqs.extend(page.modseqs[begin:end])

    def add(self, seq: int, page: Page, place: int) -> None:
        """Add one row of a page."""
        self.seqs.append(seq)
        self.uids.append(page.uids[place])
        self.flags.append(page.flags[place])
        self.keywords.append(page.keywords[place])
        self.modseqs.append(page.modseqs[place])


class Selection:
    """Messages of one snapshot as ascending, disjoint ranges of sequence numbers (first, last)."""

    __slots__ = ("ranges", "snapshot")

    def __init__(self, snapshot: Snapshot, ranges: Sequence[tuple[int, int]]) -> None:
        self.snapshot: Final = snapshot
        self.ranges: Final = ranges

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def runs(self) -> Iterator[tuple[int, Page, int, int]]:
        """The messages as (sequence number of the first, page, begin, end), ascending."""
        for first, last in self.ranges:
            yield from self.snapshot.runs(first, last)

    def seqs(self) -> list[int]:
        """Sequence numbers, ascending."""
        return [seq for first, last in self.ranges for seq in range(first, last + 1)]

    def uids(self) -> list[int]:
        """UIDs, ascending."""
        found: list[int] = []
        for _, page, begin, end in self.runs():
            found.extend(page.uids[begin:end])
        return found

    def messages(self) -> list[int]:
        """Message ids, in the order of the messages."""
        found: list[int] = []
        for _, page, begin, end in self.runs():
            found.extend(page.messages[begin:end])
        return found

    def rows(self) -> Rows:
        """All of them as rows."""
        rows = Rows()
        for seq, page, begin, end in self.runs():
            rows.add_run(seq, page, begin, end)
        return rows

    def part(self, places: slice) -> Selection:
        """Those at some places, counted from 0."""
        begin, end, _ = places.indices(len(self))
        ranges: list[tuple[int, int]] = []
        at = 0
        for first, last in self.ranges:
            low, high = max(begin - at, 0), min(end - at, last - first + 1)
            if low < high:
                ranges.append((first + low, first + high - 1))
            at += last - first + 1
        return Selection(self.snapshot, ranges)

    def changed_since(self, modseq: int) -> Selection:
        """Those whose MODSEQ is above `modseq` (RFC 7162 3.1.4.1)."""
        ranges: list[tuple[int, int]] = []
        for seq, page, begin, end in self.runs():
            found = page.modseqs[begin:end]
            if max(found) <= modseq:
                continue
            if min(found) > modseq:
                ranges.append((seq, seq + end - begin - 1))
                continue
            hits = compress(range(seq, seq + end - begin), [value > modseq for value in found])
            ranges.extend((hit, hit) for hit in hits)
        return Selection(self.snapshot, merged(ranges))


def of_uids(snapshot: Snapshot, uids: Sequence[int]) -> Selection:
    """The messages with these UIDs (ascending); UIDs that are not there are left out."""
    ranges: list[tuple[int, int]] = []
    start = 1
    for page in snapshot.pages:
        lo, hi = bisect_left(uids, page.uids[0]), bisect_right(uids, page.uids[-1])
        if holds_all(page.uids, uids, lo, hi):
            ranges.append((start, start + len(page) - 1))
        elif lo < hi:
            ranges.extend(_present(page, uids[lo:hi], start))
        start += len(page)
    return Selection(snapshot, merged(ranges))


def holds_all(here: array[int], uids: Sequence[int], lo: int, hi: int) -> bool:
    """Whether uids[lo:hi], those between the first and last of `here`, are exactly `here`; both ascending."""
    count = len(here)
    if hi - lo != count:
        return False
    # as many as there can be between the first and the last: nothing to compare
    return here[-1] - here[0] + 1 == count or list(uids[lo:hi]) == here.tolist()


def _present(page: Page, uids: Sequence[int], start: int) -> Iterator[tuple[int, int]]:
    here, place = page.uids, 0
    for uid in uids:
        place = bisect_left(here, uid, place)
        if place < len(here) and here[place] == uid:
            yield start + place, start + place


def merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers as ascending ranges that neither overlap nor touch."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            if last > out[-1][1]:
                out[-1] = (out[-1][0], last)
        else:
            out.append((first, last))
    return out


def resolve(snapshot: Snapshot, wanted: SequenceSet, *, uid: bool, saved: Sequence[int] = ()) -> Selection:
    """What a set of sequence numbers (or UIDs) names in this snapshot; saved: UIDs that "$" stands for, ascending.

    RFC 9051 9: the order within a range does not matter, and n:* always holds the last message. Raises BadSequence
    for a sequence number (not a UID) above the number of messages, "*" of an empty mailbox included.
    """
    ranges: list[tuple[int, int]] = []
    for low, high in wanted:
        if low < 0:
            ranges.extend(of_uids(snapshot, saved).ranges)
        elif uid:
            ranges.extend(_uid_range(snapshot, low, high))
        else:
            ranges.append(_seq_range(len(snapshot), low, high))
    return Selection(snapshot, ranges if len(ranges) == 1 else merged(ranges))


def _seq_range(count: int, low: int, high: int) -> tuple[int, int]:
    low = count if low == STAR else low
    high = count if high == STAR else high
    if low > high:
        low, high = high, low
    if low < 1 or high > count:
        raise BadSequence(f"There are {count} messages")
    return low, high


def _uid_range(snapshot: Snapshot, low: int, high: int) -> Iterator[tuple[int, int]]:
    low = snapshot.max_uid if low == STAR else low
    high = snapshot.max_uid if high == STAR else high
    if low > high:
        low, high = high, low
    first, last = snapshot.seq_at_or_after(low), snapshot.seq_at_or_after(high + 1) - 1
    if first <= last:
        yield first, last
