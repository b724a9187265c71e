"""A mailbox while a transaction changes it: pages and counters in memory, written once when the unit commits.

So a batch of twenty deliveries into one mailbox writes its tail once. Pages hold up to FULL messages; new ones go to
a tail of at most TAIL, which lies in the mailbox's row and is joined to the page before it when it is full, so that a
delivery rewrites little. Page numbers only grow; a page keeps its number while it lives. The tail has the number LAST.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final

from msgspec import Struct

from postroom.store.api.errors import StoreError, TooManyKeywords
from postroom.store.api.pages import Page, Snapshot
from postroom.store.embedded.codec import RECORD, pack_tail, repeat
from postroom.store.embedded.columns import (
    Bits,
    change_flags,
    choose,
    cut,
    deleted,
    inverse,
    join,
    unseen,
)
from postroom.values import keywords
from postroom.values.flags import DELETED, SEEN

FULL: Final = 512
TAIL: Final = 48
LAST: Final = 2**31 - 1
_MERGE_BELOW: Final = FULL // 4
_MAX_UID: Final = 2**32 - 1
_NO_KEYWORDS: Final = array("Q", (0,))


class Image(Struct, frozen=True):
    """A mailbox as some commit left it: the snapshot, and the numbers its pages have on disk."""

    snapshot: Snapshot
    numbers: tuple[int, ...]


@dataclass(slots=True)
class Counters:
    """The mailbox's row."""

    id: int
    uidvalidity: int
    uidnext: int
    modseq: int
    messages: int
    unseen: int
    deleted: int
    size: int
    next_page: int
    history: int
    paged: int  # MODSEQ of the last change of pages outside the tail
    keywords: str  # names joined by line feeds
    tail: bytes


