r"""The messages that one session was the first to be told of: \Recent (RFC 3501 2.3.2).

A flag of the session, not of the message: it is no column of a page, but a few ranges of UIDs beside the view, put
into the flags as they are printed. The store keeps up to which UID messages were told to anybody (AccountStore.recent).
Owns: the ranges. Standards: RFC 3501 2.3.2, 6.4.4 (RECENT, NEW, OLD), 7.3.2; RFC 9051 Appendix E (it is gone there).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from postroom.store.api import Snapshot
from postroom.values.flags import RECENT

_WITH: Final = bytes(octet | RECENT for octet in range(256))
#: ranges of one session; beyond that the oldest are recent no more
_MOST: Final = 1000


class Recent:
    """UIDs as ascending, disjoint ranges, the end not included."""

    __slots__ = ("_ends", "_firsts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._ends)

    def add(self, first: int, end: int) -> None:
        """UIDs first..end (not including end), above all there are, have come to this session first."""
        if first >= end:
            return
        if self._ends and self._ends[-1] >= first:
            self._ends[-1] = end
            return
        if len(self._ends) >= _MOST:
            del self._firsts[0], self._ends[0]
        self._firsts.append(first)
        self._ends.append(end)

    def count(self, snapshot: Snapshot) -> int:
        """How many of them the mailbox has."""
        return sum(
            snapshot.seq_at_or_after(end) - snapshot.seq_at_or_after(first)
            for first, end in zip(self._firsts, self._ends, strict=True)
        )

    def places(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """Where they stand in an ascending column of UIDs: (begin, end)."""
        if not uids or not self._ends:
            return []
        found = []
        for number in range(bisect_right(self._ends, uids[0]), len(self._ends)):
            if self._firsts[number] > uids[-1]:
                break
            begin, end = bisect_left(uids, self._firsts[number]), bisect_left(uids, self._ends[number])
            if begin < end:
                found.append((begin, end))
        return found

    def marked(self, uids: Sequence[int], flags: bytes) -> bytes:
        """A column of flags with the flag where it belongs; uids: the same messages', ascending."""
        places = self.places(uids)
        if not places:
            return flags
        octets = bytearray(flags)
        for begin, end in places:
            octets[begin:end] = octets[begin:end].translate(_WITH)
        return bytes(octets)
