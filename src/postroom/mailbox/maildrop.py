"""The POP3 drop: INBOX as a list of messages that stands still while its one reader works (RFC 1939).

Messages are numbered once, at login; what arrives or goes meanwhile does not change the numbers, and what was
expunged by an IMAP client meanwhile can still be retrieved. Nothing is removed before `commit`.
A client that has not said UTF8 is given surrogates of messages with 8-bit header fields, sizes included.
Owns: the maildrop lock between `open` and `commit` or `close`.
Standards: RFC 1939 4 (exclusive access), 6 (UPDATE), 7 (UIDL), RFC 2449 6.5 and 8.1.1, RFC 6856 2.1 and 5.
On failure: MaildropTaken, LoginTooSoon, NoSuchMessage, NeedsUtf8; errors of store.api.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from postroom.mailbox.errors import LoginTooSoon, MaildropTaken, NeedsUtf8, NoSuchMessage
from postroom.mailbox.names import INBOX
from postroom.mailbox.service import Account
from postroom.message.surrogate import TooMuchHeader, patches
from postroom.store.api import AccountRow, DirectoryStore, FlagChange, FlagOp, NotFound, Snapshot
from postroom.values.clock import Clock
from postroom.values.content import Content, Patched
from postroom.values.flags import EIGHT_BIT, POP3_HIDDEN, SEEN

#: messages whose UIDLs are read at once
_UIDL_BATCH: Final = 500
#: surrogates whose sizes an account keeps in memory
_SIZES_KEPT: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DropPolicy:
    """login_delay: least seconds between two logins, 0 = any (RFC 2449 6.5).

    lease: seconds a silent holder keeps the lock; longer than the server lets a session idle.
    utf8: the client takes messages as they are (RFC 6856 2.1).
    """

    login_delay: int = 0
    lease: float = 900.0
    utf8: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """What QUIT did: messages taken away, messages left in the drop."""

    removed: int
    left: int


class Maildrop:
    """One account's drop, open for one session. Numbers count from 1."""

    __slots__ = (
        "_account",
        "_clock",
        "_dele",
        "_eight_bit",
        "_guids",
        "_holder",
        "_inbox",
        "_messages",
        "_octets",
        "_open",
        "_policy",
        "_row",
        "_seen",
        "_sizes",
        "_uids",
    )

    def __init__(self, account: Account, snapshot: Snapshot, row: AccountRow, holder: str, clock: Clock) -> None:
        """Use `open`."""
        self._account = account
        self._row = row
        self._inbox = snapshot.mailbox
        self._holder = holder
        self._clock = clock
        self._policy = DropPolicy()
        self._uids, self._messages, self._sizes, self._eight_bit = _columns(snapshot)
        self._octets = sum(self._sizes)
        self._dele: set[int] = set()  # places, from 0
        self._seen: set[int] = set()
        self._guids: list[str] = []
        self._open = True

    @classmethod
    async def open(
        cls, account: Account, directory: DirectoryStore, clock: Clock, holder: str, policy: DropPolicy
    ) -> Maildrop:
        """Take the drop exclusively. holder: a name no other session has.

        Raises LoginTooSoon, MaildropTaken, NoSuchMailbox, StoreUnavailable.
        """
        now = clock.now()
        row = await directory.account(account.id) or account.row
        if policy.login_delay and 0 <= now - row.pop3_last_login < policy.login_delay:
            raise LoginTooSoon(f"Wait {policy.login_delay} seconds between logins")
        if not await account.store.pop3_lock(holder, now, policy.lease):
            raise MaildropTaken("Another session is reading this maildrop")
        try:
            inbox = await account.find(INBOX)
            drop = cls(account, await account.snapshot(inbox.id), row, holder, clock)
            drop._policy = policy
            if policy.utf8:
                drop._eight_bit = frozenset()
            elif drop._eight_bit:
                await drop._count_surrogates()
            if policy.login_delay:
                await directory.put_account(replace(row, pop3_last_login=now))
        except BaseException:
            await account.store.pop3_unlock(holder)
            raise
        return drop

    # --- what is there

    @property
    def count(self) -> int:
        """Messages that are not marked as deleted (STAT)."""
        return len(self._uids) - len(self._dele)

    @property
    def octets(self) -> int:
        """Their octets."""
        return self._octets

    @property
    def last(self) -> int:
        """The highest number there is."""
        return len(self._uids)

    def size(self, number: int) -> int:
        """Octets of a message. Raises NoSuchMessage."""
        return self._sizes[self._place(number)]

    def sizes(self) -> Iterator[tuple[int, int]]:
        """(number, octets) of each message not marked (LIST)."""
        for place, size in enumerate(self._sizes):
            if place not in self._dele:
                yield place + 1, size

    async def uidl(self, number: int) -> str:
        """A message's unique id (RFC 1939 7): it stays when the message is moved away and back, or restored."""
        place = self._place(number)
        return (await self._unique_ids())[place]

    async def uidls(self) -> list[tuple[int, str]]:
        """(number, unique id) of each message not marked (UIDL)."""
        ids = await self._unique_ids()
        return [(place + 1, name) for place, name in enumerate(ids) if place not in self._dele]

    async def _unique_ids(self) -> list[str]:
        """GUIDs; a second copy of one message in INBOX has its UID behind it."""
        if not self._guids and self._uids:
            guids: dict[int, str] = {}
            for at in range(0, len(self._messages), _UIDL_BATCH):
                batch = self._messages[at : at + _UIDL_BATCH]
                guids.update((row.message, row.guid) for row in await self._account.store.rendered(batch))
                await asyncio.sleep(0)
            taken: set[str] = set()
            for uid, message in zip(self._uids, self._messages, strict=True):
                name = guids.get(message) or f"gone.{message}"
                self._guids.append(f"{name}.{uid}" if name in taken else name)
                taken.add(name)
        return self._guids

    # --- reading

    async def content(self, number: int, *, seen: bool = True) -> Content | Patched:
        """The octets of a message (RETR; TOP with seen=False), or of its surrogate.

        Raises NoSuchMessage, NotFound when it was swept meanwhile, NeedsUtf8.
        """
        place = self._place(number)
        message = self._messages[place]
        found: Content | Patched
        if place in self._eight_bit:
            found = await self._surrogate(message)
        else:
            found = await self._account.store.content(message)
        if seen:
            self._seen.add(place)
        return found

    async def _surrogate(self, message: int) -> Patched:
        """The message with its headers in ASCII (RFC 6856 2.1). Raises NeedsUtf8, NotFound."""
        rendered = await self._account.store.rendered([message])
        if not rendered:
            raise NotFound(str(message))
        content = await self._account.store.content(message)
        try:
            return Patched(content, patches(rendered[0].parts, content.read))
        except TooMuchHeader:
            raise NeedsUtf8("This message can only be shown to programs that say UTF8 before the login") from None

    async def _count_surrogates(self) -> None:
        """LIST and STAT tell what RETR will send (RFC 6856 2.1); counted once while the account is in use."""
        known = self._account.surrogate_sizes
        for place in self._eight_bit:
            message = self._messages[place]
            size = known.get(message)
            if size is None:
                try:
                    size = (await self._surrogate(message)).size
                except (NeedsUtf8, NotFound):
                    size = self._sizes[place]
                if len(known) < _SIZES_KEPT:
                    known[message] = size
                await asyncio.sleep(0)
            self._sizes[place] = size
        self._octets = sum(self._sizes)

    # --- changing

    def mark(self, number: int) -> None:
        """DELE: to be removed at commit. Raises NoSuchMessage."""
        place = self._place(number)
        self._dele.add(place)
        self._octets -= self._sizes[place]

    def reset(self) -> None:
        """RSET: no message is marked any more."""
        self._dele.clear()
        self._octets = sum(self._sizes)

    async def renew(self) -> bool:
        """Keep the lock for another lease; call it at least that often. False when it was lost to another session."""
        return await self._account.store.pop3_lock(self._holder, self._clock.now(), self._policy.lease)

    async def commit(self) -> Committed:
        """QUIT: do what the account wants with marked messages, note what was read, give the lock back.

        Its pop3_delete: "delete" expunges, "trash" moves to the mailbox with \\Trash, "keep" only hides from POP3.
        Raises StoreError; then the marked messages are all still there.
        """
        try:
            await self._note_seen()
            marked = [self._uids[place] for place in sorted(self._dele)]
            if marked:
                await self._remove(marked)
        finally:
            await self._unlock()
        return Committed(len(self._dele), len(self._uids) - len(self._dele))

    async def close(self) -> None:
        """The session ended without QUIT: nothing is removed (RFC 1939 6). Safe to call after `commit`."""
        if self._open:
            try:
                await self._note_seen()
            finally:
                await self._unlock()

    async def _unlock(self) -> None:
        if self._open:
            self._open = False
            await self._account.store.pop3_unlock(self._holder)

    async def _note_seen(self) -> None:
        """One write for all that was retrieved. With "keep", IMAP flags of hidden messages are set just the same."""
        if self._row.pop3_seen and self._seen:
            uids = [self._uids[place] for place in sorted(self._seen)]
            self._seen.clear()
            await self._account.store.store_flags(self._inbox, uids, FlagChange(op=FlagOp.ADD, bits=SEEN))

    async def _remove(self, uids: Sequence[int]) -> None:
        how = self._row.pop3_delete
        if how == "keep":
            await self._account.store.store_flags(self._inbox, uids, FlagChange(op=FlagOp.ADD, bits=POP3_HIDDEN))
        elif how == "trash":
            await self._account.store.move(self._inbox, uids, await self._trash())
        else:
            await self._account.store.expunge(self._inbox, uids, only_deleted=False)

    async def _trash(self) -> int:
        """The mailbox with \\Trash; one called Trash when there is none."""
        trash = await self._account.special("\\Trash")
        if trash is None:
            known = [listed.info for listed in await self._account.list() if listed.info and listed.name == "Trash"]
            trash = known[0] if known else await self._account.create("Trash", ["\\Trash"])
        return trash.id

    def _place(self, number: int) -> int:
        if not 1 <= number <= len(self._uids):
            raise NoSuchMessage(f"No such message; there are {len(self._uids)}")
        if number - 1 in self._dele:
            raise NoSuchMessage(f"Message {number} is marked as deleted")
        return number - 1


def _columns(snapshot: Snapshot) -> tuple[array[int], array[int], array[int], frozenset[int]]:
    """UIDs, message ids and sizes of what POP3 may see, and the places of those with 8-bit headers."""
    uids, messages, sizes = array("I"), array("Q"), array("I")
    eight_bit: list[int] = []
    for page in snapshot.pages:
        kinds = set(page.flags)
        if any(octet & EIGHT_BIT for octet in kinds):
            shown = [octet for octet in page.flags if not octet & POP3_HIDDEN]
            eight_bit += [len(uids) + place for place, octet in enumerate(shown) if octet & EIGHT_BIT]
        if not any(octet & POP3_HIDDEN for octet in kinds):
            uids += page.uids
            messages += page.messages
            sizes += page.sizes
            continue
        for place, octet in enumerate(page.flags):
            if not octet & POP3_HIDDEN:
                uids.append(page.uids[place])
                messages.append(page.messages[place])
                sizes.append(page.sizes[place])
    return uids, messages, sizes, frozenset(eight_bit)
