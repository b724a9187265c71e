"""Two states of a mailbox compared page by page.

`compare` walks the pages of both. A page that both share is passed on as it is; where they differ, the smallest
groups of old and new pages that cover the same UIDs are handed to a visitor, which works on whole columns.
UIDs only grow (RFC 9051 2.3.1.1), so in a group the rows with UIDs from `uidnext` on have arrived, old rows without a
new one have gone, and the rest stand side by side.
Owns nothing. Trusts: snapshots of one mailbox.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from operator import ne
from typing import Final, Protocol

from postroom.mailbox.selection import Rows, holds_all
from postroom.store.api import FlagChange, FlagOp, Page
from postroom.values.flags import VISIBLE

_EMPTY: Final = Page(array("I"), b"", array("Q"), array("Q"), array("Q"), array("I"), array("q"), array("I"))
#: rows that are spliced out or in one by one; beyond, a page is made anew
_FEW: Final = 6
_VISIBLE_ONLY: Final = bytes(octet & VISIBLE for octet in range(256))


class Visitor(Protocol):
    """Who looks at the difference."""

    def shared(self, pages: Sequence[Page]) -> None:
        """Both have these pages."""

    def group(self, olds: Sequence[Page], news: Sequence[Page]) -> None:
        """These old pages became these new ones; either side may be empty."""


def compare(olds: Sequence[Page], news: Sequence[Page], visitor: Visitor) -> None:
    """Walk both in the order of UIDs."""
    i = j = 0
    old_count, new_count = len(olds), len(news)
    while i < old_count and j < new_count:
        first_old, first_new = i, j
        while i < old_count and j < new_count and olds[i] is news[j]:
            i += 1
            j += 1
        if i > first_old:
            visitor.shared(olds[first_old:i])
        else:
            i, j = _group_end(olds, news, i, j)
            visitor.group(olds[first_old:i], news[first_new:j])
    if i < old_count or j < new_count:
        visitor.group(olds[i:], news[j:])


def _group_end(olds: Sequence[Page], news: Sequence[Page], i: int, j: int) -> tuple[int, int]:
    """Where the group that begins at (i, j) ends: no page behind it covers UIDs of one inside."""
    if olds[i].uids[-1] < news[j].uids[0]:
        return i + 1, j
    i, j = i + 1, j + 1
    while True:
        if j < len(news) and news[j].uids[0] <= olds[i - 1].uids[-1]:
            j += 1
        elif i < len(olds) and olds[i].uids[0] <= news[j - 1].uids[-1]:
            i += 1
        else:
            return i, j


class Told:
    """Collects what a client must be told, and the pages it knows afterwards."""

    __slots__ = ("_by_modseq", "_keep", "_old_rows", "_uidnext", "arrived", "gone", "pages", "rows", "seq", "vanished")

    def __init__(self, uidnext: int, *, keep_ghosts: bool, by_modseq: bool) -> None:
        self._uidnext = uidnext
        self._keep = keep_ghosts
        self._by_modseq = by_modseq
        self._old_rows = 0  # rows of old pages walked past
        self.seq = 1  # sequence number of the next row in the numbering after this
        self.pages: list[Page] = []
        self.gone: list[int] = []  # old sequence numbers
        self.vanished: list[int] = []  # their UIDs
        self.arrived = 0
        self.rows = Rows()

    def shared(self, pages: Sequence[Page]) -> None:
        self.pages.extend(pages)
        rows = sum(map(len, pages))
        self.seq += rows
        self._old_rows += rows

    def group(self, olds: Sequence[Page], news: Sequence[Page]) -> None:
        before, after = joined(olds), joined(news)
        common = bisect_left(after.uids, self._uidnext)
        gone = missing_places(before, after, common)
        for place in gone:
            self.gone.append(self._old_rows + place + 1)
            self.vanished.append(before.uids[place])
        kept = without(before, gone) if gone else before
        changed = self._changed(kept, after, common)
        if gone and self._keep:
            now = with_ghosts(after, before, gone)
            self.pages.append(now)
            self._tell(now, [bisect_left(now.uids, after.uids[place]) for place in changed])
            self.seq += len(now)
        else:
            self.pages.extend(news)
            self._tell(after, changed)
            self.seq += len(after)
        self._old_rows += len(before)
        self.arrived += len(after) - common

    def _changed(self, kept: Page, after: Page, common: int) -> Sequence[int]:
        if self._by_modseq:
            return differing(kept.modseqs[:common], after.modseqs[:common])
        return flag_differences(kept, after, common)

    def _tell(self, page: Page, places: Sequence[int]) -> None:
        if len(places) == len(page):
            self.rows.add_run(self.seq, page, 0, len(page))
        else:
            for place in places:
                self.rows.add(self.seq + place, page, place)


class Touched:
    """Collects the messages that came, or whose flags, keywords or MODSEQ are others now."""

    __slots__ = ("_uidnext", "uids")

    def __init__(self, uidnext: int) -> None:
        self._uidnext = uidnext
        self.uids: list[int] = []  # ascending

    def shared(self, pages: Sequence[Page]) -> None:
        return

    def group(self, olds: Sequence[Page], news: Sequence[Page]) -> None:
        before, after = joined(olds), joined(news)
        common = bisect_left(after.uids, self._uidnext)
        gone = missing_places(before, after, common)
        kept = without(before, gone) if gone else before
        places = {*flag_differences(kept, after, common), *differing(kept.modseqs[:common], after.modseqs[:common])}
        self.uids += [after.uids[place] for place in sorted(places)]
        self.uids += after.uids[common:]


class Believed:
    """Builds the pages a client believes in after its own STORE of `uids`, and the rows where that would be wrong.

    The rows of the messages it stored become the new ones; all other rows stay as they were told, gone messages
    included, and what arrived is left out.
    """

    __slots__ = ("_bits", "_change", "_table", "_uidnext", "_uids", "pages", "rows", "seq", "vanished")

    def __init__(self, uidnext: int, uids: Sequence[int], change: FlagChange, names: Sequence[str]) -> None:
        self._uidnext = uidnext
        self._uids = uids
        self._change = change
        self._bits = keyword_bits(change.keywords, names)
        self._table = flag_table(change)
        self.seq = 1
        self.pages: list[Page] = []
        self.vanished: list[int] = []
        self.rows = Rows()

    def shared(self, pages: Sequence[Page]) -> None:
        self.pages.extend(pages)
        self.seq += sum(map(len, pages))

    def group(self, olds: Sequence[Page], news: Sequence[Page]) -> None:
        before, after = joined(olds), joined(news)
        common = bisect_left(after.uids, self._uidnext)
        gone = missing_places(before, after, common)
        self.vanished.extend(before.uids[place] for place in gone)
        kept = without(before, gone) if gone else before
        stored = self._stored_places(after, common)
        if len(stored) == common == len(after) and not gone:
            now = after
            self.pages.extend(news)
        else:
            # the client's rows, with those it stored replaced by what they are now
            now = replaced(kept, after, stored)
            now = with_ghosts(now, before, gone) if gone else now
            if len(now):
                self.pages.append(now)
        wrong = self._wrong(kept, after, stored)
        for place in wrong:
            where = bisect_left(now.uids, after.uids[place])
            self.rows.add(self.seq + where, now, where)
        self.seq += len(now)

    def _stored_places(self, after: Page, common: int) -> Sequence[int]:
        """Which of the common rows the client stored, ascending."""
        if not common:
            return ()
        lo, hi = bisect_left(self._uids, after.uids[0]), bisect_right(self._uids, after.uids[common - 1])
        here = after.uids[:common]
        if holds_all(here, self._uids, lo, hi):
            return range(common)
        asked = set(self._uids[lo:hi])
        return [place for place, uid in enumerate(here) if uid in asked]

    def _wrong(self, kept: Page, after: Page, stored: Sequence[int]) -> list[int]:
        """Stored rows whose flags are not what the client reckons from what it was told."""
        flags = kept.flags.translate(self._table)
        keywords = self._keywords(kept)
        actual = after.flags.translate(_VISIBLE_ONLY)
        size = len(kept)
        if flags == actual[:size] and keywords == after.keywords[:size]:
            return []
        return [place for place in stored if flags[place] != actual[place] or keywords[place] != after.keywords[place]]

    def _keywords(self, kept: Page) -> Sequence[int]:
        bits, op = self._bits, self._change.op
        if op is FlagOp.REPLACE:
            return array("Q", [bits]) * len(kept)
        if not bits:
            return kept.keywords
        if op is FlagOp.ADD:
            return array("Q", [value | bits for value in kept.keywords])
        return array("Q", [value & ~bits for value in kept.keywords])


def flag_table(change: FlagChange) -> bytes:
    """For bytes.translate: an octet of flags to the visible flags after the change."""
    bits = change.bits & VISIBLE
    if change.op is FlagOp.REPLACE:
        return bytes([bits]) * 256
    if change.op is FlagOp.ADD:
        return bytes((octet | bits) & VISIBLE for octet in range(256))
    return bytes(octet & ~bits & VISIBLE for octet in range(256))


def keyword_bits(wanted: Sequence[str], names: Sequence[str]) -> int:
    """The bit set of keyword names over a snapshot's names; case does not matter (RFC 9051 2.3.2)."""
    if not wanted:
        return 0
    folded = {name.lower() for name in wanted}
    return sum(1 << place for place, name in enumerate(names) if name.lower() in folded)


