"""Searches that go on: their results are kept up to date for the client (RFC 5267 4.3).

A context remembers the UIDs that its client knows as results. Whenever the client has heard of changes, the messages
that came or changed are looked at again, and what that means for the results is told: REMOVEFROM of messages that go
before their EXPUNGE, in the numbers the client then has; everything else after the news, in the numbers after it. A
message whose EXPUNGE must wait leaves the results at once.
Message numbers and "$" in the program mean what they meant when the command came (RFC 5267 4.3).
Owns: the contexts of one selected mailbox; they end with it. Their number and size are bounded.
Standards: RFC 5267 4.3 and 5; positions are 0 for SEARCH, whose results are in the order of the mailbox.
On failure: a store that cannot be read leaves the contexts as they are; the next news tries again.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from postroom.mailbox import search, sorting
from postroom.mailbox.criteria import Scene
from postroom.mailbox.difference import Touched, compare, picked
from postroom.mailbox.selection import of_uids, resolve
from postroom.servers.imap.replies import Refused, bad
from postroom.store.api import Page, Snapshot
from postroom.wire.imap import response
from postroom.wire.imap.commands import SAVED, STAR, Key, SearchKey, SortCriterion
from postroom.wire.imap.response import Moved
from postroom.wire.imap.sequence import ranges_of, runs_of

if TYPE_CHECKING:
    from postroom.servers.imap.session import Session

#: contexts of a client, and results of all of them
MOST: Final = 16
MOST_RESULTS: Final = 1_000_000
_LAST_UID: Final = 2**32 - 1
_NONE: Final[frozenset[int]] = frozenset()  # there may be many of it, and each takes 216 octets


@dataclass(slots=True)
class Context:
    """One search. criteria: of a SORT, None for a SEARCH; uids: its results, in their order.

    where: what its responses say of the mailbox, b"" unless it was an ESEARCH (RFC 7377 2.1).
    """

    tag: bytes
    by_uid: bool
    key: SearchKey
    criteria: Sequence[SortCriterion] | None
    uids: array[int]
    where: bytes = b""

    def holds(self, uids: Iterable[int]) -> set[int]:
        """Those that are results."""
        if self.criteria is not None:
            return set(self.uids).intersection(uids)
        found = set()
        for uid in uids:
            place = bisect_left(self.uids, uid)
            if place < len(self.uids) and self.uids[place] == uid:
                found.add(uid)
        return found


class Contexts:
    """The contexts of a selected mailbox."""

    __slots__ = ("_contexts", "_ghosts", "_known")

    def __init__(self) -> None:
        self._contexts: dict[bytes, Context] = {}
        self._known: Snapshot | None = None  # what the results are of
        self._ghosts = _NONE

    def __bool__(self) -> bool:
        return bool(self._contexts)

    def require_new(self, tag: bytes) -> None:
        """Raises Refused when the tag names a context already (RFC 5267 4.3)."""
        if tag in self._contexts:
            raise Refused(bad("This tag belongs to a search that is kept up to date"))

    def add(self, session: Session, context: Context) -> bool:
        """From now on keep it up to date; False when there are too many (RFC 5267 4.3.1)."""
        held = sum(len(each.uids) for each in self._contexts.values())
        if len(self._contexts) >= MOST or held + len(context.uids) > MOST_RESULTS:
            return False
        if not self._contexts:
            self._now(session)
        self._contexts[context.tag] = context
        return True

    def cancel(self, tags: Iterable[bytes]) -> bool:
        """End contexts; False when one of the tags names none."""
        found = [self._contexts.pop(tag, None) for tag in tags]
        return None not in found

    def _now(self, session: Session) -> None:
        view = session.box.view
        self._known, self._ghosts = view.snapshot, frozenset(view.ghosts)

    def leaving(self, session: Session, uids: Sequence[int], numbers: Sequence[int]) -> None:
        """Messages that are about to be told as expunged, with the numbers they still have (RFC 5267 4.3.4)."""
        if self._contexts:
            seqs = dict(zip(uids, numbers, strict=True))
            for context in self._contexts.values():
                gone = context.holds(uids)
                if gone:
                    _remove(session, context, gone, seqs)

    async def follow(self, session: Session) -> None:
        """Tell what the news, which the client has heard, means for the results. Raises StoreUnavailable."""
        view = session.box.view
        new, old, ghosts = view.snapshot, self._known, frozenset(view.ghosts)
        if not self._contexts or old is None or (new is old and ghosts == self._ghosts):
            return
        touched = Touched(old.uidnext)
        compare(old.pages, new.pages, touched)
        part = _part(new, [uid for uid in touched.uids if uid not in ghosts])
        removals = [(context, context.holds(ghosts - self._ghosts)) for context in self._contexts.values()]
        additions: list[tuple[Context, list[int]]] = []
        pace = search.Pace(session.service.clock)
        scene = Scene(part, (), session.service.clock.now(), session.recent)
        looked_at = [uid for page in part.pages for uid in page.uids]
        for context, gone in removals:
            matching = (await search.search(context.key, scene, session.box.account.store, pace)).uids()
            held = context.holds(looked_at)
            gone |= held.difference(matching)
            additions.append((context, [uid for uid in matching if uid not in held]))
        self._known, self._ghosts = new, ghosts
        for context, gone in removals:
            if gone:
                _remove(session, context, gone, None)
        for context, added in additions:
            if added:
                await _add(session, context, added, pace)


def fixed(key: SearchKey, snapshot: Snapshot, saved: Sequence[int]) -> SearchKey:
    """The program with what it means now in place of message numbers and "$" (RFC 5267 4.3). Raises BadSequence."""
    if key.key is Key.SEQ or (key.key is Key.UID and key.set == SAVED):
        uids = resolve(snapshot, key.set, uid=key.key is Key.UID, saved=saved).uids()
        return SearchKey(Key.UID, set=ranges_of(uids)) if uids else SearchKey(Key.NOT, keys=(SearchKey(Key.ALL),))
    if key.key is Key.UID:
        # "n:*" goes on to whatever comes; the last message now is that of now
        ends = [sorted(end or _LAST_UID for end in pair) if STAR in pair else pair for pair in key.set]
        ranges = [(low, high) for low, high in ends if low != _LAST_UID] or [(snapshot.max_uid or 1,) * 2]
        return replace(key, set=tuple(ranges))
    return replace(key, keys=tuple([fixed(inner, snapshot, saved) for inner in key.keys])) if key.keys else key


def _part(snapshot: Snapshot, uids: Sequence[int]) -> Snapshot:
    """Only these messages of the mailbox (ascending)."""
    pages: list[Page] = []
    for _, page, begin, end in of_uids(snapshot, uids).runs():
        pages.append(picked(page, lambda column, begin=begin, end=end: column[begin:end]))  # type: ignore[misc]
    return Snapshot(snapshot.mailbox, snapshot.uidvalidity, snapshot.uidnext, snapshot.modseq, pages, snapshot.keywords)


def _shown(session: Session, context: Context, uids: Sequence[int], seqs: dict[int, int] | None) -> list[int]:
    """UIDs as this context tells them. seqs: numbers, None: those of now."""
    if context.by_uid:
        return list(uids)
    if seqs is not None:
        return [seqs[uid] for uid in uids]
    snapshot = session.box.view.snapshot
    return [snapshot.seq(uid) or 0 for uid in uids]


def _remove(session: Session, context: Context, gone: set[int], seqs: dict[int, int] | None) -> None:
    """REMOVEFROM; from the last place to the first, so that none of them moves before it is told."""
    moved: list[Moved] = []
    if context.criteria is None:
        moved.append((0, ranges_of(_shown(session, context, sorted(gone), seqs))))
    else:
        places = [place for place, uid in enumerate(context.uids) if uid in gone]
        for low, high in reversed(ranges_of(places)):
            moved.append((low + 1, runs_of(_shown(session, context, context.uids[low : high + 1], seqs))))
    context.uids = array("I", [uid for uid in context.uids if uid not in gone])
    session.send(response.context_update(context.tag, b"REMOVEFROM", moved, uid=context.by_uid, where=context.where))


async def _add(session: Session, context: Context, added: list[int], pace: search.Pace) -> None:
    """ADDTO; each at the place that it has when those before it are there."""
    if context.criteria is None:
        context.uids = array("I", sorted([*context.uids, *added]))
        moved = [(0, ranges_of(_shown(session, context, added, None)))]
    else:
        context.uids = await _sorted(session, context.criteria, [*context.uids, *added], pace)
        new = set(added)
        places = [place for place, uid in enumerate(context.uids) if uid in new]
        moved = [
            (low + 1, runs_of(_shown(session, context, context.uids[low : high + 1], None)))
            for low, high in ranges_of(places)
        ]
    session.send(response.context_update(context.tag, b"ADDTO", moved, uid=context.by_uid, where=context.where))


async def _sorted(
    session: Session, criteria: Sequence[SortCriterion], uids: list[int], pace: search.Pace
) -> array[int]:
    snapshot = session.box.view.snapshot
    rows = [
        (page, place) for _, page, begin, end in of_uids(snapshot, sorted(uids)).runs() for place in range(begin, end)
    ]
    columns = sorting.Rows(
        [page.messages[place] for page, place in rows],
        [page.dates[place] for page, place in rows],
        [page.sizes[place] for page, place in rows],
    )
    order = await sorting.order(criteria, columns, session.box.account.store, pace)
    return array("I", [rows[place][0].uids[rows[place][1]] for place in order])
