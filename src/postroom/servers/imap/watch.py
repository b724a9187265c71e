"""The ear of a client that said NOTIFY: what became of mailboxes that it has not selected (RFC 5465).

Kept is what the client was told last of each mailbox, and nothing else: a hint only says where to look, and the answer
is the difference. So a client that reads slowly costs no more than one that reads fast, and hears less.
What this client does itself is taken into what it knows, and so never told back (RFC 5465 5), except where a change of
flags could hide behind it.
Owns: its subscriptions to the change feed. Trusts: places for what the login may see, now; rights are asked each time.
Standards: RFC 5465 3.1, 5 and 6; RFC 9051 7.3.1 (OLDNAME), RFC 7162 3.1.2 (HIGHESTMODSEQ).
On failure: TooMany at the beginning; later the client is told that nothing more will be (RFC 5465 5.8). A store that
does not answer is asked again at the next hint or command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from postroom.mailbox.places import Place, Places, Realm, seen
from postroom.mailbox.selection import Selection, of_uids
from postroom.mailbox.views import VIEW_REALMS
from postroom.servers.imap import fetch
from postroom.servers.imap.annotations import Annotations
from postroom.servers.imap.interests import (
    FLAG_CHANGE,
    MESSAGE_NEW,
    MESSAGES,
    METADATA,
    SERVER_METADATA_CHANGE,
    Interests,
)
from postroom.servers.imap.list import send_list
from postroom.servers.imap.pace import Pace
from postroom.servers.imap.relisting import Around, Key, Tables, Told
from postroom.servers.imap.selected import Selected
from postroom.servers.imap.session import Session
from postroom.servers.imap.status import status_line
from postroom.store.api import VIEW, Hint, MailboxInfo, NotFound, StoreError
from postroom.values import rights as right
from postroom.values.flags import SEEN
from postroom.wire.imap import response
from postroom.wire.imap.response import Listed

#: mailboxes one client may watch
MOST: Final = 5000

_READING: Final = right.LOOKUP | right.READ
_UNSEEN: Final = bytes(not octet & SEEN for octet in range(256))


class TooMany(Exception):
    """More mailboxes than one client may watch."""


class Known:
    """A mailbox whose messages are watched, as the client knows it."""

    __slots__ = ("events", "messages", "modseq", "name", "realm", "uidnext", "uidvalidity", "unseen")

    def __init__(self, realm: Realm, name: str, events: frozenset[str], info: MailboxInfo) -> None:
        self.realm = realm
        self.name = name  # within the account
        self.events = events
        self.learn(info)

    def learn(self, info: MailboxInfo) -> None:
        """The client knows this now."""
        self.uidvalidity = info.uidvalidity
        self.uidnext = info.uidnext
        self.messages = info.messages
        self.unseen = info.unseen
        self.modseq = info.modseq

    def begin(self, *, replaced: bool) -> None:
        """The mailbox is new to the client: what lies in it came after it was made."""
        if replaced:
            self.uidvalidity = 0
        if self.messages or self.uidnext > 1:
            self.messages, self.uidnext, self.unseen, self.modseq = 0, 1, 0, 0


class Watch:
    """One client's, from its NOTIFY to the next."""

    __slots__ = (
        "_annotations",
        "_beginning",
        "_boxes",
        "_closed",
        "_dirty",
        "_ends",
        "_gone",
        "_mine",
        "_names",
        "_no_access",
        "_own",
        "_past",
        "_stale",
        "_subscribed",
        "_wake",
        "interests",
    )

    def __init__(self, interests: Interests, wake: Callable[[], None]) -> None:
        self.interests = interests
        self._wake = wake
        self._boxes: dict[Key, Known] = {}
        self._names: dict[Key, str] = {}  # all that are visible in the realms in question, watched or not
        self._subscribed: frozenset[str] = frozenset()
        self._no_access: set[str] = set()
        self._gone: set[tuple[str, str]] = set()  # prefix and name of mailboxes that were watched
        self._dirty: dict[Key, None] = {}  # where to look
        self._stale = False  # the list of mailboxes may have changed
        self._mine: set[tuple[str, ...]] = set()  # changes of names that this client made
        self._own: set[int] = set()  # UIDs that it added to the selected mailbox
        self._annotations: Annotations | None = None
        if interests.all & METADATA:
            self._annotations = Annotations(server=SERVER_METADATA_CHANGE in interests.all)
        self._ends: dict[str, Callable[[], None]] = {}
        self._past: set[str] = set()  # accounts of whose past something is watched
        self._beginning = True  # what there is to watch is not known yet
        self._closed = False

    # --- the selected mailbox

    @property
    def frozen(self) -> bool:
        """Nothing of the selected mailbox is told (RFC 5465 3.1)."""
        return not self.interests.selected

    @property
    def flags(self) -> bool:
        """Others' changes of flags in the selected mailbox are told."""
        return FLAG_CHANGE in self.interests.selected

    @property
    def patient(self) -> bool:
        """Expunges in the selected mailbox are told when a command allows it, or not at all (RFC 5465 6.1.2)."""
        return self.frozen or self.interests.delayed

    async def arrived(self, session: Session, count: int) -> None:
        """The last `count` messages of the selected mailbox are new: send what was asked for (RFC 5465 5.2)."""
        own, self._own = self._own, set()
        if not self.interests.items or MESSAGE_NEW not in self.interests.selected:
            return
        snapshot = session.box.view.snapshot
        selection = Selection(snapshot, [(len(snapshot) - count + 1, len(snapshot))])
        if own:
            selection = of_uids(snapshot, [uid for uid in selection.uids() if uid not in own])
        if selection.ranges:
            await fetch.show(session, selection, self.interests.items)

    def left(self, selected: Selected) -> None:
        """The selected mailbox is one of the others from now on, known as its client has seen it last."""
        self._own = set()
        key = (selected.account.id, selected.id)
        known = self._boxes.get(key)
        if known is not None:
            snapshot = selected.view.snapshot
            known.messages, known.uidnext, known.modseq = len(snapshot), snapshot.uidnext, selected.view.modseq
            known.unseen = sum(page.flags.translate(_UNSEEN).count(1) for page in snapshot.pages)
            self._dirty[key] = None
            self._wake()

    # --- what this client does itself

    def added(self, place: Place, uids: Sequence[int], *, selected: bool) -> None:
        """It added messages to a mailbox, to the selected one or another."""
        if selected:
            if self.interests.items:
                self._own.update(uids)
            return
        known = self._boxes.get((place.account.id, place.id))
        if known is not None and uids and FLAG_CHANGE not in known.events:
            known.messages += len(uids)
            if known.uidnext == uids[0]:
                known.uidnext = uids[-1] + 1

    def made(self, *change: str) -> None:
        """It changed the list: ("created", name), ("deleted", name), ("renamed", old, new), ("subscribed", name).

        What goes with it (levels above, subscriptions of what is renamed) need not be said.
        """
        self._mine.add(change)

    def wrote(self, account: str, modseq: int) -> None:
        """It changed annotations."""
        if self._annotations is not None:
            self._annotations.wrote(account, modseq)

    # --- hearing

    @property
    def pending(self) -> bool:
        """There may be something to tell."""
        return self._stale or bool(self._dirty)

    def look_again(self) -> None:
        """More or less may be shared with the client than it was."""
        self._stale = True
        self._wake()

    def _listen(self, realm: Realm) -> None:
        account = realm.account.id
        if isinstance(realm, VIEW_REALMS):
            self._past.add(account)

        def heard(hint: Hint) -> None:
            if hint.mailbox == 0:
                self._stale = True
                if not hint.modseq:  # hints were lost
                    self._dirty.update(dict.fromkeys(self._boxes))
            elif self._beginning or (account, hint.mailbox) in self._boxes:
                self._dirty[account, hint.mailbox] = None
            elif account not in self._past:
                return
            if account in self._past:  # whatever happens becomes the past
                self._stale = True
                self._dirty.update((key, None) for key in self._boxes if key[1] >= VIEW)
            self._wake()

        if account not in self._ends:
            self._ends[account] = realm.account.watch_all(heard)

    def close(self) -> None:
        """Hear no more."""
        self._closed = True
        for end in self._ends.values():
            end()
        self._ends.clear()
        self._boxes.clear()
        self._names.clear()
        self._dirty.clear()
        self._stale = False

    # --- telling

    async def begin(self, session: Session, *, status: bool) -> None:
        """Look at everything for the first time; tell what cannot be watched, and STATUS if asked (RFC 5465 3.1).

        Raises TooMany, StoreError.
        """
        if not self.interests:
            return
        around = await self._look(session.world)
        self._names = _all_names(around)
        self._boxes = self._watched(around)
        await self._tell_annotations(session, around)
        self._beginning = False
        if len(self._boxes) > MOST:
            raise TooMany
        self._deny(session, around)
        if not status:
            return
        pace = Pace(session.link)
        for key, known in self._boxes.items():
            if not _is_selected(session, key):
                await self._first_status(session, known)
                await pace.breathe()

    async def tell(self, session: Session) -> None:
        """Send what happened to mailboxes that are not selected. The store's faults leave it for later."""
        try:
            if self._stale:
                self._stale = False
                await self._relist(session)
            dirty, self._dirty = self._dirty, {}
            while dirty and not self._closed:
                key = next(iter(dirty))
                await self._tell_one(session, key)
                del dirty[key]
        except StoreError:
            self._stale = True
            self._dirty.update(dict.fromkeys(self._boxes))
            session.connection.wake_later()

    async def _tell_one(self, session: Session, key: Key) -> None:
        known = self._boxes.get(key)
        if known is None or _is_selected(session, key):
            return
        try:
            info = await known.realm.account.store.mailbox(known.name)
            rights = await known.realm.rights(key[1])
        except NotFound:
            info, rights = None, 0
        if info is None or info.id != key[1] or rights & _READING != _READING:
            return  # of which the list will tell
        items = _news(known, info, condstore=session.wire.condstore)
        known.learn(info)
        if items:
            session.send(await status_line(session, Place(known.realm, info, rights), items))

    async def _first_status(self, session: Session, known: Known) -> None:
        info = await known.realm.account.store.mailbox(known.name)
        if info is None:
            return
        items = ["MESSAGES", "UIDNEXT", "UIDVALIDITY"]
        if FLAG_CHANGE in known.events:
            items.append("HIGHESTMODSEQ")
        known.learn(info)
        session.send(await status_line(session, Place(known.realm, info, right.ALL), items))

    # --- the list of mailboxes

    async def _look(self, world: Places) -> list[Around]:
        """Everything visible in the realms that the groups may mean."""
        self._listen(world.home)  # first, so that nothing happens unheard in between
        self._subscribed = await world.subscribed()
        around = [Around(world.home, [(info, right.ALL) for info in await world.own.store.mailboxes()])]
        wanted = [*self.interests.named, *(self._subscribed if self.interests.subscribed else ())]
        async for realm in world.realms_at(wanted):
            self._listen(realm)
            around.append(Around(realm, await seen(realm)))
        return around

    def _of(self, realm: Realm, name: str, subscribed: frozenset[str]) -> frozenset[str]:
        return self.interests.of(name, own=not realm.prefix, subscribed=name in subscribed)

    def _watched(self, around: Iterable[Around]) -> dict[Key, Known]:
        """The mailboxes whose messages are watched."""
        found = {}
        for each in around:
            for info, rights in each.visible:
                events = self._of(each.realm, each.realm.prefix + info.name, self._subscribed)
                if events & MESSAGES and rights & right.READ:
                    found[each.realm.account.id, info.id] = Known(each.realm, info.name, events, info)
        return found

    def _deny(self, session: Session, around: Iterable[Around]) -> None:
        """RFC 5465 3.1 and 5.9: \\NoAccess for what may be listed but not read, and once more when it may."""
        now = set()
        for each in around:
            for info, rights in each.visible:
                name = each.realm.prefix + info.name
                if not rights & right.READ and self._of(each.realm, name, self._subscribed) & MESSAGES:
                    now.add(name)
        for name in sorted(now - self._no_access):
            send_list(session, Listed(mailbox=name, attributes=("\\NoAccess",)))
        self._no_access = now

    async def _relist(self, session: Session) -> None:
        """The list may have changed: tell of names and subscriptions, watch what is new, forget what is gone."""
        if not self.interests:
            return
        before, subscribed = self._names, self._subscribed
        around = await self._look(session.world)
        after = _all_names(around)
        mine, self._mine = self._mine, set()
        told = Told(session, around, Tables(self._of, subscribed, self._subscribed, mine))
        told.renamed(before, after)
        told.subscriptions()
        await self._tell_annotations(session, around)
        self._names = after
        self._watch_anew(around, before)
        self._deny(session, around)
        if len(self._boxes) > MOST:
            self.close()
            self.interests = Interests()
            text = "Too many mailboxes to watch; nothing more is told until the next NOTIFY"
            session.send(response.ok(b"*", text, b"NOTIFICATIONOVERFLOW"))

    async def _tell_annotations(self, session: Session, around: Iterable[Around]) -> None:
        if self._annotations is not None:
            for each in around:
                await self._annotations.tell(session, each, lambda realm, name: self._of(realm, name, self._subscribed))

    def _watch_anew(self, around: Iterable[Around], before: dict[Key, str]) -> None:
        """Go on with what is known; what was not there before is new with all that lies in it."""
        old, self._boxes = self._boxes, self._watched(around)
        if len(self._gone) > MOST:
            self._gone.clear()
        self._gone.update((known.realm.prefix, known.name) for key, known in old.items() if key not in self._boxes)
        for key, now in self._boxes.items():
            known = old.get(key)
            if known is not None:
                known.name, known.events = now.name, now.events
                self._boxes[key] = known
            elif key not in before:
                name = (now.realm.prefix, now.name)
                now.begin(replaced=name in self._gone)
                self._gone.discard(name)
                self._dirty[key] = None


def _news(known: Known, info: MailboxInfo, *, condstore: bool) -> list[str]:
    """What STATUS must say of a mailbox that is known so and has become so (RFC 5465 5.1 to 5.3)."""
    flags = FLAG_CHANGE in known.events
    modseq = ["HIGHESTMODSEQ"] if condstore else []
    unseen = ["UNSEEN"] if flags and (info.unseen != known.unseen or info.unseen < 0) else []
    if info.uidvalidity != known.uidvalidity:
        return ["MESSAGES", "UIDNEXT", "UIDVALIDITY", *unseen, *modseq]
    if info.messages != known.messages or info.uidnext != known.uidnext:
        return ["UIDNEXT", "MESSAGES", *unseen, *modseq]
    if not flags or info.modseq == known.modseq or not (condstore or unseen):
        return []
    return ["UIDVALIDITY", *unseen, *modseq]


def _all_names(around: Iterable[Around]) -> dict[Key, str]:
    return {
        (each.realm.account.id, info.id): each.realm.prefix + info.name for each in around for info, _ in each.visible
    }


def _is_selected(session: Session, key: Key) -> bool:
    selected = session.selected
    return selected is not None and (selected.account.id, selected.id) == key