def flag_differences(before: Page, after: Page, common: int) -> Sequence[int]:
    """Places among the first `common` rows whose visible flags or keywords differ."""
    old, new = before.flags[:common], after.flags[:common]
    found: Sequence[int] = ()
    if old != new:
        found = _differing_octets(old.translate(_VISIBLE_ONLY), new.translate(_VISIBLE_ONLY))
    old_words, new_words = before.keywords[:common], after.keywords[:common]
    if old_words != new_words:
        found = sorted({*found, *differing(old_words, new_words)})
    return found


def differing(one: Sequence[int], other: Sequence[int]) -> Sequence[int]:
    """Places where two columns of one length differ."""
    if one == other:
        return ()
    return list(compress(range(len(one)), map(ne, one, other)))


def _differing_octets(one: bytes, other: bytes) -> Sequence[int]:
    """The same for octets, all of them compared at once."""
    odds = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return list(compress(range(len(one)), odds.to_bytes(len(one), "little"))) if odds else ()


def missing_places(before: Page, after: Page, common: int) -> Sequence[int]:
    """Places in `before` of messages that `after` has no more."""
    if common == len(before):
        return ()
    present = set(after.uids[:common])
    return [place for place, uid in enumerate(before.uids) if uid not in present]


def joined(pages: Sequence[Page]) -> Page:
    """One page with all rows; the page itself when there is but one."""
    if len(pages) == 1:
        return pages[0]
    return spliced([(page, 0, len(page)) for page in pages])


