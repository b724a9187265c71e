"""Saved searches as folders: "Searches/Unpaid" holds whatever the query "Unpaid" finds now, in all mailboxes.

Messages are where they are; here they are seen together, each once, with the flags they have there. New finds get new
UIDs, and a UID means one message for good (store.api.saved). Nothing can be changed here; COPY takes messages into a
mailbox. There are no MODSEQs (RFC 7162 3.1.2.2).
Owns: what each search found last. Trusts: nothing in queries; one that is not understood finds nothing.
On failure: NoPermission for whatever changes something, StoreUnavailable.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

from postroom.index.query import BadQuery, parse
from postroom.mailbox import names
from postroom.mailbox.errors import BadName
from postroom.mailbox.finding import Hit, When, Wish, find
from postroom.mailbox.places import Kind, Overview
from postroom.mailbox.readonly import ReadOnly
from postroom.mailbox.search import Pace
from postroom.store.api import (
    VIEW,
    CopyResult,
    MailboxInfo,
    NotFound,
    Page,
    SavedSearch,
    Snapshot,
    Source,
)
from postroom.values import rights as right
from postroom.values.flags import DELETED, SEEN

if TYPE_CHECKING:
    from postroom.mailbox.places import Place, Realm
    from postroom.mailbox.service import Account, Mailboxes
    from postroom.store.api import AccountStore
    from postroom.values.clock import Clock

SEARCHES: Final = "Searches/"
#: ids of these folders lie above those of all days of the past (recover.py)
_BASE: Final = VIEW << 24
#: seconds after which a search is made again although nothing changed: queries speak of days
_REMEMBERED: Final = 60.0
#: how often it is tried to be quicker than others who look at the same moment
_TRIES: Final = 5
_MOST_KEYWORDS: Final = 64


@dataclass(frozen=True, slots=True)
class _Found:
    """What a search found. token: the account's MODSEQ then; sources: mailbox and UID of each message, in order."""

    search: SavedSearch
    token: int
    until: float
    snapshot: Snapshot
    sources: Sequence[tuple[int, int]]


class SavedStore:
    """An account's saved searches as an AccountStore that can only be read."""

    #: what is copied out stays here
    gives: Final = False

    def __init__(self, real: AccountStore, clock: Clock) -> None:
        self._real = real
        self._rest = ReadOnly(real, "Messages are found here and lie elsewhere; change them there")
        self._clock = clock
        self._known: dict[int, _Found] = {}

    @property
    def id(self) -> str:
        """The account's own: its messages are called the same here."""
        return self._real.id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    async def names(self) -> list[MailboxInfo]:
        """All of them, by name; none is made."""
        return [_info(search, None) for search in await self._real.saved.all()]

    async def mailboxes(self) -> list[MailboxInfo]:
        """All of them."""
        return [_info(search, await self._look(search)) for search in await self._real.saved.all()]

    async def mailbox(self, name: str) -> MailboxInfo | None:
        """One of them."""
        for search in await self._real.saved.all():
            if search.name == name:
                return _info(search, await self._look(search))
        return None

    async def snapshot(self, mailbox: int) -> Snapshot:
        """What it finds. Raises NotFound."""
        return (await self._found(mailbox)).snapshot

    async def _found(self, mailbox: int) -> _Found:
        for search in await self._real.saved.all():
            if _BASE + search.id == mailbox:
                return await self._look(search)
        raise NotFound(f"no saved search {mailbox}")

    async def _look(self, search: SavedSearch) -> _Found:
        token, now = await self._real.modseq(), self._clock.monotonic()
        known = self._known.get(search.id)
        if known is not None and (known.search.version, known.token) == (search.version, token) and now < known.until:
            return known
        hits = await self._hits(search.query)
        for _ in range(_TRIES):
            kept = await self._written(search, hits)
            if kept is not None:
                break
            [search] = [one for one in await self._real.saved.all() if one.id == search.id] or [search]
        else:
            raise NotFound(f"no saved search {search.id}")
        found = await self._made(kept, hits, token, now + _REMEMBERED)
        self._known[search.id] = found
        return found

    async def _hits(self, query: str) -> dict[int, Hit]:
        """Message id to where it is, each once."""
        try:
            node = parse(query)
        except BadQuery:
            return {}
        found = await find(node, self._real, Wish(when=When(self._clock.now())), Pace(self._clock))
        return {hit.message: hit for hit in reversed(found)}

    async def _written(self, search: SavedSearch, hits: dict[int, Hit]) -> SavedSearch | None:
        """The search as it stands with these finds; None when somebody else wrote it meanwhile."""
        kept = [(uid, one) for uid, one in zip(search.uids, search.messages, strict=True) if one in hits]
        known = frozenset(search.messages)
        new = sorted((hit.received, hit.message) for hit in hits.values() if hit.message not in known)
        kept += [(uid, message) for uid, (_, message) in enumerate(new, search.uidnext)]
        if len(kept) == len(search.uids) and not new:
            return search
        return await self._real.saved.found(search, [uid for uid, _ in kept], [one for _, one in kept])

    async def _made(self, search: SavedSearch, hits: dict[int, Hit], token: int, until: float) -> _Found:
        """Rows of the messages as they are in their mailboxes."""
        shots: dict[int, tuple[Snapshot, dict[int, tuple[Page, int]]]] = {}
        for mailbox in {hit.mailbox.id for hit in hits.values()}:
            with suppress(NotFound):
                shot = await self._real.snapshot(mailbox)
                shots[mailbox] = shot, {uid: (page, at) for page in shot.pages for at, uid in enumerate(page.uids)}
        keywords = tuple(dict.fromkeys(name for shot, _ in shots.values() for name in shot.keywords))[:_MOST_KEYWORDS]
        page = Page(array("I"), b"", array("Q"), array("Q"), array("Q"), array("I"), array("q"), array("I"))
        flags, sources = bytearray(), []
        for uid, message in zip(search.uids, search.messages, strict=True):
            hit = hits.get(message)
            if hit is None or hit.mailbox.id not in shots:
                continue  # it went this moment: the next look takes it out
            theirs_shot, places = shots[hit.mailbox.id]
            spot = places.get(hit.uid)
            if spot is None:
                continue
            theirs, at = spot
            page.uids.append(uid)
            flags.append(theirs.flags[at] & ~DELETED)
            page.keywords.append(_bits(theirs_shot.keyword_names(theirs.keywords[at]), keywords))
            page.modseqs.append(theirs.modseqs[at])
            page.messages.append(message)
            page.sizes.append(theirs.sizes[at])
            page.dates.append(theirs.dates[at])
            page.saved.append(theirs.saved[at])
            sources.append((hit.mailbox.id, hit.uid))
        page = Page(
            page.uids, bytes(flags), page.keywords, page.modseqs, page.messages, page.sizes, page.dates, page.saved
        )
        pages = [page] if len(page) else []
        shot = Snapshot(_BASE + search.id, search.uidvalidity, search.uidnext, token, pages, keywords)
        return _Found(search, token, until, shot, sources)

    async def bring(self, mailbox: int, uids: Sequence[int], target: Place) -> CopyResult:
        """Copy messages into a mailbox of the account. Raises NotFound, OverQuota, TooManyKeywords."""
        found = await self._found(mailbox)
        wanted = frozenset(uids)
        shown = [uid for page in found.snapshot.pages for uid in page.uids]
        asked = [(uid, source) for uid, source in zip(shown, found.sources, strict=True) if uid in wanted]
        sources = _runs([source for _, source in asked])
        uidvalidity, came, placed, after = await self._rest.place(sources, [uid for uid, _ in asked], target)
        return CopyResult(uidvalidity, came, placed, found.snapshot, after)


