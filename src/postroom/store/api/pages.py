"""A mailbox in memory: immutable pages of packed columns.

A page holds up to a few hundred messages, one array per column, UIDs ascending. A snapshot is a tuple of pages and
the mailbox's numbers at one MODSEQ. Nothing here changes after it is made: a commit makes new pages for what it
touched and a new snapshot that shares the rest, so comparing two snapshots skips the pages they share by identity,
and any number of sessions hold one snapshot at the cost of a pointer.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final


class Page:
    """Columns of consecutive messages, all of one length, ordered by UID.

    uids: 'I'; flags: octets of values.flags bits; keywords: 'Q' bit sets over Snapshot.keywords; modseqs: 'Q';
    messages: 'Q' message ids; sizes: 'I' octets; dates: 'q' INTERNALDATE in Unix seconds; saved: 'I' Unix seconds when
    the message came into this mailbox (RFC 8514).
    """

    __slots__ = ("dates", "flags", "keywords", "messages", "modseqs", "saved", "sizes", "uids")

    def __init__(  # noqa: PLR0913 - one argument per column
        self,
        uids: array[int],
        flags: bytes,
        keywords: array[int],
        modseqs: array[int],
        messages: array[int],
        sizes: array[int],
        dates: array[int],
        saved: array[int],
    ) -> None:
        self.uids: Final = uids
        self.flags: Final = flags
        self.keywords: Final = keywords
        self.modseqs: Final = modseqs
        self.messages: Final = messages
        self.sizes: Final = sizes
        self.dates: Final = dates
        self.saved: Final = saved

    def __len__(self) -> int:
        return len(self.flags)

    def reflagged(self, flags: bytes, modseqs: array[int]) -> Page:
        """The same messages with other flags."""
        return Page(self.uids, flags, self.keywords, modseqs, self.messages, self.sizes, self.dates, self.saved)


class Snapshot:
    """A mailbox at one MODSEQ. Sequence numbers count from 1; an absent UID is None."""

    __slots__ = ("_first_uids", "_starts", "keywords", "mailbox", "modseq", "pages", "uidnext", "uidvalidity")

    _first_uids: list[int]
    _starts: list[int]  # sequence numbers before each page, and the last of all

    def __init__(
        self,
        mailbox: int,
        uidvalidity: int,
        uidnext: int,
        modseq: int,
        pages: Sequence[Page] = (),
        keywords: tuple[str, ...] = (),
    ) -> None:
        self.mailbox: Final = mailbox
        self.uidvalidity: Final = uidvalidity
        self.uidnext: Final = uidnext
        self.modseq: Final = modseq
        self.pages: Final = tuple([page for page in pages if page.flags])
        self.keywords: Final = keywords

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> list[int]:
            """Where the pages begin, when somebody first asks: most snapshots are made and never looked into."""
            if name == "_starts":
                self._starts = found = [0, *accumulate([len(page.flags) for page in self.pages])]
            elif name == "_first_uids":
                self._first_uids = found = [page.uids[0] for page in self.pages]
            else:
                raise AttributeError(name)
            return found

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def max_uid(self) -> int:
        """The largest UID there is, 0 in an empty mailbox."""
        return self.pages[-1].uids[-1] if self.pages else 0

    def locate(self, seq: int) -> tuple[Page, int]:
        """Page and place of sequence number seq. Raises IndexError outside 1..len."""
        if not 1 <= seq <= self._starts[-1]:
            raise IndexError(seq)
        number = bisect_right(self._starts, seq - 1) - 1
        return self.pages[number], seq - 1 - self._starts[number]

    def uid(self, seq: int) -> int:
        """The UID of sequence number seq. Raises IndexError."""
        page, place = self.locate(seq)
        return page.uids[place]

    def seq(self, uid: int) -> int | None:
        """The sequence number of a UID, or None when it is not there."""
        number = bisect_right(self._first_uids, uid) - 1
        if number < 0:
            return None
        uids = self.pages[number].uids
        place = bisect_left(uids, uid)
        if place < len(uids) and uids[place] == uid:
            return self._starts[number] + place + 1
        return None

    def seq_at_or_after(self, uid: int) -> int:
        """The lowest sequence number whose UID is at least uid; len + 1 when there is none."""
        number = bisect_right(self._first_uids, uid) - 1
        if number < 0:
            return 1
        return self._starts[number] + bisect_left(self.pages[number].uids, uid) + 1

    def runs(self, first: int, last: int) -> Iterator[tuple[int, Page, int, int]]:
        """Sequence numbers first..last as (seq of the run's first message, page, begin, end) within pages."""
        first, last = max(first, 1), min(last, self._starts[-1])
        number = bisect_right(self._starts, first - 1) - 1
        while first <= last:
            start = self._starts[number]
            page = self.pages[number]
            begin, end = first - 1 - start, min(last - start, len(page))
            yield first, page, begin, end
            first = start + end + 1
            number += 1

    def keyword_names(self, bits: int) -> list[str]:
        """The names of a keyword bit set, in the order the mailbox learned them."""
        names = []
        for place, name in enumerate(self.keywords):
            if bits >> place & 1:
                names.append(name)
        return names