class Working:
    """One mailbox in one transaction."""

    __slots__ = ("_appended", "dropped", "fixed", "flags", "keywords", "now", "numbers", "origin", "pages", "row")

    def __init__(self, row: Counters, image: Image, now: int) -> None:
        """now: Unix seconds, the save date of what is added (RFC 8514 3)."""
        self.row = row
        self.now = now
        self.origin = image
        self.pages = list(image.snapshot.pages)
        self.numbers = list(image.numbers)
        self.keywords = image.snapshot.keywords
        self.fixed: set[int] = set()  # numbers of pages whose fixed columns must be written
        self.flags: set[int] = set()
        self.dropped: set[int] = set()
        self._appended: list[Page] = []  # not yet in pages

    @property
    def changed(self) -> bool:
        """Is there anything to write?"""
        return self.row.modseq != self.origin.snapshot.modseq

    def image(self) -> Image:
        """The mailbox as it stands."""
        self.settle()
        row = self.row
        snapshot = Snapshot(row.id, row.uidvalidity, row.uidnext, row.modseq, self.pages, self.keywords)
        return Image(snapshot, tuple(self.numbers))

    def keyword_bits(self, names: Sequence[str], *, learn: bool) -> int:
        """Keywords as bits; unknown ones are learned or left out. Raises TooManyKeywords having learned nothing."""
        if not names:
            return 0
        known = list(self.keywords)
        folded = {name.lower(): place for place, name in enumerate(known)}  # RFC 9051 2.3.2: case-insensitive
        bits = 0
        for name in names:
            place = folded.get(name.lower())
            if place is None:
                if not learn:
                    continue
                place = folded[name.lower()] = len(known)
                known.append(name)
            bits |= 1 << place
        if len(known) != len(self.keywords) and keywords.too_many(known):
            raise TooManyKeywords(f"a mailbox can have {keywords.MOST} different keywords")
        if len(known) != len(self.keywords):
            self.keywords = tuple(known)
            self.row.keywords = "\n".join(known)
        return bits

    def room_for(self, count: int) -> None:
        """Raises StoreError when the mailbox has run out of UIDs (RFC 9051 2.3.1.1: 32 bits)."""
        if self.row.uidnext + count - 1 > _MAX_UID:
            raise StoreError("the mailbox has no UIDs left; move its messages to a new one")

    def add(self, page: Page, modseq: int) -> array[int]:
        """Append messages with the next UIDs; those, modseqs and save dates in `page` are replaced. Gives the UIDs."""
        row, count = self.row, len(page)
        uids = array("I", range(row.uidnext, row.uidnext + count))
        modseqs, saved = repeat("Q", modseq, count), repeat("I", self.now, count)
        self._appended.append(
            Page(uids, page.flags, page.keywords, modseqs, page.messages, page.sizes, page.dates, saved)
        )
        row.uidnext += count
        row.messages += count
        row.unseen += unseen(page.flags)
        row.deleted += deleted(page.flags)
        row.size += sum(page.sizes)
        row.modseq = modseq
        return uids

    def add_one(self, message: int, size: int, date: int, flags: int, modseq: int) -> int:
        """Append a message without keywords; gives its UID. What `add` does, at a third of its price."""
        row = self.row
        uid = row.uidnext
        if self._appended or not self.numbers or self.numbers[-1] != LAST or len(self.pages[-1].flags) >= TAIL:
            new = Page(
                array("I"), bytes((flags,)), _NO_KEYWORDS, array("Q"), array("Q", (message,)), array("I", (size,)),
                array("q", (date,)), array("I"),
            )  # fmt: skip
            self.add(new, modseq)
            return uid
        old = self.pages[-1]
        self.pages[-1] = Page(
            old.uids + array("I", (uid,)),
            old.flags + bytes((flags,)),
            old.keywords + _NO_KEYWORDS,
            old.modseqs + array("Q", (modseq,)),
            old.messages + array("Q", (message,)),
            old.sizes + array("I", (size,)),
            old.dates + array("q", (date,)),
            old.saved + array("I", (self.now,)),
        )
        row.tail += RECORD.pack(uid, size, date, message, flags, 0, modseq, self.now)
        row.uidnext = uid + 1
        row.messages += 1
        row.unseen += not flags & SEEN
        row.deleted += flags & DELETED and 1
        row.size += size
        row.modseq = modseq
        return uid

    def settle(self) -> None:
        """Put appended messages into pages."""
        if not self._appended:
            return
        new, self._appended = self._appended, []
        if self.numbers and self.numbers[-1] == LAST:
            new.insert(0, self.pages.pop())
            self.numbers.pop()
        tail = join(new)
        self.fixed.add(LAST)
        if len(tail) <= TAIL:
            self.pages.append(tail)
            self.numbers.append(LAST)
            return
        number = -1
        if self.pages and len(self.pages[-1]) < FULL:
            tail = join((self.pages.pop(), tail))
            number = self.numbers.pop()
        for begin in range(0, len(tail), FULL):
            if number < 0:
                number, self.row.next_page = self.row.next_page, self.row.next_page + 1
            self.pages.append(cut(tail, begin, begin + FULL) if len(tail) > FULL else tail)
            self.numbers.append(number)
            self.fixed.add(number)
            self.flags.add(number)
            number = -1

    def places(self) -> Iterator[int]:
        """Indices of pages, last first, so that a page may be dropped on the way."""
        self.settle()
        return iter(range(len(self.pages) - 1, -1, -1))

    def change(self, place: int, mask: bytes, change: Bits, modseq: int) -> tuple[array[int], array[int]]:
        """Change flags of the chosen messages of a page: UIDs changed, UIDs refused."""
        before = self.pages[place]
        after, uids, modified = change_flags(before, mask, change, modseq)
        if after is not before:
            row = self.row
            row.unseen += unseen(after.flags) - unseen(before.flags)
            row.deleted += deleted(after.flags) - deleted(before.flags)
            row.modseq = modseq
            self.pages[place] = after
            self.flags.add(self.numbers[place])
        return uids, modified

    def touch(self, modseq: int) -> None:
        """All messages count as changed."""
        for place in self.places():
            page = self.pages[place]
            self.pages[place] = page.reflagged(page.flags, repeat("Q", modseq, len(page)))
            self.flags.add(self.numbers[place])
        self.row.modseq = modseq

    def remove(self, place: int, mask: bytes, modseq: int) -> Page:
        """Take the chosen messages out of a page; gives them."""
        page, row = self.pages[place], self.row
        gone = choose(page, mask)
        row.messages -= len(gone)
        row.unseen -= unseen(gone.flags)
        row.deleted -= deleted(gone.flags)
        row.size -= sum(gone.sizes)
        row.modseq = modseq
        number = self.numbers[place]
        if gone is page:
            del self.pages[place], self.numbers[place]
            self._drop(number)
        else:
            self.pages[place] = choose(page, inverse(mask))
            self.fixed.add(number)
            self.flags.add(number)
        return gone

    def merge_small(self) -> None:
        """After removals: join a small page to the one before it, so that holes do not make thousands of pages."""
        sizes = [len(page.flags) for page in self.pages]
        for place in range(len(sizes) - 2, 0, -1):  # not the last: it is the tail, or grows into a full page
            if min(sizes[place - 1 : place + 1]) < _MERGE_BELOW and sizes[place - 1] + sizes[place] <= FULL:
                left, right = self.pages[place - 1 : place + 1]
                sizes[place - 1] += sizes[place]
                self.pages[place - 1 : place + 1] = [join((left, right))]
                self._drop(self.numbers.pop(place))
                self.fixed.add(self.numbers[place - 1])
                self.flags.add(self.numbers[place - 1])

    def pack_tail(self) -> bool:
        """Bring the row's tail up to date; are there rows of `page` to write?"""
        if LAST in self.fixed or LAST in self.flags or LAST in self.dropped:
            self.row.tail = pack_tail(self.pages[-1]) if self.numbers and self.numbers[-1] == LAST else b""
            for numbers in (self.fixed, self.flags, self.dropped):
                numbers.discard(LAST)
        return bool(self.fixed or self.flags or self.dropped)

    def _drop(self, number: int) -> None:
        self.dropped.add(number)
        self.fixed.discard(number)
        self.flags.discard(number)


def translate_keywords(column: array[int], source: tuple[str, ...], target: Working) -> array[int]:
    """A column of keyword bits of one mailbox as bits of another, which learns them. Raises TooManyKeywords."""
    if not any(column):
        return column
    used = 0
    for bits in set(column):
        used |= bits
    names = list(compress(source, (used >> place & 1 for place in range(len(source)))))
    target.keyword_bits(names, learn=True)
    moved = {bits: _translate(bits, source, target) for bits in set(column)}
    return array("Q", map(moved.__getitem__, column))


def _translate(bits: int, source: tuple[str, ...], target: Working) -> int:
    return target.keyword_bits([name for place, name in enumerate(source) if bits >> place & 1], learn=False)