def _runs(places: Sequence[tuple[int, int]]) -> list[Source]:
    """Neighbours of one mailbox together."""
    return [Source([uid for _, uid in run], mailbox=box) for box, run in groupby(places, key=itemgetter(0))]


def _bits(theirs: Sequence[str], keywords: Sequence[str]) -> int:
    return sum(1 << keywords.index(name) for name in theirs if name in keywords)


def _info(search: SavedSearch, found: _Found | None) -> MailboxInfo:
    """As LIST and STATUS tell of it. found: None where nobody has looked."""
    pages = found.snapshot.pages if found is not None else ()
    return MailboxInfo(
        id=_BASE + search.id,
        name=search.name,
        uidvalidity=search.uidvalidity,
        uidnext=found.snapshot.uidnext if found is not None else search.uidnext,
        modseq=0,  # RFC 7162 3.1.7: what STATUS says of a mailbox without MODSEQs
        messages=sum(map(len, pages)),
        unseen=sum(not octet & SEEN for page in pages for octet in page.flags),
        deleted=0,
        size=sum(sum(page.sizes) for page in pages),
    )


class SavedRealm:
    """All saved searches of an account, as its owner meets them."""

    __slots__ = ("account", "prefix")

    def __init__(self, account: Account) -> None:
        self.account: Final = account
        self.prefix: Final = SEARCHES

    async def rights(self, _mailbox: int) -> int:
        """To look, and change nothing."""
        return right.READING


class Saved:
    """The namespace of one login."""

    kind: Final = Kind.PERSONAL
    prefix: Final = SEARCHES
    shown: Final = True

    __slots__ = ("_realm", "_store")

    def __init__(self, mailboxes: Mailboxes, clock: Clock, own: Account) -> None:
        self._store = SavedStore(own.store, clock)
        self._realm = SavedRealm(mailboxes.view(cast("AccountStore", self._store), own.row))

    async def realm(self, name: str) -> Realm | None:
        """The only one."""
        return self._realm

    async def realms(self, wanted: Callable[[str], bool]) -> AsyncIterator[Realm]:
        """The only one."""
        if wanted(self.prefix):
            yield self._realm

    async def overviews(self, wanted: Callable[[str], bool]) -> AsyncIterator[Overview]:
        """A list costs the names in it: nothing is looked for."""
        if wanted(self.prefix):
            yield self.prefix, await self._store.names()


def checked_name(name: str) -> str:
    """A name for a saved search: one level. Raises BadName."""
    name = names.check(name)
    if names.DELIMITER in name:
        raise BadName("The name of a search has one level")
    return name
