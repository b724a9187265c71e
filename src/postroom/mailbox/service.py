"""The mailboxes of accounts: every rule about them that is not a protocol's.

Owns: names and hierarchy, INBOX's special behaviour, what is deleted and renamed how, sizes and quotas of what is
added, and that a message is indexed exactly once. Keeps nothing itself: everything lies in store.api.
Trusts: nothing in names and messages. The account was authenticated or resolved by the caller.
Standards: RFC 9051 6.3.4-6.3.6, RFC 6154, RFC 7889, RFC 9208, RFC 3502, RFC 4315, RFC 6851.
On failure: errors of mailbox.errors and store.api; `mailbox.errors.response_code` gives the IMAP code of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast
from weakref import WeakValueDictionary

from postroom.mailbox import names, sent
from postroom.mailbox.errors import (
    MessageTooBig,
    NoSuchMailbox,
    NotAllowed,
    TooManyMailboxes,
)
from postroom.mailbox.happenings import Cause, Happenings
from postroom.mailbox.incoming import Incoming, rendered
from postroom.mailbox.limits import MailboxLimits, Quota
from postroom.mailbox.names import INBOX
from postroom.mailbox.orders import Orders
from postroom.mailbox.previews import Previews
from postroom.mailbox.reader import ReaderStore
from postroom.mailbox.special_use import special_use
from postroom.mailbox.teaching import Teaching
from postroom.mailbox.trait_keeper import Latecomers
from postroom.message.index import MessageIndex
from postroom.policy.allowance import Allowance, resolve
from postroom.store.api import (
    EVERY_FLAG,
    VIEW,
    AccountRow,
    AccountStore,
    AppendResult,
    CopyResult,
    DeliveredAlready,
    ExpungeResult,
    Filing,
    FlagChange,
    Hint,
    MailboxExists,
    MailboxInfo,
    NewMessage,
    Outline,
    OverQuota,
    Remembered,
    Settable,
    Snapshot,
    Store,
    StoreFlagsResult,
    Usage,
)
from postroom.values.clock import Clock
from postroom.values.content import Content

#: accounts kept at hand although nobody uses them just now
_RECENT: Final = 64


class Mailboxes:
    """All accounts of this process, each opened once while somebody uses it."""

    __slots__ = (
        "_clock",
        "_limits",
        "_new_guid",
        "_open",
        "_recent",
        "_store",
        "happenings",
        "latecomers",
        "orders",
        "previews",
        "teaching",
    )

    def __init__(
        self,
        store: Store,
        clock: Clock,
        new_guid: Callable[[], str],
        limits: MailboxLimits | None = None,
    ) -> None:
        """new_guid: 32 hex digits, new at each call (uuid4().hex)."""
        self._store = store
        self._clock = clock
        self._new_guid = new_guid
        self._limits = limits or MailboxLimits()
        self.previews: Final = Previews(clock.monotonic)
        self.orders: Final = Orders()
        self.teaching: Teaching | None = None  # who learns from what readers do
        self.latecomers: Latecomers | None = None  # who makes the traits of what arrived
        self.happenings: Happenings | None = None  # who tells scripts what is done by IMAP
        self._open: WeakValueDictionary[str, Account] = WeakValueDictionary()
        self._recent: dict[str, Account] = {}  # those that get mail all the time are not made anew for each message

    @property
    def limits(self) -> MailboxLimits:
        """The limits everyone's mailboxes share."""
        return self._limits

    def follow(self, limits: MailboxLimits) -> None:
        """Other limits from now on."""
        self._limits = limits
        for account in self._open.values():
            account.limits = limits

    async def open(self, account: AccountRow) -> Account:
        """The account's mailboxes; the same object while anyone holds it. Raises NotFound, StoreUnavailable."""
        found = self._recent.get(account.id) or self._open.get(account.id)
        if found is None:
            kept = await self._store.account(account.id)
            found = self._open.get(account.id)
            if found is None:
                found = Account(kept, self._store, account, self._clock, self._new_guid, self._limits)
                self._open[account.id] = found
                self._recent[account.id] = found
                if len(self._recent) > _RECENT:
                    del self._recent[next(iter(self._recent))]
        return self._ready(found, account)

    def _ready(self, found: Account, account: AccountRow) -> Account:
        found.row = account
        found.teaching = self.teaching
        found.latecomers = self.latecomers
        found.happenings = self.happenings
        return found

    async def outline(self, account: AccountRow) -> Outline:
        """What an account has, without opening it. Raises NotFound, StoreUnavailable."""
        return await self._store.outline(account.id)

    def view(self, store: AccountStore, account: AccountRow) -> Account:
        """Something else to be seen as an account's mailboxes."""
        return Account(store, self._store, account, self._clock, self._new_guid, self._limits)

    async def open_for(self, account: AccountRow, reader: str, *, private: bool) -> Account:
        """Somebody else's mailboxes as the account `reader` sees them (mailbox.reader); its places share the object.

        private: whose \\Seen is where a mailbox does not say. Raises as open.
        """
        key = f"{account.id} {reader}"
        found = self._open.get(key)
        if found is None:
            kept = cast(AccountStore, ReaderStore((await self.open(account)).store, reader, private=private))
            found = self._open[key] = self.view(kept, account)
            found.actor = reader
        return self._ready(found, account)


