"""What others share with a login: the namespaces "Users/" and "Shared/".

"Users/ann@example.org/Projects" is a mailbox of Ann's account; "Shared/support@example.org/INBOX" one of an account
that nobody logs in to. Which accounts have anything for a login says the directory's index, in memory after the first
look; what it is, the ACLs in those accounts, read anew each time, so that rights end when they are taken away.
Owns: nothing but the realms of one login that are in use. Standards: RFC 2342, RFC 4314.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from msgspec.structs import replace

from postroom.mailbox import acl, names
from postroom.mailbox.places import Kind, Namespace, Overview, Places, Realm
from postroom.mailbox.recover import Recover, Surroundings
from postroom.mailbox.saved import Saved
from postroom.store.api import AccountRow, DirectoryStore, NotFound
from postroom.values import rights as right

if TYPE_CHECKING:
    from postroom.mailbox.service import Account, Mailboxes
    from postroom.values.clock import Clock

USERS: Final = "Users/"
SHARED: Final = "Shared/"
#: accounts that one LIST looks into, by name; further ones are found by asking for them
MOST_LISTED: Final = 1000


class SharedRealm:
    """Another's account as a login meets it."""

    __slots__ = ("__weakref__", "_directory", "_login", "account", "prefix")

    def __init__(self, directory: DirectoryStore, login: str, account: Account, prefix: str) -> None:
        self._directory = directory
        self._login = login
        self.account: Final = account
        self.prefix: Final = prefix

    async def rights(self, mailbox: int) -> int:
        """What the ACL says; nothing while the owner is switched off."""
        owner = await self._directory.account(self.account.id)
        if owner is None or owner.disabled:
            return right.NONE
        granted = await self.account.store.acl(mailbox)
        if not granted:
            return right.NONE
        return acl.effective(granted, await acl.matching(self._directory, self._login, owner.login))


class Others:
    """A namespace of other accounts: people's, or those nobody logs in to."""

    __slots__ = ("_directory", "_login", "_mailboxes", "_reader", "_realms", "kind", "prefix", "shown")

    def __init__(self, mailboxes: Mailboxes, directory: DirectoryStore, reader: AccountRow, kind: Kind) -> None:
        self._mailboxes = mailboxes
        self._directory = directory
        self._login = reader.login
        self._reader = reader.id
        #: by the owner's id; made at the first use, as most log-ins never come here
        self._realms: WeakValueDictionary[str, SharedRealm] | None = None
        self.kind: Final = kind
        self.prefix: Final = SHARED if kind is Kind.SHARED else USERS
        self.shown: Final = kind is Kind.SHARED and mailboxes.limits.subscribe_shared

    async def realm(self, name: str) -> Realm | None:
        """The account whose log-in is the level below the prefix, if it shares anything with this one."""
        rest = name[len(self.prefix) :]
        end = rest.find(names.DELIMITER, rest.find("@") + 1)  # a "/" may stand before the "@"
        owner = await self._directory.account_by_login(rest if end < 0 else rest[:end])
        if owner is None or not self._is_one(owner):
            return None
        for identifier in await acl.matching(self._directory, self._login, owner.login):
            if owner.id in await self._directory.sharers(identifier):
                return await self._open(owner)
        return None

    async def realms(self, wanted: Callable[[str], bool]) -> AsyncIterator[Realm]:
        """By log-in; `wanted` is asked for each prefix before anything of its account is opened."""
        looked = 0
        for owner in await self._owners():
            if not wanted(self._prefix(owner)):
                continue
            try:
                yield await self._open(owner)
            except NotFound:  # it is just being removed
                continue
            looked += 1
            if looked >= MOST_LISTED:
                return

    async def overviews(self, wanted: Callable[[str], bool]) -> AsyncIterator[Overview]:
        """As realms, from the store's outlines: no account is opened that has not changed."""
        looked = 0
        matching: dict[str, frozenset[str]] = {}
        for owner in await self._owners():
            if not wanted(self._prefix(owner)):
                continue
            domain = acl.domain_of(owner.login)
            if domain not in matching:
                matching[domain] = await acl.matching(self._directory, self._login, owner.login)
            try:
                outline = await self._mailboxes.outline(owner)
            except NotFound:  # it is just being removed
                continue
            mine = matching[domain]
            visible = [
                replace(info, special_use="") if info.special_use else info
                for info in outline.mailboxes
                if acl.effective(outline.acls.get(info.id, {}), mine) & right.LOOKUP
            ]
            yield self._prefix(owner), visible
            looked += 1
            if looked >= MOST_LISTED:
                return

    async def _owners(self) -> list[AccountRow]:
        """Accounts of this kind that may have something for this login."""
        identifiers = await acl.matching(self._directory, self._login, self._login)
        accounts = {account for name in identifiers for account in await self._directory.sharers(name)}
        if not accounts:
            return []
        rows = [await self._directory.account(account) for account in accounts]
        found = [row for row in rows if row is not None and self._is_one(row) and await self._reaches(row)]
        return sorted(found, key=lambda row: row.login)

    async def _reaches(self, owner: AccountRow) -> bool:
        """Other domains' "anyone" does not mean this login."""
        if acl.domain_of(owner.login) == acl.domain_of(self._login):
            return True
        identifiers = await acl.matching(self._directory, self._login, owner.login)
        return any([owner.id in await self._directory.sharers(name) for name in identifiers])

    def _is_one(self, owner: AccountRow) -> bool:
        return owner.shared is (self.kind is Kind.SHARED) and owner.login != self._login and not owner.disabled

    def _prefix(self, owner: AccountRow) -> str:
        return f"{self.prefix}{owner.login}{names.DELIMITER}"

    async def _open(self, owner: AccountRow) -> Realm:
        if self._realms is None:
            self._realms = WeakValueDictionary()
        found = self._realms.get(owner.id)
        if found is None or found.prefix != self._prefix(owner):
            private = self.kind is Kind.OTHER  # people's own mail is not marked as read by those who look at it
            account = await self._mailboxes.open_for(owner, self._reader, private=private)
            found = SharedRealm(self._directory, self._login, account, self._prefix(owner))
            self._realms[owner.id] = found
        return found


async def enter(mailboxes: Mailboxes, directory: DirectoryStore, row: AccountRow, clock: Clock) -> Places:
    """Everything that an account's login can name. Raises NotFound, StoreUnavailable."""
    namespaces: list[Namespace] = [Others(mailboxes, directory, row, kind) for kind in (Kind.OTHER, Kind.SHARED)]
    own = await mailboxes.open(row)
    if row.past != "off":
        namespaces.append(Recover(Surroundings(mailboxes, directory, clock, mailboxes.limits.recover_days), own))
    if await own.store.saved.all():
        namespaces.append(Saved(mailboxes, clock, own))
    return Places(own, namespaces)
