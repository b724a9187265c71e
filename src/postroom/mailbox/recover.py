"""The read-only namespace "Recover/" of an account: deleted mail, and its mailboxes as they were on other days.

"Recover/Deleted/INBOX" holds what was expunged from INBOX and can be brought back; "Recover/2026-11-21/INBOX" is INBOX
as it was at the end of that day, by the machine's clock. Copying a message into a mailbox of the account brings it back
as it was (store.restore): what is brought back is no longer among the deleted mail, so there MOVE does the same.
Nothing else can be done there.
Each account has it switched off, or on for the deleted mail only, or for all (AccountRow.past).

Of the days the last ones are listed; others within the window of sweeping are there for whoever names them (RFC 9051
6.3.9 lets a server hide names from wildcards).
UIDs of deleted mail are numbers that the account counts through everything that is ever expunged, so they mean one
message for good; on other days messages have the UIDs that they had. There are no MODSEQs (RFC 7162 3.1.2.2).
Owns: what it made of the store last, so that clients that look again cost little.
On failure: NoPermission for whatever changes something.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, cast

from postroom.mailbox import names
from postroom.mailbox.past import (
    History,
    PastMailbox,
    PastSnapshot,
    Row,
    mailboxes_at,
    page_of,
    rows_of,
    snapshot_at,
    sources,
)
from postroom.mailbox.places import Kind
from postroom.mailbox.readonly import ReadOnly
from postroom.store.api import VIEW, CopyResult, MailboxInfo, MailboxLife, NotFound, Snapshot
from postroom.values import rights as right
from postroom.values.flags import DELETED

if TYPE_CHECKING:
    from postroom.mailbox.places import Overview, Place, Realm
    from postroom.mailbox.service import Account, Mailboxes
    from postroom.store.api import AccountStore, DirectoryStore
    from postroom.values.clock import Clock

RECOVER: Final = "Recover/"
_DELETED: Final = "Deleted"
#: days that LIST tells of; others are there for who names them
LISTED_DAYS: Final = 7
_MOST_KEYWORDS: Final = 64


class Era(Protocol):
    """A choice of what an account once held."""

    @property
    def base(self) -> int:
        """Added to the ids of mailboxes, so that a mailbox and its past are told apart."""
        ...

    @property
    def loses(self) -> bool:
        """Is what is brought back not among it any more, so that it can be moved out?"""
        ...

    async def boxes(self, held: History) -> list[PastMailbox]:
        """Those to be listed."""
        ...

    async def named(self, held: History, name: str) -> PastMailbox | None:
        """One by its name, listed or not."""
        ...

    async def look(self, held: History, box: PastMailbox, before: PastSnapshot | None) -> PastSnapshot:
        """What is in one; `before` itself when that is still so."""
        ...


class DeletedMail:
    """What was expunged and not brought back, by the name its mailbox has, or had last."""

    base: Final = VIEW
    loses: Final = True

    async def boxes(self, held: History) -> list[PastMailbox]:
        """Those that have anything; of mailboxes with one name the newest stands for all."""
        having = await held.deleted_in()
        found = {life.name: PastMailbox(life, life.name) for life in await held.lives() if life.id in having}
        return sorted(found.values(), key=lambda box: names.place(box.name))

    async def named(self, held: History, name: str) -> PastMailbox | None:
        """Also of a mailbox that is there and of which nothing was deleted."""
        boxes = [box for box in await self.boxes(held) if box.name == name]
        lives = [life for life in await held.lives() if life.name == name and not life.deleted]
        return boxes[0] if boxes else PastMailbox(lives[0], name) if lives else None

    async def look(self, held: History, box: PastMailbox, before: PastSnapshot | None) -> PastSnapshot:
        """Ordered by when it was deleted."""
        lives = {life.id: life for life in await held.lives()}
        same = {life.id: life for life in lives.values() if life.name == box.name}
        keywords = _all_keywords(list(same.values()))
        rows: list[Row] = []
        was = array("I")
        for life in same.values():
            moved = _translation(life.keywords, keywords)
            for one in await held.departures(life.id):
                if one.moved:
                    continue
                for place, row in enumerate(rows_of(one.page, one.modseq, inf)):
                    if not one.back[place]:
                        flags, bits = row.flags & ~DELETED, moved(row.keywords)
                        rows.append(row._replace(uid=one.number + place, flags=flags, keywords=bits))
                        was.append(row.uid)
        order = sorted(range(len(rows)), key=rows.__getitem__)
        rows, was = [rows[place] for place in order], array("I", [was[place] for place in order])
        return await self._shot(held, (box, keywords), (rows, was), before)

    async def _shot(
        self,
        held: History,
        what: tuple[PastMailbox, tuple[str, ...]],
        content: tuple[list[Row], array[int]],
        before: PastSnapshot | None,
    ) -> PastSnapshot:
        (box, keywords), (rows, was) = what, content
        uids = [row.uid for row in rows]
        departures = array("Q", [row.departure for row in rows])
        if before is not None and uids == [uid for page in before.snapshot.pages for uid in page.uids]:
            return before
        modseq = before.snapshot.modseq + 1 if before is not None else 1
        uidvalidity = min((life.id, life.uidvalidity) for life in await held.lives())[1]  # of INBOX, the first made
        pages = [page_of(rows)] if rows else []
        uidnext = await held.next_number()
        shot = Snapshot(self.base + box.life.id, uidvalidity, uidnext, modseq, pages, keywords)
        return PastSnapshot(box, shot, departures, was)


def _all_keywords(lives: Sequence[MailboxLife]) -> tuple[str, ...]:
    known = dict.fromkeys(name for life in lives for name in life.keywords)
    return tuple(known)[:_MOST_KEYWORDS]


def _translation(source: tuple[str, ...], target: tuple[str, ...]) -> Callable[[int], int]:
    if source == target[: len(source)]:
        return lambda bits: bits
    places = [target.index(name) if name in target else -1 for name in source]
    return lambda bits: sum(1 << to for place, to in enumerate(places) if bits >> place & 1 and to >= 0)


@dataclass(frozen=True, slots=True)
class Day:
    """All mailboxes as they were when a day ended."""

    day: date

    loses: ClassVar[bool] = False

    @property
    def base(self) -> int:
        """Days after the deleted mail."""
        return VIEW * (self.day.toordinal() + 1)

    @property
    def end(self) -> float:
        """The last moment of it, in Unix seconds."""
        after = self.day + timedelta(days=1)
        return datetime(after.year, after.month, after.day).astimezone().timestamp() - 0.001

    async def boxes(self, held: History) -> list[PastMailbox]:
        """Those that were there."""
        return await mailboxes_at(held, self.end)

    async def named(self, held: History, name: str) -> PastMailbox | None:
        """Whatever was there is listed."""
        return next((box for box in await self.boxes(held) if box.name == name), None)

    async def look(self, held: History, box: PastMailbox, before: PastSnapshot | None) -> PastSnapshot:
        """What a day was like does not change."""
        return before or await snapshot_at(held, box, self.end, self.base + box.life.id)


class PastStore:
    """An era of an account as an AccountStore that can only be read."""

    def __init__(self, real: AccountStore, era: Era, history: History) -> None:
        self._real = real
        self._rest = ReadOnly(real, "What was cannot be changed; copy messages out of it to bring them back")
        self._held = history
        self._era = era
        self._known: dict[int, tuple[int, PastSnapshot]] = {}  # and the version of the history it was made of

    @property
    def id(self) -> str:
        """The account's own: its messages are called the same here."""
        return self._real.id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)

    @property
    def gives(self) -> bool:
        """Do messages leave it that are brought back?"""
        return self._era.loses

    async def names(self) -> list[MailboxInfo]:
        """All there were, by name; nobody has looked into them."""
        return [
            MailboxInfo(
                id=box.life.id + self._era.base,
                name=box.name,
                uidvalidity=box.life.uidvalidity,
                uidnext=0,
                modseq=0,
                messages=0,
                unseen=0,
                deleted=0,
                size=0,
            )
            for box in await self._era.boxes(self._held)
        ]

    async def mailboxes(self) -> list[MailboxInfo]:
        """All there were."""
        return [self._info(await self._look(box)) for box in await self._era.boxes(self._held)]

    async def mailbox(self, name: str) -> MailboxInfo | None:
        """One of them."""
        box = await self._era.named(self._held, name)
        return self._info(await self._look(box)) if box is not None else None

    async def snapshot(self, mailbox: int) -> Snapshot:
        """What is in it. Raises NotFound."""
        return (await self._found(mailbox)).snapshot

    async def _found(self, mailbox: int) -> PastSnapshot:
        known = self._known.get(mailbox)
        if known is not None:
            return await self._look(known[1].mailbox)
        for box in await self._era.boxes(self._held):
            if box.life.id + self._era.base == mailbox:
                return await self._look(box)
        raise NotFound(f"no mailbox {mailbox}")

    async def _look(self, box: PastMailbox) -> PastSnapshot:
        number = self._era.base + box.life.id
        version = await self._held.version()
        known, before = self._known.get(number, (-1, None))
        if before is not None and known == version:
            return before
        found = await self._era.look(self._held, box, before)
        self._known[number] = version, found
        return found

    def _info(self, past: PastSnapshot) -> MailboxInfo:
        shot = past.snapshot
        return MailboxInfo(
            id=shot.mailbox,
            name=past.mailbox.name,
            uidvalidity=shot.uidvalidity,
            uidnext=shot.uidnext,
            modseq=0,  # RFC 7162 3.1.7: what STATUS says of a mailbox without MODSEQs
            messages=len(shot),
            unseen=past.unseen,
            deleted=0,
            size=past.size,
        )

    async def bring(self, mailbox: int, uids: Sequence[int], target: Place) -> CopyResult:
        """Bring messages back into a mailbox of the account. Raises NotFound, OverQuota, TooManyKeywords."""
        past = await self._found(mailbox)
        wanted = frozenset(uids)
        asked = [uid for page in past.snapshot.pages for uid in page.uids if uid in wanted]
        uidvalidity, came, placed, after = await self._rest.place(sources(past, wanted), asked, target)
        return CopyResult(uidvalidity, came, placed, await self.snapshot(mailbox), after)


