"""An account in plain lists: the simplest thing that keeps the promises of AccountStore.

Written without looking at speed, so that it can serve as the model the embedded store is compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from msgspec import structs

from postroom.store.api import (
    EVERY_FLAG,
    Annotation,
    AnnotationLimits,
    AppendResult,
    CopyResult,
    DeliveredAlready,
    Departure,
    ExpungeResult,
    Feed,
    FlagChange,
    FlagOp,
    Hint,
    MailboxExists,
    MailboxHasChildren,
    MailboxInfo,
    MailboxLife,
    NewAnnotation,
    NewMessage,
    NotFound,
    Origin,
    Placed,
    Placing,
    Rendered,
    Restored,
    Settable,
    Snapshot,
    Source,
    StoreFlagsResult,
    Undone,
    Usage,
)
from postroom.store.memory.boxes import (
    Box,
    Item,
    applied,
    info_of,
    life_of,
    octets_of,
    page_of,
    reached,
    rendered_of,
)
from postroom.store.memory.filters import MemoryFilters
from postroom.store.memory.index import MemoryIndex
from postroom.store.memory.keywords import learned, named_as, place_of
from postroom.store.memory.metadata import Annotations
from postroom.store.memory.past import Past, asked
from postroom.store.memory.quota import check_quota
from postroom.store.memory.saved import MemoryContacts, MemorySearches
from postroom.store.memory.sharing import MemoryAcls, MemoryMarks
from postroom.store.memory.subscriptions import Subscriptions
from postroom.store.memory.traits import MemoryTraits
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.flags import DELETED, POP3_HIDDEN

_PAGE: Final = 512


class MemoryAccount:
    """See postroom.store.api.AccountStore."""

    def __init__(self, account: str, clock: Clock, feed: Feed) -> None:
        self._id = account
        self._clock = clock
        self._feed = feed
        self._boxes: dict[int, Box] = {}
        self._messages: dict[int, tuple[NewMessage, bytes]] = {}
        self._delivered: set[tuple[str, str]] = set()
        self._past = Past()
        self._modseq = self._next_box = self._next_message = 1
        self._uidvalidity = 0
        self._pop3: tuple[str, float] | None = None
        self._told: dict[int, int] = {}
        self._subscriptions = Subscriptions()
        self._acls = MemoryAcls(self)
        self.acl, self.acls, self.grant = self._acls.acl, self._acls.acls, self._acls.grant
        self._annotations = Annotations()
        self.filters = MemoryFilters(clock, self)
        self.index, self.contacts = MemoryIndex(), MemoryContacts(clock)
        self.traits = MemoryTraits(self._messages, lambda: self._next_message)
        self.marks = MemoryMarks(self)
        self.saved = MemorySearches(lambda: self._tell(0, self._next_modseq()), clock)

    @property
    def id(self) -> str:
        return self._id

    async def mailboxes(self) -> list[MailboxInfo]:
        return [info_of(box) for box in sorted(self._boxes.values(), key=lambda box: box.name)]

    async def mailbox(self, name: str) -> MailboxInfo | None:
        box = self._named(name)
        return info_of(box) if box else None

    def _named(self, name: str) -> Box | None:
        return next((box for box in self._boxes.values() if box.name == name), None)

    def _box(self, mailbox: int) -> Box:
        box = self._boxes.get(mailbox)
        if box is None:
            raise NotFound(f"no mailbox {mailbox}")
        return box

    def _next_modseq(self) -> int:
        self._modseq += 1
        return self._modseq

    def _tell(self, mailbox: int, modseq: int) -> None:
        self._feed.publish(Hint(self._id, mailbox, modseq))

    def _make(self, name: str, special_use: str) -> Box:
        levels = name.split("/")
        for depth in range(1, len(levels)):
            parent = "/".join(levels[:depth])
            if self._named(parent) is None:
                self._make(parent, "")
        self._uidvalidity = max(self._uidvalidity + 1, int(self._clock.now()))
        box = Box(self._next_box, name, self._uidvalidity, self._next_modseq(), special_use)
        self._next_box += 1
        above = self._named("/".join(levels[:-1]))
        self._acls.made(box.id, above.id if above else 0)
        box.mode = (above or self._named("INBOX") or box).mode
        self._boxes[box.id] = box
        self._past.born(box.id, self._clock.now())
        return box

    def provision(self, name: str, special_use: str) -> None:
        """One of a new account's first mailboxes: subscribed."""
        if self._named(name) is None:
            self._make(name, special_use)
            self._subscriptions.wanted.add(name)

    async def create(self, name: str, special_use: str = "") -> MailboxInfo:
        if self._named(name) is not None:
            raise MailboxExists(name)
        box = self._make(name, special_use)
        self._tell(0, self._modseq)
        return info_of(box)

    async def rename(self, mailbox: int, name: str) -> None:
        old = self._box(mailbox).name
        moved = [box for box in self._boxes.values() if box.name == old or box.name.startswith(old + "/")]
        names = {name + box.name[len(old) :]: box for box in moved}
        if name == old or any(other not in moved and other.name in names for other in self._boxes.values()):
            raise MailboxExists(name)
        modseq = self._next_modseq()
        self._subscriptions.rename((box.name, new) for new, box in names.items())
        for new, box in names.items():
            self._past.renamed(box.id, self._clock.now(), box.name)
            box.name = new
        levels = name.split("/")
        for depth in range(1, len(levels)):
            parent = "/".join(levels[:depth])
            if self._named(parent) is None:
                self._make(parent, "")
        self._tell(0, modseq)

    async def delete(self, mailbox: int) -> None:
        box = self._box(mailbox)
        if any(other.name.startswith(box.name + "/") for other in self._boxes.values()):
            raise MailboxHasChildren(box.name)
        if box.items:  # what was in it is expunged first
            self._past.left(box.id, self._clock.now(), self._next_modseq(), page_of(box, box.items), moved=False)
        self._past.died(life_of(box), self._clock.now())
        del self._boxes[mailbox]
        self._acls.gone(mailbox)
        self.marks.gone(mailbox)
        self._annotations.drop(mailbox)
        self._tell(0, self._next_modseq())

    async def subscriptions(self) -> frozenset[str]:
        return frozenset(self._subscriptions.wanted)

    async def refusals(self) -> frozenset[str]:
        return frozenset(self._subscriptions.refused)

    async def subscribe(self, name: str, subscribed: bool, *, remember: bool = False) -> None:
        if self._subscriptions.choose(name, subscribed, remember=remember):
            self._tell(0, self._next_modseq())

    async def specialize(self, mailbox: int, special_use: str) -> None:
        box = self._box(mailbox)
        if box.special_use != special_use:
            box.special_use = special_use
            self._tell(0, self._next_modseq())

    async def annotations(self, mailbox: int, login: str) -> list[Annotation]:
        return self._annotations.of(mailbox, login)

    async def annotate(self, mailbox: int, changes: Sequence[NewAnnotation], limits: AnnotationLimits) -> int:
        if mailbox:
            self._box(mailbox)
        self._annotations.check(mailbox, changes, limits)
        modseq = self._next_modseq()
        self._annotations.set(mailbox, changes, modseq)
        self._tell(0, modseq)
        return modseq

    async def copy_annotations(self, source: int, target: int) -> None:
        self._box(source)
        self._box(target)
        modseq = self._next_modseq()
        self._annotations.copy(source, target, modseq)
        self._tell(0, modseq)

    async def annotated(self, login: str, since: int) -> list[Annotation]:
        return self._annotations.since(login, since)

    async def annotation_octets(self) -> int:
        return self._annotations.octets()

    # messages

    async def snapshot(self, mailbox: int) -> Snapshot:
        return self._snapshot(self._box(mailbox))

    def _snapshot(self, box: Box) -> Snapshot:
        if box.seen is None or box.seen.modseq != box.modseq:
            pages = [page_of(box, box.items[begin : begin + _PAGE]) for begin in range(0, len(box.items), _PAGE)]
            box.seen = Snapshot(box.id, box.uidvalidity, box.uidnext, box.modseq, pages, box.keywords)
        return box.seen

    async def append(
        self,
        mailbox: int,
        messages: Sequence[NewMessage],
        *,
        quota: int = 0,
        quota_messages: int = 0,
        delivery: tuple[str, str] | None = None,
        replaces: tuple[int, int] | None = None,
    ) -> AppendResult:
        box = self._box(mailbox)
        if delivery is not None and delivery in self._delivered:
            raise DeliveredAlready(delivery[0])
        source, old = (self._box(replaces[0]), self._box(replaces[0]).holding(replaces[1])) if replaces else (box, [])
        self._check_quota((quota, quota_messages), [message.content.size for message in messages], old)
        bodies = [octets_of(message) for message in messages]
        box.keywords = learned(box.keywords, [name for message in messages for name in message.keywords])
        if delivery is not None:
            self._delivered.add(delivery)
        modseq, uids, now = self._next_modseq(), [], int(self._clock.now())
        for message, octets in zip(messages, bodies, strict=True):
            self._messages[self._next_message] = (structs.replace(message, content=Content.of(octets)), octets)
            uids.append(box.uidnext)
            names = named_as(box.keywords, message.keywords)
            item = Item(box.uidnext, message.flags, names, modseq, self._next_message, len(octets), 0, now)
            box.items.append(replace(item, date=message.internaldate))
            box.uidnext += 1
            self._next_message += 1
        box.modseq = modseq
        self._tell(box.id, modseq)
        if old:
            self._take(source, old)
        return AppendResult(box.uidvalidity, tuple(uids), self._snapshot(box))

    def _check_quota(self, quota: tuple[int, int], sizes: list[int], freed: Sequence[Item] = ()) -> None:
        check_quota(self._boxes.values(), quota, sizes, freed)

    async def store_flags(self, mailbox: int, uids: Sequence[int], change: FlagChange) -> StoreFlagsResult:
        box = self._box(mailbox)
        keywords = change.keywords if change.may.keywords else ()
        if change.op is FlagOp.REMOVE:
            keywords = tuple(name for name in keywords if place_of(box.keywords, name) is not None)
        known = learned(box.keywords, keywords)
        there = {item.uid: item for item in box.items}
        changed, modified, missing = [], [], []
        modseq = self._modseq + 1
        for uid in uids:
            item = there.get(uid)
            if item is None:
                missing.append(uid)
            elif change.unchanged_since is not None and item.modseq > change.unchanged_since:
                modified.append(uid)
            elif applied(item, change, named_as(known, keywords)):
                item.modseq = modseq
                changed.append(uid)
        if changed:
            box.keywords = known
            box.modseq = self._next_modseq()
            self._tell(box.id, modseq)
        return StoreFlagsResult(self._snapshot(box), tuple(changed), tuple(modified), tuple(missing))

    async def copy(
        self,
        source: int,
        uids: Sequence[int],
        target: int,
        *,
        quota: int = 0,
        quota_messages: int = 0,
        may: Settable = EVERY_FLAG,
    ) -> CopyResult:
        from_box, to_box = self._box(source), self._box(target)
        wanted = set(uids)
        taken = [item for item in from_box.items if item.uid in wanted]
        if taken:
            self._check_quota((quota, quota_messages), [item.size for item in taken])
        placed = self._put(to_box, reached(taken, may))
        return self._copied(from_box, to_box, taken, placed)

    async def move(self, source: int, uids: Sequence[int], target: int, *, may: Settable = EVERY_FLAG) -> CopyResult:
        from_box, to_box = self._box(source), self._box(target)
        wanted = set(uids)
        taken = [item for item in from_box.items if item.uid in wanted]
        if taken:
            learned(to_box.keywords, [name for item in reached(taken, may) for name in item.keywords])
            self._take(from_box, taken, moved=True)
        placed = self._put(to_box, reached(taken, may))
        return self._copied(from_box, to_box, taken, placed)

    def _take(self, box: Box, taken: list[Item], *, moved: bool = False) -> None:
        gone = {item.uid for item in taken}
        box.items = [item for item in box.items if item.uid not in gone]
        box.modseq = self._next_modseq()
        self._past.left(box.id, self._clock.now(), box.modseq, page_of(box, taken), moved=moved)
        box.gone.append((box.modseq, sorted(gone)))
        self._tell(box.id, box.modseq)

    def _put(self, box: Box, taken: Iterable[Item]) -> list[int]:
        taken, uids = list(taken), []
        if not taken:
            return []
        box.keywords = learned(box.keywords, [name for item in taken for name in sorted(item.keywords)])
        modseq, now = self._next_modseq(), int(self._clock.now())
        for item in taken:
            names = named_as(box.keywords, item.keywords)
            box.items.append(replace(item, uid=box.uidnext, modseq=modseq, keywords=names, saved=now))
            uids.append(box.uidnext)
            box.uidnext += 1
        box.modseq = modseq
        self._tell(box.id, modseq)
        return uids

    def _copied(self, source: Box, target: Box, taken: list[Item], placed: list[int]) -> CopyResult:
        return CopyResult(
            target.uidvalidity,
            tuple(item.uid for item in taken),
            tuple(placed),
            self._snapshot(source),
            self._snapshot(target),
        )

    async def expunge(self, mailbox: int, uids: Sequence[int] | None, *, only_deleted: bool = True) -> ExpungeResult:
        if uids is None and not only_deleted:
            raise ValueError("expunging everything takes the UIDs")
        box = self._box(mailbox)
        wanted = None if uids is None else set(uids)
        taken = [
            item
            for item in box.items
            if (wanted is None or item.uid in wanted) and (item.flags & DELETED or not only_deleted)
        ]
        if taken:
            self._take(box, taken)
        return ExpungeResult(tuple(item.uid for item in taken), self._snapshot(box))

    # what was

    async def lives(self) -> list[MailboxLife]:
        return self._past.lives({box.id: life_of(box) for box in self._boxes.values()})

    async def departures(self, mailbox: int | None = None) -> list[Departure]:
        return [one for one in self._past.departures if mailbox in (None, one.mailbox)]

    async def modseq(self) -> int:
        return self._modseq

    async def deleted_in(self) -> frozenset[int]:
        return frozenset(one.mailbox for one in self._past.departures if not one.moved and 0 in one.back)

    async def next_number(self) -> int:
        return self._past.next_number

    async def restores(self) -> list[Restored]:
        return list(self._past.restores.values())

    async def restore(self, placings: Sequence[Placing], *, quota: int = 0, quota_messages: int = 0) -> Restored:
        lives = {life.id: life for life in await self.lives()}
        found = [(placing, asked(placing.sources, lambda source: self._there(source, lives))) for placing in placings]
        found = [(placing, items) for placing, items in found if items or not placing.sources]
        self._check_quota((quota, quota_messages), [item.size for _, items in found for _, item in items])
        for placing, items in found:
            box = self._named(placing.target)
            learned(box.keywords if box else (), [name for _, item in items for name in sorted(item.keywords)])
        placed = []
        for placing, items in found:
            placed.append(self._bring(placing, items))
            self._past.mark(placing.sources, [place for place, _ in items])
        return self._past.restored(self._clock.now(), tuple(placed))

    def _there(self, source: Source, lives: dict[int, MailboxLife]) -> dict[int, Item]:
        """By UID, what can be had from a source."""
        if not source.departure:
            return {item.uid: item for item in self._box(source.mailbox).items}
        rows = self._past.rows(source.departure, lives)
        return {row[0]: Item(*row) for row in rows if row[4] in self._messages}

    def _bring(self, placing: Placing, items: list[tuple[int, Item]]) -> Placed:
        box, known = self._named(placing.target), set(self._boxes)
        if box is None:
            box = self._make(placing.target, placing.special_use)
            self._tell(0, self._modseq)
        back = [replace(item, flags=item.flags & ~(DELETED | POP3_HIDDEN)) for _, item in items]
        uids, places = self._put(box, back), [place for place, _ in items]
        return Placed(
            box.id, box.name, box.uidvalidity, tuple(sorted(self._boxes.keys() - known)), tuple(places), tuple(uids)
        )

    async def undo_restore(self, restore: int) -> Undone:
        placed = self._past.forget(restore)
        gone, names = 0, []
        for one in placed:
            if one.mailbox in self._boxes:
                box, uids = self._boxes[one.mailbox], set(one.uids)
                taken = [item for item in box.items if item.uid in uids]
                gone += len(taken)
                if taken:
                    self._take(box, taken)
        for number in [number for one in reversed(placed) for number in reversed(one.made)]:
            if number in self._boxes and not self._boxes[number].items:
                name = self._boxes[number].name
                with suppress(MailboxHasChildren):
                    await self.delete(number)
                    names.append(name)
        return Undone(gone, tuple(names))

    # reading

    async def rendered(self, messages: Sequence[int]) -> list[Rendered]:
        return [rendered_of(number, *self._messages[number]) for number in messages if number in self._messages]

    async def columns(self, messages: Sequence[int], column: str) -> list[bytes]:
        if column not in {"envelope", "structure", "bodystructure", "parts", "references"}:
            raise ValueError(column)
        return [getattr(self._messages[key][0], column) if key in self._messages else b"" for key in messages]

    async def origins(self, messages: Sequence[int]) -> dict[int, Origin]:
        there = [(key, self._messages[key][0].origin) for key in messages if key in self._messages]
        return {key: origin for key, origin in there if origin}

    async def originals(self, emailid: str) -> list[int]:
        return [key for key, (new, _) in self._messages.items() if new.origin and new.origin.emailid == emailid]

    async def messages(self, after: int, limit: int) -> Sequence[int]:
        return sorted(number for number in self._messages if number > after)[:limit]

    async def content(self, message: int) -> Content:
        if message not in self._messages:
            raise NotFound(f"no message {message}")
        return self._messages[message][0].content

    async def vanished(self, mailbox: int, since: int) -> Sequence[int] | None:
        box = self._box(mailbox)
        return sorted(uid for modseq, uids in box.gone if modseq > since for uid in uids)

    async def recent(self, mailbox: int, uidnext: int, *, claim: bool) -> int:
        told = self._told.get(mailbox, 0)
        self._told[mailbox] = max(told, uidnext) if claim else told
        return min(told, uidnext)

    async def usage(self) -> Usage:
        sizes = [item.size for box in self._boxes.values() for item in box.items]
        return Usage(sum(sizes), len(sizes))

    async def pop3_lock(self, holder: str, now: float, lifetime: float) -> bool:
        if self._pop3 is not None and self._pop3[0] != holder and now < self._pop3[1]:
            return False
        self._pop3 = (holder, now + lifetime)
        return True

    async def pop3_unlock(self, holder: str) -> None:
        if self._pop3 is not None and self._pop3[0] == holder:
            self._pop3 = None

    def sweep(self, before: float) -> int:
        """Drop what was expunged before that time and is in no mailbox; how many messages went."""
        self._past.sweep(before)
        kept = {item.message for box in self._boxes.values() for item in box.items}
        kept.update(self._past.messages())
        dropped = self._messages.keys() - kept
        for message in dropped:
            del self._messages[message]
        return len(dropped)
