"""The directory in dictionaries. See postroom.store.api.DirectoryStore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postroom.store.api import (
    AccountRow,
    AliasRow,
    DeletedAccount,
    DomainRow,
    FilterRow,
    GroupRow,
    NotFound,
    SigningKeyRow,
    SiteScriptRow,
    StoreError,
    TokenRow,
)
from postroom.store.memory.sharing import MemoryGroups
from postroom.values.likeness import name_key


class MemoryDirectory:
    """Domains, accounts, aliases."""

    def __init__(self) -> None:
        self._domains: dict[str, DomainRow] = {}
        self._accounts: dict[str, AccountRow] = {}
        self._aliases: dict[str, AliasRow] = {}
        self._keys: dict[tuple[str, str], SigningKeyRow] = {}
        self._tokens: dict[bytes, TokenRow] = {}
        self._groups = MemoryGroups()
        self._deleted: dict[str, DeletedAccount] = {}
        self._filters: dict[str, FilterRow] = {}
        self._scripts: dict[tuple[str, str], SiteScriptRow] = {}
        self._version = 1

    async def version(self) -> int:
        return self._version

    def generation(self) -> int:
        return self._version

    async def domain(self, name: str) -> DomainRow | None:
        return self._domains.get(name)

    async def domains(self) -> list[DomainRow]:
        return [self._domains[name] for name in sorted(self._domains)]

    async def put_domain(self, row: DomainRow) -> None:
        self._domains[row.name] = row
        self._version += 1

    async def remove_domain(self, name: str) -> None:
        inhabited = await self.accounts(name) or await self.aliases(name) or await self.groups(name)
        if inhabited or await self.deleted_accounts(name):
            raise StoreError("the domain still has accounts, aliases or groups")
        if self._domains.pop(name, None) is None:
            raise NotFound(f"no domain {name}")
        self._keys = {at: row for at, row in self._keys.items() if at[0] != name}
        self._version += 1

    async def account(self, account: str) -> AccountRow | None:
        return self._accounts.get(account)

    async def account_by_login(self, login: str) -> AccountRow | None:
        return next((row for row in self._accounts.values() if row.login == login), None)

    async def accounts(self, domain: str = "") -> list[AccountRow]:
        rows = [row for row in self._accounts.values() if domain in ("", _domain_of(row.login))]
        return sorted(rows, key=lambda row: row.login)

    async def named(self, key: str) -> tuple[str, ...]:
        logins = sorted(row.login for row in self._accounts.values() if key and name_key(row.name) == key)
        return tuple(logins[:10])

    async def put_account(self, row: AccountRow) -> None:
        other = await self.account_by_login(row.login)
        if other is not None and other.id != row.id:
            raise StoreError(f"{row.login} belongs to another account")
        if row.login in self._aliases:
            raise StoreError(f"{row.login} is an alias")
        self._accounts[row.id] = row
        self._version += 1

    async def remove_account(self, account: str) -> None:
        row = self._accounts.pop(account, None)
        if row is None:
            raise NotFound(f"no account {account}")
        self._groups.forget_account(account, row.login)
        self._tokens = {digest: row for digest, row in self._tokens.items() if row.account != account}
        self._version += 1

    async def retire_account(self, gone: DeletedAccount) -> None:
        await self.remove_account(gone.row.id)
        self._deleted[gone.row.id] = gone

    async def deleted_accounts(self, domain: str = "") -> list[DeletedAccount]:
        found = [one for one in self._deleted.values() if domain in ("", _domain_of(one.row.login))]
        return sorted(found, key=lambda one: (-one.deleted, one.row.id))

    async def was_deleted(self, login: str) -> bool:
        return any(one.row.login == login for one in self._deleted.values())

    async def revive_account(self, row: AccountRow, tokens: Sequence[TokenRow]) -> None:
        if row.id not in self._deleted:
            raise NotFound(f"no deleted account {row.id}")
        await self.put_account(row)
        del self._deleted[row.id]
        self._tokens.update({token.digest: token for token in tokens})

    async def forget_account(self, account: str) -> None:
        if self._deleted.pop(account, None) is None:
            raise NotFound(f"no deleted account {account}")
        self._version += 1

    async def alias(self, address: str) -> AliasRow | None:
        return self._aliases.get(address)

    async def aliases(self, domain: str = "") -> list[AliasRow]:
        rows = [row for row in self._aliases.values() if domain in ("", _domain_of(row.address))]
        return sorted(rows, key=lambda row: row.address)

    async def put_alias(self, row: AliasRow) -> None:
        if await self.account_by_login(row.address) is not None:
            raise StoreError(f"{row.address} is an account")
        self._aliases[row.address] = row
        self._version += 1

    async def remove_alias(self, address: str) -> None:
        if self._aliases.pop(address, None) is None:
            raise NotFound(f"no alias {address}")
        self._version += 1

    async def wishes(self, owner: str) -> FilterRow | None:
        return self._filters.get(owner)

    async def all_wishes(self) -> list[FilterRow]:
        return [self._filters[owner] for owner in sorted(self._filters)]

    async def put_wishes(self, row: FilterRow) -> None:
        self._filters.pop(row.owner, None)
        if row != FilterRow(owner=row.owner):
            self._filters[row.owner] = row
        self._version += 1

    async def site_scripts(self, owner: str) -> tuple[SiteScriptRow, ...]:
        return tuple(self._scripts[key] for key in sorted(self._scripts) if key[0] == owner)

    async def put_site_script(self, row: SiteScriptRow) -> None:
        self._scripts[row.owner, row.name] = row
        self._version += 1

    async def remove_site_script(self, owner: str, name: str) -> None:
        if self._scripts.pop((owner, name), None) is None:
            raise NotFound(f'there is no script "{name}"')
        self._version += 1

    async def group(self, address: str) -> GroupRow | None:
        return self._groups.group(address)

    async def groups(self, domain: str = "") -> list[GroupRow]:
        return self._groups.groups(domain)

    async def put_group(self, row: GroupRow) -> None:
        self._groups.put_group(row)
        self._version += 1

    async def remove_group(self, address: str) -> None:
        self._groups.remove_group(address)
        self._version += 1

    async def groups_of(self, member: str) -> frozenset[str]:
        return self._groups.groups_of(member)

    async def sharers(self, identifier: str) -> tuple[str, ...]:
        return self._groups.sharers(identifier)

    async def put_share(self, account: str, identifier: str) -> None:
        if account not in self._accounts:
            raise NotFound(f"no account {account}")
        self._groups.put_share(account, identifier)
        self._version += 1

    async def remove_share(self, account: str, identifier: str) -> None:
        self._groups.remove_share(account, identifier)
        self._version += 1

    async def delegates(self, account: str) -> Mapping[str, str]:
        return self._groups.delegates(account)

    async def put_delegate(self, account: str, identifier: str, mode: str) -> None:
        if account not in self._accounts:
            raise NotFound(f"no account {account}")
        self._groups.put_delegate(account, identifier, mode)
        self._version += 1

    async def remove_delegate(self, account: str, identifier: str) -> None:
        self._groups.remove_delegate(account, identifier)
        self._version += 1

    async def shares(self, account: str) -> tuple[str, ...]:
        return self._groups.shares(account)

    async def signing_keys(self, domain: str) -> tuple[SigningKeyRow, ...]:
        rows = [row for row in self._keys.values() if row.domain == domain]
        return tuple(sorted(rows, key=lambda row: (row.since, row.selector)))

    async def put_signing_keys(self, rows: Sequence[SigningKeyRow]) -> None:
        for row in rows:
            if row.domain not in self._domains:
                raise NotFound(f"no domain {row.domain}")
        self._keys.update({(row.domain, row.selector): row for row in rows})
        self._version += 1

    async def remove_signing_key(self, domain: str, selector: str) -> None:
        if self._keys.pop((domain, selector), None) is None:
            raise NotFound(f"no key {selector} of {domain}")
        self._version += 1

    async def token(self, digest: bytes) -> TokenRow | None:
        return self._tokens.get(digest)

    async def tokens(self, account: str) -> tuple[TokenRow, ...]:
        rows = [row for row in self._tokens.values() if row.account == account]
        return tuple(sorted(rows, key=lambda row: (row.created, row.id)))

    async def put_token(self, row: TokenRow) -> None:
        if row.account not in self._accounts:
            raise NotFound(f"no account {row.account}")
        self._tokens[row.digest] = row
        self._version += 1

    async def remove_token(self, account: str, token: str) -> None:
        found = [digest for digest, row in self._tokens.items() if (row.account, row.id) == (account, token)]
        if not found:
            raise NotFound(f"no token {token}")
        for digest in found:
            del self._tokens[digest]
        self._version += 1


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2]