class PastRealm:
    """An era as its owner meets it."""

    __slots__ = ("_directory", "_needs", "account", "prefix")

    def __init__(self, directory: DirectoryStore, account: Account, prefix: str, needs: frozenset[str]) -> None:
        """needs: settings of AccountRow.past with which it is shown."""
        self._directory = directory
        self._needs = needs
        self.account: Final = account
        self.prefix: Final = prefix

    async def rights(self, _mailbox: int) -> int:
        """To look, and change nothing, while it is switched on."""
        row = await self._directory.account(self.account.id)
        return right.READING if row is not None and row.past in self._needs else right.NONE


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What namespaces are made of. days: how long what was deleted is kept."""

    mailboxes: Mailboxes
    directory: DirectoryStore
    clock: Clock
    days: float


class Recover:
    """The namespace of one login."""

    kind: Final = Kind.PERSONAL
    prefix: Final = RECOVER
    shown: Final = False

    __slots__ = ("_around", "_history", "_own", "_realms")

    def __init__(self, around: Surroundings, own: Account) -> None:
        self._around = around
        self._own = own
        self._history = History(own.store, around.clock)
        self._realms: dict[str, PastRealm] = {}

    async def realm(self, name: str) -> Realm | None:
        """Of the deleted mail, or of a day that is over and within the window."""
        level = name[len(self.prefix) :].partition(names.DELIMITER)[0]
        if level == _DELETED:
            return self._made(level, DeletedMail(), frozenset({"deleted", "all"}))
        try:
            day = date.fromisoformat(level)
        except ValueError:
            return None
        if day.isoformat() != level or not self._first() <= day < self._today():
            return None
        return self._made(level, Day(day), frozenset({"all"}))

    async def realms(self, wanted: Callable[[str], bool]) -> AsyncIterator[Realm]:
        """The deleted mail, then the last days, the newest first."""
        today = self._today()
        days = [today - timedelta(days=number) for number in range(1, LISTED_DAYS + 1)]
        for level in (_DELETED, *(day.isoformat() for day in days)):
            if wanted(f"{self.prefix}{level}{names.DELIMITER}"):
                found = await self.realm(self.prefix + level)
                if found is not None and await found.rights(0):
                    yield found

    async def overviews(self, wanted: Callable[[str], bool]) -> AsyncIterator[Overview]:
        """As realms; nothing is looked into, so a list costs the names in it."""
        async for realm in self.realms(wanted):
            yield realm.prefix, await cast("PastStore", realm.account.store).names()

    def _made(self, level: str, era: Era, needs: frozenset[str]) -> PastRealm:
        found = self._realms.get(level)
        if found is None:
            store = cast("AccountStore", PastStore(self._own.store, era, self._history))
            account = self._around.mailboxes.view(store, self._own.row)
            prefix = f"{self.prefix}{level}{names.DELIMITER}"
            found = self._realms[level] = PastRealm(self._around.directory, account, prefix, needs)
        return found

    def _today(self) -> date:
        return datetime.fromtimestamp(self._around.clock.now()).date()

    def _first(self) -> date:
        """The first day whose end is known whole."""
        return datetime.fromtimestamp(self._around.clock.now() - self._around.days * 86_400).date()
