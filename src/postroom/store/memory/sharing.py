"""Groups, shares and ACLs in dictionaries: the parts of the memory store's directory and accounts about sharing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postroom.store.api import FlagOp, GroupRow, NotFound, RightsChange


class MemoryGroups:
    """Groups, and the index of shares. See postroom.store.api.DirectoryStore."""

    def __init__(self) -> None:
        self._groups: dict[str, GroupRow] = {}
        self._shares: set[tuple[str, str]] = set()  # (account, identifier)

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
        self._shares = {pair for pair in self._shares if pair[0] != account}


class MemoryAcls:
    """The ACLs of one account's mailboxes. See postroom.store.api.AccountStore."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, int]] = {}

    def acl(self, mailbox: int) -> Mapping[str, int]:
        return dict(self._rows.get(mailbox, {}))

    def acls(self) -> Mapping[int, Mapping[str, int]]:
        return {mailbox: dict(rows) for mailbox, rows in self._rows.items() if rows}

    def grant(self, mailboxes: Sequence[int], identifier: str, change: RightsChange) -> bool:
        """True when anything changed."""
        before = self.acls()
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
        return self.acls() != before

    def stands(self, identifier: str) -> bool:
        """The identifier is in some ACL."""
        return any(identifier in rows for rows in self._rows.values())

    def made(self, mailbox: int, above: int) -> None:
        """A mailbox was made below another, or at the top level."""
        self._rows[mailbox] = dict(self._rows.get(above, {}))

    def gone(self, mailbox: int) -> None:
        """A mailbox was removed."""
        self._rows.pop(mailbox, None)
