"""Groups, shares, ACLs and marks in dictionaries: what the memory store's directory and accounts know of sharing."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from postroom.store.api import (
    CHUNK_BITS,
    Chunk,
    FlagOp,
    GroupRow,
    Marks,
    NotFound,
    RightsChange,
    SeenMode,
    StoreFlagsResult,
)

if TYPE_CHECKING:
    from postroom.store.memory.account import MemoryAccount


class MemoryGroups:
    """Groups, and the index of shares. See postroom.store.api.DirectoryStore."""

    def __init__(self) -> None:
        self._groups: dict[str, GroupRow] = {}
        self._shares: set[tuple[str, str]] = set()  # (account, identifier)
        self._delegates: dict[str, dict[str, str]] = {}

    def group(self, address: str) -> GroupRow | None:
        return self._groups.get(address)

    def groups(self, domain: str) -> list[GroupRow]:
        rows = [row for row in self._groups.values() if domain in ("", row.address.rpartition("@")[2])]
        return sorted(rows, key=lambda row: row.address)

    def put_group(self, row: GroupRow) -> None:
        self._groups[row.address] = row

    def remove_group(self, address: str) -> None:
        if self._groups.pop(address, None) is None:
            raise NotFound(f"no group {address}")
        self._leave(address)
        self._silence(f"group:{address}")

    def _leave(self, member: str) -> None:
        for row in list(self._groups.values()):
            if member in row.members:
                left = tuple(other for other in row.members if other != member)
                self._groups[row.address] = GroupRow(
                    address=row.address, members=left, created=row.created, name=row.name
                )

    def groups_of(self, member: str) -> frozenset[str]:
        found: set[str] = set()
        new = {member}
        while new:
            new = {row.address for row in self._groups.values() if new.intersection(row.members)} - found
            found |= new
        return frozenset(found)

    def _silence(self, identifier: str) -> None:
        for modes in self._delegates.values():
            modes.pop(identifier, None)

    def delegates(self, account: str) -> Mapping[str, str]:
        return dict(self._delegates.get(account, {}))

    def put_delegate(self, account: str, identifier: str, mode: str) -> None:
        self._delegates.setdefault(account, {})[identifier] = mode

    def remove_delegate(self, account: str, identifier: str) -> None:
        if self._delegates.get(account, {}).pop(identifier, None) is None:
            raise NotFound(f"{identifier} does not send for {account}")

    def sharers(self, identifier: str) -> tuple[str, ...]:
        return tuple(sorted(account for account, name in self._shares if name == identifier))

    def put_share(self, account: str, identifier: str) -> None:
        self._shares.add((account, identifier))

    def remove_share(self, account: str, identifier: str) -> None:
        self._shares.discard((account, identifier))

    def shares(self, account: str) -> tuple[str, ...]:
        return tuple(sorted(name for number, name in self._shares if number == account))

    def forget_account(self, account: str, login: str) -> None:
        self._leave(login)
        self._silence(login)
        self._delegates.pop(account, None)
        self._shares = {pair for pair in self._shares if pair[0] != account}


class MemoryAcls:
    """The ACLs of one account's mailboxes. See postroom.store.api.AccountStore."""

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account
        self._rows: dict[int, dict[str, int]] = {}

    async def acl(self, mailbox: int) -> Mapping[str, int]:
        return dict(self._rows.get(mailbox, {}))

    async def acls(self) -> Mapping[int, Mapping[str, int]]:
        return {mailbox: dict(rows) for mailbox, rows in self._rows.items() if rows}

    async def grant(self, mailboxes: Sequence[int], identifier: str, change: RightsChange) -> bool:
        account = self._account
        for mailbox in filter(None, mailboxes):
            account._box(mailbox)
        before = await self.acls()
        for mailbox in mailboxes:
            rows = self._rows.setdefault(mailbox, {})
            held = rows.pop(identifier, 0)
            rights = change.rights
            if change.op is FlagOp.ADD:
                rights |= held
            elif change.op is FlagOp.REMOVE:
                rights = held & ~rights
            if rights:
                rows[identifier] = rights
        if await self.acls() != before:
            account._tell(0, account._next_modseq())
        return any(identifier in rows for rows in self._rows.values())

    def made(self, mailbox: int, above: int) -> None:
        """A mailbox was made below another, or at the top level."""
        self._rows[mailbox] = dict(self._rows.get(above, {}))

    def gone(self, mailbox: int) -> None:
        """A mailbox was removed."""
        self._rows.pop(mailbox, None)


class MemoryMarks:
    """What readers have seen. See postroom.store.api.MarkStore. It reaches into its account, whose other half it is."""

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account
        self._values: dict[tuple[int, str], dict[int, int]] = {}

    async def read(self, mailbox: int, reader: str, _known: Marks | None = None) -> Marks:
        box = self._account._box(mailbox)
        values = self._values.get((mailbox, reader), {})
        chunks = {}
        for number, uids in groupby(sorted(values), lambda uid: uid >> CHUNK_BITS):
            column = array("I", uids)
            chunks[number] = Chunk(column, array("Q", [values[uid] for uid in column]))
        return Marks(box.modseq, box.mode, chunks)

    async def mark(
        self, mailbox: int, reader: str, uids: Sequence[int], seen: bool, *, unchanged_since: int | None = None
    ) -> StoreFlagsResult:
        account = self._account
        box = account._box(mailbox)
        there = {item.uid: item.modseq for item in box.items}
        values = self._values.setdefault((mailbox, reader), {})
        changed, modified = [], []
        for uid in filter(there.__contains__, uids):
            value = values.get(uid, 0)
            if unchanged_since is not None and max(there[uid], value >> 1) > unchanged_since:
                modified.append(uid)
            elif value & 1 != seen:
                changed.append(uid)
        if changed:
            box.modseq = account._next_modseq()
            values.update(dict.fromkeys(changed, box.modseq << 1 | seen))
            account._tell(box.id, box.modseq)
        missing = tuple(uid for uid in uids if uid not in there)
        return StoreFlagsResult(account._snapshot(box), tuple(changed), tuple(modified), missing)

    async def set_mode(self, mailbox: int, mode: SeenMode) -> None:
        account = self._account
        box = account._box(mailbox)
        if box.mode is mode:
            return
        box.mode = mode
        account._next_modseq()
        box.modseq = account._next_modseq()
        for item in box.items:
            item.modseq = box.modseq
        account._tell(box.id, box.modseq)
        account._tell(0, box.modseq)

    def gone(self, mailbox: int) -> None:
        """A mailbox was removed."""
        for key in [key for key in self._values if key[0] == mailbox]:
            del self._values[key]
