"""A mailbox as it was at a time, and the plan of bringing that back.

A message was in a mailbox at a time when it had come in by then (its save date) and left later, if ever (the departures
that the store keeps until they are swept). So the past can be told as far back as the window of sweeping, and no
further. Flags are those a message has now, or had when it left: what they were in between nobody knows.
Trusts: the store. Owns: nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from postroom.mailbox.errors import NoSuchMailbox
from postroom.mailbox.names import normalize, place
from postroom.store.api import AccountStore, MailboxLife, NotFound, Page, Placing, Snapshot, Source
from postroom.values.flags import SEEN

#: messages in a page of what is put together here
_PAGE: Final = 512
#: the list of mailboxes is the same all the time: there is no MODSEQ of the past
_MODSEQ: Final = 1


@dataclass(frozen=True, slots=True)
class PastMailbox:
    """A mailbox that was there. name: what it was called then."""

    life: MailboxLife
    name: str


class _Row(NamedTuple):
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
    """What was in it. departures: of each message in order, the MODSEQ it left at since, 0 while it is there still."""

    mailbox: PastMailbox
    snapshot: Snapshot
    departures: tuple[int, ...]

    @property
    def unseen(self) -> int:
        """Messages without \\\\Seen."""
        return sum(not octet & SEEN for page in self.snapshot.pages for octet in page.flags)

    @property
    def size(self) -> int:
        """Octets."""
        return sum(sum(page.sizes) for page in self.snapshot.pages)

    @property
    def gone(self) -> int:
        """How many are not in this mailbox any more."""
        return sum(map(bool, self.departures))


async def mailboxes_at(store: AccountStore, time: float) -> list[PastMailbox]:
    """The mailboxes there were, INBOX first."""
    found = [PastMailbox(life, name) for life in await store.lives() if (name := life.name_at(time)) is not None]
    return sorted(found, key=lambda box: place(box.name))


async def mailbox_at(store: AccountStore, name: str, time: float) -> PastMailbox:
    """The mailbox that had this name then. Raises NoSuchMailbox."""
    wanted = normalize(name)
    for box in await mailboxes_at(store, time):
        if box.name == wanted:
            return box
    raise NoSuchMailbox(f"There was no mailbox {name[:200]!r} then")


async def snapshot_at(store: AccountStore, box: PastMailbox, time: float, number: int = 0) -> PastSnapshot:
    """What was in a mailbox. number: what the snapshot calls it, 0 for its own id."""
    life = box.life
    rows: list[_Row] = []
    keywords = life.keywords
    if not life.deleted:
        try:
            present = await store.snapshot(life.id)
        except NotFound:  # it is just being deleted: the next look finds its departures
            present = Snapshot(life.id, life.uidvalidity, 1, 1)
        keywords = present.keywords
        for page in present.pages:
            rows += _rows(page, 0, time)
    for one in await store.departures(life.id):
        if one.time > time:
            rows += _rows(one.page, one.modseq, time)
    rows.sort()
    pages = [_page(rows[begin : begin + _PAGE]) for begin in range(0, len(rows), _PAGE)]
    uidnext = rows[-1].uid + 1 if rows else 1
    snapshot = Snapshot(number or life.id, life.uidvalidity, uidnext, _MODSEQ, pages, keywords)
    return PastSnapshot(box, snapshot, tuple(row.departure for row in rows))


def _rows(page: Page, departure: int, time: float) -> Iterable[_Row]:
    """Those that had come in by then."""
    columns = (page.uids, page.flags, page.keywords, page.messages, page.sizes, page.dates, page.saved)
    for row in zip(*columns, strict=True):
        if row[-1] <= time:
            yield _Row._make((*row, departure))


def _page(rows: Sequence[_Row]) -> Page:
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
    """Where its messages, or those with these UIDs, are to be had now, in the order of UIDs."""
    wanted = None if uids is None else frozenset(uids)
    present = [uid for page in past.snapshot.pages for uid in page.uids]
    rows = zip(present, past.departures, strict=True)
    chosen = [row for row in rows if wanted is None or row[0] in wanted]
    found = []
    for departure, run in groupby(chosen, key=lambda row: row[1]):
        these = [uid for uid, _ in run]
        found.append(Source(these, departure) if departure else Source(these, mailbox=past.mailbox.life.id))
    return found


def as_it_was(pasts: Sequence[PastSnapshot], to: str) -> list[Placing]:
    """Bring mailboxes back as they were, below `to`, which is no mailbox of the past itself."""
    return [Placing(target=f"{to}/{past.mailbox.name}", sources=sources(past)) for past in pasts]
