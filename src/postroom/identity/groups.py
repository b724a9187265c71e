"""Administration of groups: people, and other groups, that are given rights together.

A group is a name with the form of an address; no mail goes there (an alias does that). Rights are given to it as
"group:sales@example.org" (mailbox.acl). Members belong to it at once, also through other groups.
Trusts: an administrator's intentions, not his spelling.
On failure: DirectoryError with what to do about it, or StoreError; nothing was changed then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from postroom.identity.errors import AddressTaken, BadValue, NoSuchAccount, NoSuchDomain, NoSuchGroup
from postroom.identity.settings import guess
from postroom.store.api import FlagOp, GroupRow, RightsChange, Store
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock

#: groups in groups in groups: deeper ones nobody understands any more
DEEPEST = 5
MOST_MEMBERS = 10_000
#: how an identifier of an ACL says that it is a group
_PREFIX = "group:"


class Groups:
    """Changes the groups of a store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._directory = store.directory
        self._clock = clock

    async def add(self, address: str, members: Sequence[str] = (), *, name: str = "") -> GroupRow:
        """A new group. Raises BadValue, AddressTaken, NoSuchDomain, NoSuchAccount."""
        key = _address(address)
        if await self._directory.domain(key.domain) is None:
            raise NoSuchDomain(
                f"the domain {key.domain} is not hosted here", f"To host it: postroom domain add {key.domain}"
            )
        if await self._directory.group(key.key) is not None:
            raise AddressTaken(
                f"there is a group {key.key} already", f"To add members: postroom group join {key.key} MEMBER..."
            )
        row = GroupRow(address=key.key, members=(), created=self._clock.now(), name=_name(name))
        row = replace(row, members=await self._members(row, members))
        await self._directory.put_group(row)
        return row

    async def group(self, address: str) -> GroupRow:
        """Raises NoSuchGroup, with a guess at what was meant."""
        key = _address(address).key
        row = await self._directory.group(key)
        if row is None:
            known = [group.address for group in await self._directory.groups()]
            raise NoSuchGroup(f"there is no group {key}", guess(key, known) or "See: postroom group list")
        return row

    async def join(self, address: str, members: Sequence[str]) -> GroupRow:
        """Add members; those that are there stay. Raises as add, and NoSuchGroup."""
        row = await self.group(address)
        new = await self._members(row, members)
        row = replace(row, members=(*row.members, *[member for member in new if member not in row.members]))
        if len(row.members) > MOST_MEMBERS:
            raise BadValue(f"a group has at most {MOST_MEMBERS} members", "Put some into a group of their own.")
        await self._directory.put_group(row)
        return row

    async def leave(self, address: str, members: Sequence[str]) -> GroupRow:
        """Take members out. Raises NoSuchGroup, NoSuchAccount for one that is no member."""
        row = await self.group(address)
        gone = {_address(member).key for member in members}
        for key in gone.difference(row.members):
            raise NoSuchAccount(
                f"{key} is no member of {row.address}",
                guess(key, row.members) or f"See: postroom group show {row.address}",
            )
        row = replace(row, members=tuple(member for member in row.members if member not in gone))
        await self._directory.put_group(row)
        return row

    async def remove(self, address: str) -> GroupRow:
        """Remove a group, and it leaves all ACLs, so that one of the same name begins with nothing.

        Raises NoSuchGroup.
        """
        row = await self.group(address)
        await forget(self._store, _PREFIX + row.address)
        await self._directory.remove_group(row.address)
        return row

    async def _members(self, group: GroupRow, members: Sequence[str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        above = {group.address, *await self._directory.groups_of(group.address)}
        height = await self._height(group.address, set())
        for member in members:
            key = _address(member).key
            if key in above:
                raise BadValue(f"{key} contains {group.address}" if key != group.address else "a group is in no group")
            await self._check(key, height)
            found[key] = None
        return tuple(found)

    async def _check(self, key: str, above: int) -> None:
        row = await self._directory.account_by_login(key)
        if row is not None and row.shared:
            raise BadValue(f"nobody logs in to {key}", "Members are people, or groups of people.")
        if row is not None:
            return
        if await self._directory.group(key) is None:
            known = [account.login for account in await self._directory.accounts()]
            raise NoSuchAccount(
                f"{key} is neither an account nor a group", guess(key, known) or "See: postroom user list"
            )
        if above + await self._depth(key, set()) > DEEPEST:
            raise BadValue(f"groups can be in groups {DEEPEST} deep at most")

    async def _height(self, address: str, seen: set[str]) -> int:
        """How many groups stand one above the other, this one included."""
        above = [
            group.address
            for group in await self._directory.groups()
            if address in group.members and group.address not in seen
        ]
        return 1 + max([await self._height(one, seen | {address}) for one in above], default=0)

    async def _depth(self, address: str, seen: set[str]) -> int:
        """The same downwards; people do not count."""
        row = await self._directory.group(address)
        if row is None or address in seen:
            return 0
        return 1 + max([await self._depth(member, seen | {address}) for member in row.members], default=0)


async def forget(store: Store, identifier: str) -> list[str]:
    """Take an identifier out of all ACLs, with what is taken away from it; gives the accounts it was in.

    Before somebody of this name is gone: who gets the name later must not get his rights.
    """
    found: dict[str, None] = {}
    for name in (identifier, "-" + identifier):
        for account in await store.directory.sharers(name):
            opened = await store.account(account)
            boxes = [box for box, acl in (await opened.acls()).items() if name in acl]
            await opened.grant(boxes, name, RightsChange(FlagOp.REPLACE, 0))
            await store.directory.remove_share(account, name)
            found[account] = None
    return list(found)


def _address(text: str) -> Address:
    try:
        return Address.parse(text.strip().removeprefix(_PREFIX))
    except BadAddress as fault:
        raise BadValue(f"{text!r} is no address", "Write it as sales@example.com.") from fault


def _name(text: str) -> str:
    if len(text) > 200 or not text.isprintable():
        raise BadValue("a name is one line of up to 200 characters")
    return text
