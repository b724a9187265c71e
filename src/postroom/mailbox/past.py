"""A mailbox as it was at a time, and the plan of bringing that back.

A message was in a mailbox at a time when it had come in by then (its save date) and left later, if ever (the departures
that the store keeps until they are swept). So the past can be told as far back as the window of sweeping, and no
further. Flags are those a message has now, or had when it left: what they were in between nobody knows.
Trusts: the store. Owns: nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, repeat
from math import inf
from operator import itemgetter
from typing import Final, NamedTuple, Protocol

from postroom.mailbox.errors import NoSuchMailbox
from postroom.mailbox.names import normalize, place
from postroom.store.api import AccountStore, Departure, MailboxLife, NotFound, Page, Placing, Snapshot, Source
from postroom.values.clock import Clock
from postroom.values.flags import SEEN

#: the past does not change: there is no MODSEQ of it
_MODSEQ: Final = 1
#: seconds
_REMEMBERED: Final = 60.0
_UNSEEN: Final = bytes(not octet & SEEN for octet in range(256))


@dataclass(frozen=True, slots=True)
class PastMailbox:
    """A mailbox that was there. name: what it was called then."""

    life: MailboxLife
    name: str


class Row(NamedTuple):
    """A message where it was."""

    uid: int
    flags: int
    keywords: int
    message: int
    size: int
    date: int
    saved: int
    departure: int  # the MODSEQ it left at; 0 for a message that is there still


@dataclass(frozen=True, slots=True)
class PastSnapshot:
    """What was in it. Of each message in order: departures: the MODSEQ it left at since, 0 while it is there still;
    was: the UID it had there (the snapshot may have others).
    """

    mailbox: PastMailbox
    snapshot: Snapshot
    departures: Sequence[int]
    was: Sequence[int]

    @property
    def unseen(self) -> int:
        """Messages without \\Seen."""
        return sum(page.flags.translate(_UNSEEN).count(1) for page in self.snapshot.pages)

    @property
    def size(self) -> int:
        """Octets."""
        return sum(sum(page.sizes) for page in self.snapshot.pages)

    @property
    def gone(self) -> int:
        """How many are not in this mailbox any more."""
        return len(self.departures) - self.departures.count(0)


class Held(Protocol):
    """What an account holds and held: an AccountStore, or a History of one."""

    async def snapshot(self, mailbox: int) -> Snapshot: ...
    async def lives(self) -> Sequence[MailboxLife]: ...
    async def departures(self, mailbox: int | None = None) -> Sequence[Departure]: ...


class History:
    """What an account held, kept in memory while nothing changes in it, for those who look at many moments of it."""

    __slots__ = ("_clock", "_deleted_in", "_departures", "_lives", "_next", "_store", "_token", "_until", "_version")

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._token = -1
        self._until = 0.0
        self._version = 0
        self._next = 1
        self._lives: Sequence[MailboxLife] = ()
        self._departures: dict[int | None, Sequence[Departure]] = {}
        self._deleted_in: frozenset[int] | None = None

    async def version(self) -> int:
        """Grows when it is read again: at once when something changed, and once a minute, because of sweeping."""
        token, now = await self._store.modseq(), self._clock.monotonic()
        if token != self._token or now >= self._until:
            self._token, self._until = token, now + _REMEMBERED
            self._version += 1
            self._next = await self._store.next_number()
            self._lives = await self._store.lives()
            self._departures = {}
            self._deleted_in = None
        return self._version

    async def snapshot(self, mailbox: int) -> Snapshot:
        """As it is. Raises NotFound."""
        return await self._store.snapshot(mailbox)

    async def next_number(self) -> int:
        """As AccountStore has it."""
        await self.version()
        return self._next

    async def lives(self) -> Sequence[MailboxLife]:
        """As AccountStore has it."""
        await self.version()
        return self._lives

    async def departures(self, mailbox: int | None = None) -> Sequence[Departure]:
        """As AccountStore has it."""
        await self.version()
        found = self._departures.get(mailbox)
        if found is None:
            found = self._departures[mailbox] = await self._store.departures(mailbox)
        return found

    async def deleted_in(self) -> frozenset[int]:
        """As AccountStore has it."""
        await self.version()
        if self._deleted_in is None:
            self._deleted_in = await self._store.deleted_in()
        return self._deleted_in


async def mailboxes_at(store: Held, time: float) -> list[PastMailbox]:
    """The mailboxes there were, INBOX first."""
    found = [PastMailbox(life, name) for life in await store.lives() if (name := life.name_at(time)) is not None]
    return sorted(found, key=lambda box: place(box.name))


async def mailbox_at(store: Held, name: str, time: float) -> PastMailbox:
    """The mailbox that had this name then. Raises NoSuchMailbox."""
    wanted = normalize(name)
    for box in await mailboxes_at(store, time):
        if box.name == wanted:
            return box
    raise NoSuchMailbox(f"There was no mailbox {name[:200]!r} then")


async def snapshot_at(store: Held, box: PastMailbox, time: float, number: int = 0) -> PastSnapshot:
    """What was in a mailbox. number: what the snapshot calls it, 0 for its own id.

    Pages of the mailbox that lost nothing since are taken as they are, so this costs what changed.
    """
    life = box.life
    keywords, present = life.keywords, []
    if not life.deleted:
        with suppress(NotFound):  # it is just being deleted: the next look finds its departures
            now = await store.snapshot(life.id)
            keywords = now.keywords
            present = [part for page in now.pages if (part := _came_by(page, time)) is not None]
    gone: list[Row] = []
    for one in await store.departures(life.id):
        if one.time > time:
            gone += rows_of(one.page, one.modseq, time)
    gone.sort()
    pages, departures = _merged(present, gone)
    uids = array("I")
    for page in pages:
        uids += page.uids
    snapshot = Snapshot(number or life.id, life.uidvalidity, uids[-1] + 1 if uids else 1, _MODSEQ, pages, keywords)
    return PastSnapshot(box, snapshot, departures, uids)


def _came_by(page: Page, time: float) -> Page | None:
    """The messages of a page that had come in by then."""
    if max(page.saved) <= time:
        return page
    if min(page.saved) > time:
        return None
    return page_of(list(rows_of(page, 0, time)))


def rows_of(page: Page, departure: int, time: float) -> Iterator[Row]:
    """Messages of a page, those that had come in by then."""
    columns = (page.uids, page.flags, page.keywords, page.messages, page.sizes, page.dates, page.saved)
    rows = map(Row._make, zip(*columns, repeat(departure)))
    return rows if max(page.saved) <= time else iter([row for row in rows if row.saved <= time])


def _merged(present: Sequence[Page], gone: Sequence[Row]) -> tuple[list[Page], array[int]]:
    """All in the order of UIDs, and of each message the MODSEQ it left at."""
    pages: list[Page] = []
    departures = array("Q")
    begin = 0
    for page in present:
        end = bisect_left(gone, page.uids[-1], begin, key=itemgetter(0))
        if begin == end:
            pages.append(page)
            departures.extend(array("Q", (0,)) * len(page))
            continue
        rows = sorted([*rows_of(page, 0, inf), *gone[begin:end]])
        pages.append(page_of(rows))
        departures.extend(row.departure for row in rows)
        begin = end
    if begin < len(gone):
        pages.append(page_of(gone[begin:]))
        departures.extend(row.departure for row in gone[begin:])
    return pages, departures


def page_of(rows: Sequence[Row]) -> Page:
    """Rows as columns."""
    return Page(
        array("I", [row.uid for row in rows]),
        bytes([row.flags for row in rows]),
        array("Q", [row.keywords for row in rows]),
        array("Q", [_MODSEQ]) * len(rows),
        array("Q", [row.message for row in rows]),
        array("I", [row.size for row in rows]),
        array("q", [row.date for row in rows]),
        array("I", [row.saved for row in rows]),
    )


def sources(past: PastSnapshot, uids: Iterable[int] | None = None) -> list[Source]:
    """Where its messages, or those with these UIDs of its snapshot, are to be had now, in the order of UIDs."""
    shown = [uid for page in past.snapshot.pages for uid in page.uids]
    wanted = frozenset(shown if uids is None else uids)
    rows = zip(shown, past.was, past.departures, strict=True)
    found = []
    for departure, run in groupby([row for row in rows if row[0] in wanted], key=itemgetter(2)):
        these = [was for _, was, _ in run]
        found.append(Source(these, departure) if departure else Source(these, mailbox=past.mailbox.life.id))
    return found


def as_it_was(pasts: Sequence[PastSnapshot], to: str) -> list[Placing]:
    """Bring mailboxes back as they were, below `to`, which is no mailbox of the past itself."""
    return [Placing(target=f"{to}/{past.mailbox.name}", sources=sources(past)) for past in pasts]