def without(page: Page, places: Sequence[int]) -> Page:
    """The page without the rows at these places, ascending."""
    if len(places) > _FEW:
        stays = bytearray(b"\1") * len(page)
        for place in places:
            stays[place] = 0
        return picked(page, lambda column: compress(column, stays))
    pieces = []
    begin = 0
    for place in places:
        pieces.append((page, begin, place))
        begin = place + 1
    pieces.append((page, begin, len(page)))
    return spliced(pieces)


def with_ghosts(now: Page, before: Page, gone: Sequence[int]) -> Page:
    """`now` with the rows of `before` at places `gone` put back where their UIDs belong."""
    if len(gone) > _FEW:
        both = joined((now, before))
        rows = [*range(len(now)), *[len(now) + place for place in gone]]
        rows.sort(key=both.uids.__getitem__)
        return picked(both, lambda column: map(column.__getitem__, rows))
    pieces = []
    begin = 0
    for place in gone:
        end = bisect_left(now.uids, before.uids[place])
        pieces.append((now, begin, end))
        pieces.append((before, place, place + 1))
        begin = end
    pieces.append((now, begin, len(now)))
    return spliced(pieces)


def picked(page: Page, pick: Callable[[Sequence[int]], Iterable[int]]) -> Page:
    """A page of what `pick` takes of each column."""
    return Page(
        array("I", pick(page.uids)),
        bytes(pick(page.flags)),
        array("Q", pick(page.keywords)),
        array("Q", pick(page.modseqs)),
        array("Q", pick(page.messages)),
        array("I", pick(page.sizes)),
        array("q", pick(page.dates)),
        array("I", pick(page.saved)),
    )


def replaced(kept: Page, after: Page, places: Sequence[int]) -> Page:
    """`kept` with its rows at `places` taken from `after`, whose first rows stand beside those of `kept`."""
    pieces = []
    begin = 0
    for place in places:
        pieces.append((kept, begin, place))
        pieces.append((after, place, place + 1))
        begin = place + 1
    pieces.append((kept, begin, len(kept)))
    return spliced(pieces)


def spliced(pieces: Sequence[tuple[Page, int, int]]) -> Page:
    """One page made of pieces (page, begin, end)."""
    if not pieces:
        pieces = [(_EMPTY, 0, 0)]
    first, begin, end = pieces[0]
    uids, keywords, modseqs = first.uids[begin:end], first.keywords[begin:end], first.modseqs[begin:end]
    messages, sizes, dates = first.messages[begin:end], first.sizes[begin:end], first.dates[begin:end]
    saved = first.saved[begin:end]
    for page, begin, end in pieces[1:]:
        if begin < end:
            uids += page.uids[begin:end]
            keywords += page.keywords[begin:end]
            modseqs += page.modseqs[begin:end]
            messages += page.messages[begin:end]
            sizes += page.sizes[begin:end]
            dates += page.dates[begin:end]
            saved += page.saved[begin:end]
    flags = b"".join([page.flags[begin:end] for page, begin, end in pieces])
    return Page(uids, flags, keywords, modseqs, messages, sizes, dates, saved)
