r"""What people do by IMAP with messages that are kept: told to the scripts of the mailboxes it is done in.

A script is named by the annotation /shared/imapsieve/script of the mailbox, or by the server's where the mailbox has
none. The account's row is told before the first mailbox gets one (`AccountRow.reacting`), so that all others pay
nothing. What happened is written down before the command is answered; scripts run afterwards, elsewhere.
Owns: nothing. Trusts: the caller's rights were checked.
Standards: RFC 6785 2.2 and 2.3, RFC 6851 4.5 (a move is a copy).
On failure: what cannot be written down is an event of the log; the command has done its work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from postroom.mailbox.reader import ReaderStore
from postroom.store.api import AccountStore, DirectoryStore, Snapshot, StoreError
from postroom.values.flags import NAMES, SEEN, VISIBLE
from postroom.values.refusal import Refusal

#: the annotation, without its scope
ENTRY: Final = "imapsieve/script"
#: messages of one happening; more are several
MOST: Final = 500


class Cause(StrEnum):
    """RFC 6785 4.3."""

    APPEND = "APPEND"
    COPY = "COPY"
    FLAG = "FLAG"


class Happening(Struct, frozen=True, kw_only=True):
    """Messages of one mailbox to which the same was done. account: whose mailbox; actor: the account of who did it.

    script: its name, as the annotation has it; site: the server's annotation named it; flags: names of those that
    changed, for FLAG.
    """

    account: str
    mailbox: int
    cause: Cause
    uids: tuple[int, ...]
    actor: str
    script: str
    site: bool = False
    flags: tuple[str, ...] = ()


#: keeps a happening until its script has run; durable on return. Raises StoreError, Refusal
Tell = Callable[[Happening], Awaitable[None]]


class Event(Protocol):
    """Where the log is told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


class Happenings:
    """One for all accounts of a process. server: the script of mailboxes that name none, "" for none."""

    def __init__(self, directory: DirectoryStore, tell: Tell, event: Event, server: str = "") -> None:
        self._directory = directory
        self._tell = tell
        self._event = event
        self.server = server

    async def _concern(self, account: str) -> bool:
        """May any mailbox of the account have a script: one look-up."""
        if self.server:
            return True
        try:
            row = await self._directory.account(account)
        except StoreError as fault:
            self._event("sieve.unheard", account=account, mailbox=0, reason=str(fault))
            return False
        return row is not None and row.reacting

    async def expect(self, account: str) -> None:
        """From now on mailboxes of the account may have scripts. Raises StoreError."""
        row = await self._directory.account(account)
        if row is not None and not row.reacting:
            await self._directory.put_account(replace(row, reacting=True))

    async def came(self, cause: Cause, account: AccountStore, actor: str, mailbox: int, uids: Sequence[int]) -> None:
        """Messages were added to a mailbox."""
        if uids and await self._concern(account.id):
            await self._write(cause, account, actor, mailbox, {(): list(uids)})

    async def before(self, account: AccountStore, mailbox: int) -> Snapshot | None:
        """Flags are about to be changed: as they are now; None when no script wants to know."""
        return await account.snapshot(mailbox) if await self._concern(account.id) else None

    async def flagged(
        self, account: AccountStore, actor: str, before: Snapshot, after: Snapshot, uids: Sequence[int]
    ) -> None:
        """Flags of messages were changed."""
        if not uids:
            return
        visible = VISIBLE
        if isinstance(account, ReaderStore) and await account.is_private(after.mailbox):
            visible &= ~SEEN  # it is the reader's own, and the owner's script has no business with it
        groups: dict[tuple[str, ...], list[int]] = {}
        for uid in uids:
            names = tuple(_changed(before, after, uid, visible))
            if names:
                groups.setdefault(names, []).append(uid)
        await self._write(Cause.FLAG, account, actor, after.mailbox, groups)

    async def _write(
        self, cause: Cause, account: AccountStore, actor: str, mailbox: int, groups: dict[tuple[str, ...], list[int]]
    ) -> None:
        try:
            script, site = await script_of(account, mailbox, self.server)
            if not script:
                return
            for flags, uids in groups.items():
                for begin in range(0, len(uids), MOST):
                    happening = Happening(
                        account=account.id,
                        mailbox=mailbox,
                        cause=cause,
                        uids=tuple(uids[begin : begin + MOST]),
                        actor=actor,
                        script=script,
                        site=site,
                        flags=flags,
                    )
                    await self._tell(happening)
        except (StoreError, Refusal, OSError) as fault:
            self._event("sieve.unheard", account=account.id, mailbox=mailbox, reason=str(fault))


async def script_of(account: AccountStore, mailbox: int, server: str) -> tuple[str, bool]:
    """RFC 6785 2.3.1: the mailbox's own entry, even when it is empty, before the server's; is it the latter?

    Raises StoreError.
    """
    for one in await account.annotations(mailbox, ""):
        if not one.login and one.name.lower() == ENTRY and one.value is not None:
            return one.value.decode("utf-8", "replace"), False
    return server, bool(server)


def _changed(before: Snapshot, after: Snapshot, uid: int, visible: int) -> Iterator[str]:
    """Names of the flags and keywords in which a message differs."""
    old, new = _flags(before, uid), _flags(after, uid)
    for bit, name in NAMES.items():
        if (old[0] ^ new[0]) & bit & visible:
            yield name.decode()
    yield from sorted(old[1] ^ new[1])


def _flags(snapshot: Snapshot, uid: int) -> tuple[int, frozenset[str]]:
    seq = snapshot.seq(uid)
    if seq is None:
        return 0, frozenset()
    page, place = snapshot.locate(seq)
    return page.flags[place], frozenset(snapshot.keyword_names(page.keywords[place]))
