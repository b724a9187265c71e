"""Administration of domains, accounts and aliases: what the commands do.

Owns: the rules for what may be put into the directory. Trusts: an administrator's intentions, not his spelling.
Every change is durable when it returns and acts at once in running workers (they check the directory's version).
On failure: DirectoryError with what to do about it, or StoreError; nothing was changed then.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from postroom.config import Passwords
from postroom.identity.app_passwords import salt_of
from postroom.identity.deleted import delete_account, find_deleted, leave_aliases, purge_account, restore_account
from postroom.identity.errors import (
    AddressTaken,
    BadValue,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
    StillInUse,
    TooManyAccounts,
)
from postroom.identity.groups import forget
from postroom.identity.hashing import LONGEST_PASSWORD, Hasher
from postroom.identity.records import REPORT_LOCALS
from postroom.identity.routing import find_row
from postroom.identity.settings import (
    account_setting,
    address_of,
    domain_name,
    domain_setting,
    guess,
    name_of,
    quota_of,
)
from postroom.store.api import AccountRow, AliasRow, DeletedAccount, DomainRow, NotFound, Store
from postroom.values.address import Address
from postroom.values.clock import Clock
from postroom.wire.sasl import derive_scram_keys, saslprep

#: what every account begins with, and its special use (RFC 6154 2); INBOX has none
MAILBOXES = [
    ("INBOX", ""),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
    ("Junk", "\\Junk"),
    ("Archive", "\\Archive"),
]
LEAST_PASSWORD = 8


class Directory:
    """Changes the directory of a store. new_id makes account ids: opaque, never reused."""

    def __init__(
        self,
        store: Store,
        hasher: Hasher,
        clock: Clock,
        passwords: Passwords,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._store = store
        self._directory = store.directory
        self._hasher = hasher
        self._clock = clock
        self._passwords = passwords
        self._new_id = new_id

    # domains

    async def add_domain(self, name: str, catch_all: str = "", *, alias_of: str = "") -> DomainRow:
        """Host a domain, or another name for one. Raises BadValue, AddressTaken, NoSuchDomain."""
        key = domain_name(name)
        if await self._directory.domain(key) is not None:
            raise AddressTaken(f"the domain {key} is hosted already")
        row = DomainRow(name=key, created=self._clock.now(), catch_all=address_of(catch_all).key if catch_all else "")
        if alias_of:
            row = replace(row, alias_of=await self._stands_for(key, alias_of))
        await self._directory.put_domain(row)
        return row

    async def domain(self, name: str) -> DomainRow:
        """Raises NoSuchDomain, with a guess at what was meant."""
        key = domain_name(name)
        row = await self._directory.domain(key)
        if row is None:
            known = [domain.name for domain in await self._directory.domains()]
            raise NoSuchDomain(
                f"the domain {key} is not hosted here", guess(key, known) or f"To host it: postroom domain add {key}"
            )
        return row

    async def set_domain(self, name: str, /, **changes: Any) -> DomainRow:
        """Change what settings.DOMAIN names. Raises NoSuchDomain, NoSuchAccount, BadValue, StillInUse."""
        row = await self.domain(name)
        for key, value in changes.items():
            row = replace(row, **{key: domain_setting(key, value)})
        if row.batv == "off" or not row.batv_since:
            row = replace(row, batv_since=0.0 if row.batv == "off" else self._clock.now())
        if changes.get("catch_all") and await self._directory.domain(row.catch_all.rpartition("@")[2]) is not None:
            await self._check_member(address_of(row.catch_all))
        if changes.get("alias_of"):
            row = replace(row, alias_of=await self._stands_for(row.name, row.alias_of))
        await self._directory.put_domain(row)
        return row

    async def _stands_for(self, name: str, target: str) -> str:
        """The domain another one may stand for. Raises NoSuchDomain, BadValue, StillInUse."""
        row = await self.domain(target)
        if row.name == name:
            raise BadValue(f"{name} cannot be an alias of itself")
        if row.alias_of:
            raise BadValue(f"{row.name} is an alias of {row.alias_of}", f"Make it an alias of {row.alias_of} too.")
        others = [domain.name for domain in await self._directory.domains() if domain.alias_of == name]
        if others:
            raise StillInUse(f"{_some(others)} stands for {name}, so {name} cannot stand for another domain")
        await self._empty(name, "it would have no addresses of its own")
        return row.name

    async def _empty(self, name: str, why: str) -> None:
        """Raises StillInUse for a domain with addresses."""
        directory = self._directory
        left = [account.login for account in await directory.accounts(name)]
        left += [alias.address for alias in await directory.aliases(name)]
        left += [group.address for group in await directory.groups(name)]
        if left:
            raise StillInUse(
                f"the domain {name} still has {len(left)} accounts, aliases and groups: {_some(left)}; {why}",
                "Remove those first (postroom user rm, alias rm, group rm), or switch the domain off instead.",
            )
        gone = [one.row.login for one in await directory.deleted_accounts(name)]
        if gone:
            raise StillInUse(
                f"the domain {name} has {len(gone)} deleted accounts that can be brought back: {_some(gone)}",
                "To give them up: postroom user deleted purge ADDRESS",
            )

    async def _inhabitable(self, name: str) -> None:
        """Raises NoSuchDomain; BadValue for a domain that has no addresses of its own."""
        row = await self.domain(name)
        if row.alias_of:
            raise BadValue(
                f"{row.name} is an alias of {row.alias_of}", f"Addresses of {row.alias_of} exist in {row.name} already."
            )

    async def remove_domain(self, name: str) -> None:
        """Host it no more. Raises NoSuchDomain, StillInUse while it has accounts, aliases or groups."""
        row = await self.domain(name)
        await self._empty(row.name, "nobody would get their mail")
        others = [domain.name for domain in await self._directory.domains() if domain.alias_of == row.name]
        if others:
            raise StillInUse(f"{_some(others)} stands for {row.name}", "Remove the domain aliases first.")
        await self._directory.remove_domain(row.name)

    # accounts

    async def add_account(
        self, login: str, password: str = "", *, name: str = "", quota: int = -1, iterations: int = 0
    ) -> AccountRow:
        """A new account with its mailboxes. password "": nobody can log in until one is set.

        quota: octets, 0 for no limit, -1 for the domain's; iterations of SCRAM, 0 takes the configured.
        Raises BadValue, AddressTaken, NoSuchDomain, TooManyAccounts.
        """
        row = await self._new(login, name, quota)
        if password:
            row = await self._with_password(row, password, iterations)
        return await self._make(row)

    async def add_shared(self, login: str, *, name: str = "", quota: int = -1) -> AccountRow:
        """A new account that nobody ever logs in to: it is for members. Raises as add_account."""
        return await self._make(replace(await self._new(login, name, quota), shared=True, sent_copies=True))

    async def _new(self, login: str, name: str, quota: int) -> AccountRow:
        address = address_of(login)
        await self._inhabitable(address.domain)
        await self._room_for_another(address.domain)
        if await self._directory.account_by_login(address.key) is not None:
            raise AddressTaken(f"there is an account {address.key} already", "Log-in names ignore case.")
        if await self._directory.alias(address.key) is not None:
            raise AddressTaken(f"{address.key} is an alias", f"To make it an account: postroom alias rm {address.key}")
        row = AccountRow(id=self._new_id(), login=address.key, created=self._clock.now(), name=name_of(name))
        return replace(row, quota=quota_of(quota))

    async def _make(self, row: AccountRow) -> AccountRow:
        """The folder first: an account that exists can be delivered to.

        Without the row the folder is nobody's, and `postroom check` names it.
        """
        await self._store.create_account(row.id, MAILBOXES)
        await self._directory.put_account(row)
        return row

    async def _room_for_another(self, domain: str) -> None:
        row = await self.domain(domain)
        if row.most_accounts and len(await self._directory.accounts(row.name)) >= row.most_accounts:
            raise TooManyAccounts(
                f"the domain {row.name} has {row.most_accounts} accounts already, as many as it may",
                f"To allow more: postroom domain set {row.name} --accounts NUMBER",
            )

    async def account(self, login: str) -> AccountRow:
        """Raises NoSuchAccount, with a guess at what was meant."""
        key = address_of(login).key
        row = await self._directory.account_by_login(key)
        if row is None:
            if await self._directory.alias(key) is not None:
                raise NoSuchAccount(f"{key} is an alias, not an account", f"See: postroom alias show {key}")
            known = [account.login for account in await self._directory.accounts()]
            raise NoSuchAccount(f"there is no account {key}", guess(key, known) or "See: postroom user list")
        return row

    async def set_account(self, login: str, /, **changes: Any) -> AccountRow:
        """Change what settings.ACCOUNT names. Raises NoSuchAccount, BadValue."""
        row = await self.account(login)
        for key, value in changes.items():
            row = replace(row, **{key: account_setting(key, value)})
        await self._directory.put_account(row)
        return row

    async def set_password(self, login: str, password: str, *, iterations: int = 0) -> AccountRow:
        """Store a new password: argon2id and SCRAM keys. Logins verified before count no more. Raises BadValue."""
        row = await self.account(login)
        if row.shared:
            raise BadValue(f"{row.login} is shared: nobody logs in to it", f"See: postroom share show {row.login}")
        row = await self._with_password(row, password, iterations)
        await self._directory.put_account(row)
        return row

    async def disable(self, login: str, disabled: bool = True, *, receives: bool = False) -> AccountRow:
        """Nobody can log in any more; its mail stays. New mail is refused, or taken in if it `receives`.

        False switches it on again.
        """
        row = replace(await self.account(login), disabled=disabled, receives=disabled and receives)
        await self._directory.put_account(row)
        return row

    async def remove_account(self, login: str) -> tuple[AccountRow, list[AliasRow]]:
        """Remove an account for good, its mail, and its place in aliases; gives the row and those.

        An alias that would be left without members is not emptied: it refuses. Raises StillInUse, NoSuchAccount.
        """
        row = await self.account(login)
        affected = await leave_aliases(self._store, row)
        await forget(self._store, row.login)
        # The row first: from here on nobody is let in or delivered to; a folder left over is found by `check`.
        await self._directory.remove_account(row.id)
        with suppress(NotFound):
            await self._store.remove_account(row.id)
        return row, affected

    async def delete_account(self, login: str) -> DeletedAccount:
        """Delete an account so that it can be brought back. Raises StillInUse, NoSuchAccount."""
        return await delete_account(self._store, await self.account(login), self._clock.now())

    async def deleted_account(self, who: str) -> DeletedAccount:
        """A deleted account by log-in or id. Raises NoSuchAccount."""
        return await find_deleted(self._store, who)

    async def restore_account(self, who: str, login: str = "") -> AccountRow:
        """Bring a deleted account back, under another log-in if one is given.

        Raises NoSuchAccount, NoSuchDomain, AddressTaken, BadValue.
        """
        gone = await find_deleted(self._store, who)
        address = address_of(login or gone.row.login)
        await self._inhabitable(address.domain)
        return await restore_account(self._store, gone, address)

    async def purge_account(self, who: str) -> DeletedAccount:
        """The mail of a deleted account goes now, for good. Raises NoSuchAccount."""
        gone = await find_deleted(self._store, who)
        await purge_account(self._store, gone)
        return gone

    # aliases

    async def add_alias(self, address: str, members: Sequence[str]) -> AliasRow:
        """A new alias. Raises BadValue, AddressTaken, NoSuchDomain; NoSuchAccount for a hosted member nobody has."""
        key = address_of(address)
        await self._inhabitable(key.domain)
        if await self._directory.alias(key.key) is not None:
            raise AddressTaken(
                f"there is an alias {key.key} already",
                f"To give it other members: postroom alias set {key.key} MEMBER...",
            )
        if await self._directory.account_by_login(key.key) is not None:
            raise AddressTaken(f"{key.key} is an account", "An address is either an account or an alias.")
        row = AliasRow(address=key.key, members=await self._members(key, members), created=self._clock.now())
        await self._directory.put_alias(row)
        return row

    async def add_trap(self, address: str) -> AliasRow:
        """A new spam trap. Raises BadValue, AddressTaken, NoSuchDomain."""
        key = address_of(address)
        await self._inhabitable(key.domain)
        if key.local.casefold() in (*REPORT_LOCALS, "postmaster", "abuse"):
            raise BadValue(f"{key.key} is an address that people must be able to write to", "Take another one.")
        taken = await find_row(self._directory, key.key) or await self._directory.alias(key.key)
        if taken is not None:
            raise AddressTaken(f"{key.key} is in use", "Only an address that nobody has can be a trap.")
        row = AliasRow(address=key.key, members=(), created=self._clock.now(), trap=True)
        await self._directory.put_alias(row)
        return row

    async def alias(self, address: str) -> AliasRow:
        """Raises NoSuchAlias, with a guess at what was meant."""
        key = address_of(address).key
        row = await self._directory.alias(key)
        if row is None:
            known = [alias.address for alias in await self._directory.aliases()]
            raise NoSuchAlias(f"there is no alias {key}", guess(key, known) or "See: postroom alias list")
        return row

    async def set_alias(
        self, address: str, *, members: Sequence[str] | None = None, disabled: bool | None = None
    ) -> AliasRow:
        """Change what is given. Raises as add_alias, and NoSuchAlias."""
        row = await self.alias(address)
        if row.trap:
            raise BadValue(f"{row.address} is a spam trap", f"Remove it first: postroom filter trap rm {row.address}")
        if members is not None:
            row = replace(row, members=await self._members(Address.parse(row.address), members))
        if disabled is not None:
            row = replace(row, disabled=disabled)
        await self._directory.put_alias(row)
        return row

    async def remove_alias(self, address: str) -> None:
        """Raises NoSuchAlias."""
        await self._directory.remove_alias((await self.alias(address)).address)

    # inside

    async def _members(self, alias: Address, members: Sequence[str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for member in members:
            address = address_of(member)
            if address.key == alias.key:
                raise BadValue(f"{alias.key} cannot be a member of itself")
            if await self._directory.domain(address.domain) is None:
                found[str(address)] = None
                continue
            await self._check_member(address)
            found[address.key] = None
        if not found:
            raise BadValue(f"the alias {alias.key} needs at least one member")
        return tuple(found)

    async def _check_member(self, address: Address) -> None:
        if await find_row(self._directory, address.key) is None and await self._directory.alias(address.key) is None:
            known = [row.login for row in await self._directory.accounts(address.domain)]
            raise NoSuchAccount(
                f"{address.key} is neither an account nor an alias",
                guess(address.key, known) or f"To make it: postroom user add {address.key}",
            )

    async def _with_password(self, row: AccountRow, password: str, iterations: int) -> AccountRow:
        prepared = check_password(password, row.login)
        salt = await salt_of(self._directory, row.id) or (
            secrets.token_bytes(16),
            iterations or self._passwords.scram_iterations,
        )
        keys = derive_scram_keys(prepared, *salt)
        return replace(row, password=await self._hasher.hash(prepared), scram=msgspec.msgpack.encode(keys))


def check_password(password: str, login: str = "") -> str:
    """The password as it is hashed (RFC 4013). Raises BadValue when it will not do, without repeating it."""
    try:
        prepared = saslprep(password, stored=True)
    except ValueError as fault:
        raise BadValue(f"the password holds {fault}", "Use characters that can be typed on any keyboard.") from fault
    if len(prepared) < LEAST_PASSWORD:
        raise BadValue(f"the password is shorter than {LEAST_PASSWORD} characters", "Four words in a row are better.")
    if len(prepared.encode()) > LONGEST_PASSWORD:
        raise BadValue(f"the password is longer than {LONGEST_PASSWORD} octets")
    if login and prepared.casefold() in {login, login.partition("@")[0]}:
        raise BadValue("the password is the log-in name")
    return prepared


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