class Account:
    """One account's mailboxes. Names are normalised here, so callers pass what the client wrote."""

    __slots__ = (
        "__weakref__",
        "_all",
        "_allowance",
        "_clock",
        "_generation",
        "_inbox",
        "actor",
        "happenings",
        "latecomers",
        "limits",
        "new_guid",
        "row",
        "store",
        "surrogate_sizes",
        "teaching",
    )

    def __init__(
        self,
        store: AccountStore,
        everything: Store,
        row: AccountRow,
        clock: Clock,
        new_guid: Callable[[], str],
        limits: MailboxLimits,
    ) -> None:
        self.store: Final = store
        self.row = row  # as of the last open
        self._all = everything
        self._clock = clock
        self.new_guid: Final = new_guid
        self.limits = limits
        self._generation = -1  # of the directory that `_allowance` was read from
        self._allowance: tuple[MailboxLimits, Allowance] | None = None  # and the limits it was made with
        self.teaching: Teaching | None = None
        self.latecomers: Latecomers | None = None
        self.happenings: Happenings | None = None
        self.actor = row.id  # the account of who acts through this
        self._inbox = 0  # its id once known: INBOX is never deleted or renamed away
        self.surrogate_sizes: dict[int, int] = {}  # by message id, for POP3; a message never changes

    @property
    def id(self) -> str:
        """The account's id."""
        return self.store.id

    # --- names

    async def list(self) -> list[names.Listed]:
        """Every name, with the levels between that are no mailboxes, INBOX first (see names.hierarchy)."""
        return names.hierarchy(await self.store.mailboxes())

    async def find(self, name: str) -> MailboxInfo:
        """The mailbox of this name, in any normalisation, INBOX in any case. Raises NoSuchMailbox."""
        info = await self.store.mailbox(names.normalize(name))
        if info is None:
            raise NoSuchMailbox(f"There is no mailbox {name[:200]!r}")
        return info

    async def special(self, special_use: str) -> MailboxInfo | None:
        """The mailbox with a special use such as "\\\\Trash"."""
        wanted = special_use.lower()
        for info in await self.store.mailboxes():
            if info.special_use.lower() == wanted:
                return info
        return None

    async def create(self, name: str, uses: Sequence[str] = ()) -> MailboxInfo:
        """Make a mailbox and the levels above it (RFC 9051 6.3.4); the result's name is the normalised one.

        Raises BadName, MailboxExists (INBOX always exists), SpecialUseRefused, TooManyMailboxes.
        """
        name = self._checked(name)
        known = await self.store.mailboxes()
        have = {info.name for info in known}
        if name in have or name == INBOX:
            raise MailboxExists(name)
        new = 1 + sum(parent not in have for parent in names.parents(name))
        most = (await self.allowance()).mailboxes
        if most and len(known) + new > most:
            raise TooManyMailboxes(f"This account has at most {most} mailboxes")
        return await self.store.create(name, special_use(uses, known))

    async def delete(self, name: str) -> MailboxInfo:
        """Remove a mailbox with its messages (recoverable); what it was.

        Raises NotAllowed for INBOX, NoSuchMailbox, MailboxHasChildren (RFC 9051 6.3.5: children are never removed).
        """
        info = await self.find(name)
        if info.name == INBOX:
            raise NotAllowed("INBOX cannot be deleted")
        await self.store.delete(info.id)
        return info

    async def rename(self, name: str, target: str) -> MailboxInfo:
        """Rename with everything below; the levels above the new name are made (RFC 9051 6.3.6).

        INBOX stays: its messages move to a new mailbox `target`, its children stay where they are.
        Raises NoSuchMailbox, BadName, MailboxExists, NotAllowed (into itself), TooManyMailboxes.
        """
        info = await self.find(name)
        target = self._checked(target)
        if info.name == INBOX:
            return await self._rename_inbox(info, target)
        known = {box.name for box in await self.store.mailboxes()}
        if target in known or target == INBOX:
            raise MailboxExists(target)
        if target.startswith(info.name + names.DELIMITER):
            raise NotAllowed("A mailbox cannot be moved below itself")
        for child in names.below(info.name, known):
            self._checked(target + child[len(info.name) :])
        await self._make_parents(target, known)
        await self.store.rename(info.id, target)
        return await self.find(target)

    def _checked(self, name: str) -> str:
        """names.check, and not deeper than the limit. Raises BadName, TooManyMailboxes."""
        name = names.check(name)
        if name.count(names.DELIMITER) >= self.limits.depth:
            raise TooManyMailboxes(f"Mailbox names have at most {self.limits.depth} levels")
        return name

    async def _make_parents(self, name: str, known: set[str]) -> None:
        """Make the mailboxes above `name`, as create does for its own."""
        missing = [parent for parent in names.parents(name) if parent not in known]
        if missing:
            await self.create(missing[-1])

    async def _rename_inbox(self, inbox: MailboxInfo, target: str) -> MailboxInfo:
        """RFC 9051 6.3.6: moves all messages in INBOX to a new mailbox, leaving INBOX empty."""
        await self.create(target)
        box = await self.find(target)
        await self.store.copy_annotations(inbox.id, box.id)  # RFC 5464 4.1: INBOX keeps its own
        present = await self.store.snapshot(inbox.id)
        uids = [uid for page in present.pages for uid in page.uids]
        if uids:
            await self.store.move(inbox.id, uids, box.id)
        return await self.find(target)

    async def subscriptions(self) -> frozenset[str]:
        """The names this log-in subscribed to, in every namespace, whether there are such mailboxes or not."""
        return await self.store.subscriptions()

    async def subscribe(self, name: str, subscribed: bool, *, remember: bool = False) -> None:
        """Subscribe or unsubscribe; whether there is such a mailbox is the caller's business.

        remember: it counts as subscribed to unless the log-in says that it does not want it.
        Raises BadName, TooManyMailboxes (as many subscriptions as an account may have mailboxes).
        """
        if not subscribed:
            remember = remember and len(await self.store.refusals()) < self.limits.mailboxes
            await self.store.subscribe(names.normalize(name), False, remember=remember)
            return
        known = await self.store.subscriptions()
        name = names.check(name)
        if name not in known and len(known) >= self.limits.mailboxes:
            raise TooManyMailboxes(f"There can be at most {self.limits.mailboxes} subscriptions")
        await self.store.subscribe(name, True)

    # --- messages

    async def snapshot(self, mailbox: int) -> Snapshot:
        """The mailbox as it is now; a View tells the client what became of it. Raises NotFound once it is deleted."""
        return await self.store.snapshot(mailbox)

    @property
    def append_limit(self) -> int:
        """Octets of the largest message that can be added (RFC 7889)."""
        return self.limits.message_size

    async def append(
        self, mailbox: int, messages: Sequence[Incoming], *, replaces: tuple[int, int] | None = None
    ) -> AppendResult:
        """Add messages, all or none (RFC 3502). Raises MessageTooBig, OverQuota, TooManyKeywords, NotFound.

        replaces: (mailbox, UID) of a message that goes at the same moment (RFC 8508). Raises MessageGone.
        """
        new = [await self._indexed(message) for message in messages]
        return await self.add(mailbox, new, replaces=replaces, cause=Cause.APPEND)

    async def add(
        self,
        mailbox: int,
        new: Sequence[NewMessage],
        *,
        replaces: tuple[int, int] | None = None,
        cause: Cause = Cause.COPY,
    ) -> AppendResult:
        """Add messages that are rendered already, all or none. Raises OverQuota, TooManyKeywords, NotFound."""
        most = await self._room()
        self._expect(len(new))
        if replaces is None and self.row.sent_copies:
            replaces = await sent.twin(self.store, mailbox, new, self._clock.now())
        result = await self.store.append(
            mailbox, new, quota=most.octets, quota_messages=most.messages, replaces=replaces
        )
        if self.happenings is not None:
            await self.happenings.came(cause, self.store, self.actor, mailbox, result.uids)
        return result

    def _expect(self, count: int = 1) -> None:
        """Mail arrives: its traits are to be made, later."""
        if self.latecomers is not None:
            self.latecomers.note(self.store, count)

    async def deliver(  # noqa: PLR0913 - everything about a message that arrives
        self,
        content: Content,
        *,
        queue_id: str,
        recipient: str,
        mailbox: str = INBOX,
        internaldate: int | None = None,
        index: MessageIndex | None = None,
        flags: int = 0,
        keywords: tuple[str, ...] = (),
    ) -> AppendResult | None:
        """Add a message that came from the queue; None when (queue id, recipient) was delivered before.

        A mailbox that is not there (any more) gives way to INBOX: mail that was accepted is not lost for a name.
        Raises OverQuota, TooManyKeywords, StoreUnavailable. No size limit: intake has accepted it.
        """
        box = self._inbox if mailbox == INBOX else 0
        if not box:
            info = await self.store.mailbox(names.normalize(mailbox)) or await self.find(INBOX)
            box = info.id
            if info.name == INBOX:
                self._inbox = box
        new = await self._indexed(
            Incoming(content=content, internaldate=internaldate, flags=flags, keywords=keywords, index=index),
            limited=False,
        )
        most = await self._room()
        self._expect()
        try:
            return await self.store.append(
                box, [new], quota=most.incoming, quota_messages=most.messages, delivery=(queue_id, recipient)
            )
        except DeliveredAlready:
            return None

    async def file(
        self, filings: Sequence[Filing], *, delivery: tuple[str, str], remember: Sequence[Remembered] = ()
    ) -> Sequence[tuple[int, int]]:
        """Put a message that came from the queue where a filter wants it (see FilterStore.file)."""
        if not (filings or self._inbox):
            self._inbox = (await self.find(INBOX)).id
        home = filings[0].mailbox if filings else self._inbox
        most = await self._room()
        self._expect()
        return await self.store.filters.file(
            filings, delivery=delivery, home=home, remember=remember, quota=(most.incoming, most.messages)
        )

    async def render(self, message: Incoming) -> NewMessage:
        """With everything that readers will ask for; no limit on its size."""
        return await self._indexed(message, limited=False)

    async def _indexed(self, message: Incoming, *, limited: bool = True) -> NewMessage:
        """The message with everything rendered that readers will ask for."""
        if limited and message.content.size > self.limits.message_size:
            raise MessageTooBig(f"Messages may have at most {self.limits.message_size} octets")
        return await rendered(message, self.limits.index, self.new_guid(), self._clock)

    async def store_flags(self, mailbox: int, uids: Sequence[int], change: FlagChange) -> StoreFlagsResult:
        """Change flags (RFC 9051 6.4.6, RFC 7162 3.1.3). Raises TooManyKeywords, NotFound."""
        told = self.happenings
        before = await told.before(self.store, mailbox) if told is not None else None
        result = await self.store.store_flags(mailbox, uids, change)
        if self.teaching is not None and change.keywords:
            self.teaching.marked(self.store, mailbox, change, result.changed)
        if told is not None and before is not None:
            await told.flagged(self.store, self.actor, before, result.snapshot, result.changed)
        return result

    async def copy(self, source: int, uids: Sequence[int], target: int, may: Settable = EVERY_FLAG) -> CopyResult:
        """Copy messages; UIDs not there are left out. Raises OverQuota, TooManyKeywords, NotFound."""
        most = await self._room()
        limits = most.octets, most.messages
        result = await self.store.copy(source, uids, target, quota=limits[0], quota_messages=limits[1], may=may)
        await self._arrived(source, target, result.target)
        return result

    async def move(self, source: int, uids: Sequence[int], target: int, may: Settable = EVERY_FLAG) -> CopyResult:
        """Move messages in one transaction (RFC 6851). Raises TooManyKeywords, NotFound."""
        result = await self.store.move(source, uids, target, may=may)
        await self._arrived(source, target, result.target)
        return result

    async def _arrived(self, source: int, target: int, uids: Sequence[int]) -> None:
        """Messages of another mailbox of the account are there now."""
        if self.teaching is not None:
            await self.teaching.put(self.store, source, target, uids)
        if self.happenings is not None:
            await self.happenings.came(Cause.COPY, self.store, self.actor, target, uids)

    async def expunge(self, mailbox: int, uids: Sequence[int] | None = None) -> ExpungeResult:
        """Remove messages with \\Deleted: all of them, or those among `uids` (RFC 9051 6.4.3, 6.4.9)."""
        return await self.store.expunge(mailbox, uids)

    # --- usage and news

    async def quota(self) -> Quota:
        """What the account holds and may hold; the limit as it is now, not as it was at login."""
        usage: Usage = await self.store.usage()
        may = await self.allowance()
        return Quota(used=usage.octets, limit=may.octets, messages=usage.messages, message_limit=may.messages)

    async def _room(self) -> Allowance:
        """The allowance, to add something. Raises OverQuota when the domain is full."""
        may = await self.allowance()
        if may.domain_limited and may.domain_is_full(self._all.usage.domain(may.domain)):
            raise OverQuota(f"the domain {may.domain} is full")
        return may

    async def allowance(self) -> Allowance:
        """What the account may hold, as it is now. Raises StoreUnavailable."""
        directory = self._all.directory
        generation = directory.generation()
        known = self._allowance
        if known is None or generation != self._generation or known[0] is not self.limits:
            row = await directory.account(self.id) or self.row
            domain = await directory.domain(row.login.rpartition("@")[2])
            known = self._allowance = self.limits, resolve(row, domain, self.limits.defaults)
            self._generation = generation
        return known[1]

    def watch(self, mailbox: int, callback: Callable[[Hint], None]) -> Callable[[], None]:
        """Call back when the mailbox, or the list of mailboxes (hint.mailbox == 0), may have changed; returns the end.

        mailbox 0 hears of the list only; the callback must be quick and must not raise.
        """
        if mailbox >= VIEW:
            return self.watch_all(callback)
        return self._all.feed.subscribe(self.id, callback, mailbox)

    def watch_all(self, callback: Callable[[Hint], None]) -> Callable[[], None]:
        """Call back on every change of the account (NOTIFY, POP3); returns the end."""
        return self._all.feed.subscribe(self.id, callback)
