"""The DirectoryStore: domains, accounts and aliases in directory.db, answered from a cache.

Each call first reads the version number from the file (a few microseconds), so that a change made by another process
acts at once; the cache is dropped when it moved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import apsw

from postroom.store.api.directory import (
    AccountRow,
    AliasRow,
    DeletedAccount,
    DomainRow,
    FilterRow,
    GroupRow,
    SigningKeyRow,
    SiteScriptRow,
    TokenRow,
)
from postroom.store.api.errors import NotFound, StoreError
from postroom.store.embedded import directory_deleted as deleted
from postroom.store.embedded import directory_filters as wishes
from postroom.store.embedded import directory_rows as rows
from postroom.store.embedded import directory_sharing as sharing
from postroom.store.embedded import schema
from postroom.store.embedded.committer import Committer
from postroom.store.embedded.database import OpenOptions, open_database, rollback, set_up, unavailable
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.stamp import Stamp
from postroom.values.clock import Clock

T = TypeVar("T")

_CACHED_ROWS: Final = 10_000
#: how long the stamp alone is believed: a process may die between its commit and the stamp
_ASK_SECONDS: Final = 1.0
_ACCESS: Final = "digest, id, account, name, scopes, created, expires, scram, networks"
#: log-ins that are told for one name
_NAMESAKES: Final = 10


class DirectoryUnit:
    """One transaction on the directory; a change raises the version once."""

    __slots__ = ("_changes", "connection")

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self._changes = connection.total_changes()

    def changed(self) -> int:
        """Grows with every change."""
        return self.connection.total_changes()

    def commit(self) -> Callable[[], None] | None:
        """Commit."""
        if self.changed() != self._changes:
            self.connection.execute("UPDATE version SET number = number + 1")
        self.connection.execute("COMMIT")
        return None

    def rollback(self) -> None:
        """As if it never was."""
        rollback(self.connection)


class DirectoryFile:
    """directory.db as the committer sees it."""

    def __init__(self, path: str, options: OpenOptions) -> None:
        self._path = path
        self._options = options
        self._writer: apsw.Connection | None = None

    def begin(self, durable: bool = True) -> DirectoryUnit:
        """Open a transaction. Raises apsw.Error."""
        if self._writer is None:
            self._writer = open_database(self._path, self._options, cache_kib=self._options.writer_cache_kib)
        self._writer.execute("BEGIN IMMEDIATE")
        return DirectoryUnit(self._writer)

    def close(self) -> None:
        """Close the writer."""
        if self._writer is not None:
            with contextlib.suppress(apsw.Error):
                self._writer.close()
            self._writer = None


class EmbeddedDirectory:
    """See postroom.store.api.DirectoryStore."""

    def __init__(self, layout: Layout, options: OpenOptions, committer: Committer, clock: Clock) -> None:
        path = layout.directory
        self._stamp = Stamp(layout.directory_stamp)
        self._seen = b""
        self._clock = clock
        self._asked = 0.0
        self._reader = open_database(path, options, cache_kib=options.reader_cache_kib, create=True)
        set_up(self._reader, schema.DIRECTORY, schema.DIRECTORY_VERSION)
        self._file = DirectoryFile(path, options)
        self._committer = committer
        self._cache: dict[tuple[str, str], Any] = {}
        self._cached_version = 0

    def close(self) -> None:
        """Close both connections; the committer has ended."""
        self._file.close()
        self._reader.close()
        self._stamp.close()

    async def version(self) -> int:
        return self._version()

    def _version(self) -> int:
        try:
            number: int = self._reader.execute("SELECT number FROM version").get
        except apsw.Error as fault:
            raise unavailable(fault) from fault
        return number

    def generation(self) -> int:
        stamp = self._stamp.value()
        now = self._clock.monotonic()
        if stamp != self._seen or not 0 <= now - self._asked < _ASK_SECONDS or len(self._cache) >= _CACHED_ROWS:
            self._seen, self._asked = stamp, now
            version = self._version()
            if version != self._cached_version or len(self._cache) >= _CACHED_ROWS:
                self._cache.clear()
                self._cached_version = version
        return self._cached_version

    def _cached(self, kind: str, key: str, load: Callable[[str], T]) -> T:
        self.generation()
        slot = (kind, key)
        try:
            return self._cache[slot]  # type: ignore[no-any-return]
        except KeyError:
            value = self._cache[slot] = load(key)
            return value

    def _rows(self, sql: str, *bindings: Any) -> list[Any]:
        try:
            return self._reader.execute(sql, bindings).fetchall()
        except apsw.Error as fault:
            raise unavailable(fault) from fault

    async def _change(self, work: Callable[[apsw.Connection], None]) -> None:
        def run(unit: DirectoryUnit) -> Callable[[], None]:
            work(unit.connection)
            return lambda: None

        await self._committer.submit(self._file, run)
        self._stamp.change()

    # domains

    async def domain(self, name: str) -> DomainRow | None:
        return self._cached("domain", name, self._load_domain)

    def _load_domain(self, name: str) -> DomainRow | None:
        found = self._rows(f"{rows.GET_DOMAIN} WHERE name = ?", name)
        return rows.domain(found[0]) if found else None

    async def domains(self) -> list[DomainRow]:
        found = self._rows(f"{rows.GET_DOMAIN} ORDER BY name")
        return [rows.domain(row) for row in found]

    async def put_domain(self, row: DomainRow) -> None:
        await self._change(lambda db: void(db.execute(rows.PUT_DOMAIN, rows.domain_values(row))))

    async def remove_domain(self, name: str) -> None:
        def remove(db: apsw.Connection) -> None:
            for table in ("account", "alias", "team", "deleted_account"):
                if db.execute(f"SELECT 1 FROM {table} WHERE domain = ?", (name,)).fetchone():
                    raise StoreError(f"the domain is still used by a row of {table}")
            _delete_one(db, "domain", "name", name)
            db.execute("DELETE FROM signing_key WHERE domain = ?", (name,))
            db.execute("DELETE FROM filter WHERE owner = ?", (name,))
            db.execute("DELETE FROM site_script WHERE owner = ?", (name,))

        await self._change(remove)

    # accounts

    async def account(self, account: str) -> AccountRow | None:
        return self._cached("account", account, lambda key: self._load_account("id", key))

    async def account_by_login(self, login: str) -> AccountRow | None:
        return self._cached("login", login, lambda key: self._load_account("login", key))

    def _load_account(self, column: str, key: str) -> AccountRow | None:
        found = self._rows(f"{rows.GET_ACCOUNT} WHERE {column} = ?", key)
        return rows.account(found[0]) if found else None

    async def accounts(self, domain: str = "") -> list[AccountRow]:
        found = self._rows(f"{rows.GET_ACCOUNT} WHERE ?1 IN ('', domain) ORDER BY login", domain)
        return [rows.account(row) for row in found]

    def known(self) -> frozenset[str]:
        """Internal: ids of all accounts, and of deleted ones that can be brought back. Raises StoreUnavailable."""
        return frozenset(
            number for (number,) in self._rows("SELECT id FROM account UNION SELECT id FROM deleted_account")
        )

    async def named(self, key: str) -> tuple[str, ...]:
        return self._cached("named", key, self._load_named) if key else ()

    def _load_named(self, key: str) -> tuple[str, ...]:
        found = self._rows("SELECT login FROM account WHERE name_key = ? ORDER BY login LIMIT ?", key, _NAMESAKES)
        return tuple(login for (login,) in found)

    async def put_account(self, row: AccountRow) -> None:
        def put(db: apsw.Connection) -> None:
            _free(db, row)
            db.execute(rows.PUT_ACCOUNT, rows.account_values(row))

        await self._change(put)

    async def remove_account(self, account: str) -> None:
        def remove(db: apsw.Connection) -> None:
            sharing.forget_account(db, account)
            db.execute("DELETE FROM filter WHERE owner = (SELECT login FROM account WHERE id = ?)", (account,))
            _delete_one(db, "account", "id", account)
            db.execute("DELETE FROM token WHERE account = ?", (account,))

        await self._change(remove)

    # deleted accounts

    async def retire_account(self, gone: DeletedAccount) -> None:
        await self._change(lambda db: deleted.retire(db, gone))

    async def deleted_accounts(self, domain: str = "") -> list[DeletedAccount]:
        return deleted.load(self._rows, domain)

    async def was_deleted(self, login: str) -> bool:
        return self._cached("deleted", login, partial(deleted.load_login, self._rows))

    async def revive_account(self, row: AccountRow, tokens: Sequence[TokenRow]) -> None:
        def revive(db: apsw.Connection) -> None:
            _free(db, row)
            deleted.forget(db, row.id)
            db.execute(rows.PUT_ACCOUNT, rows.account_values(row))
            db.executemany(rows.INSERT_ACCESS, [rows.token_values(token) for token in tokens])

        await self._change(revive)

    async def forget_account(self, account: str) -> None:
        await self._change(lambda db: deleted.forget_for_good(db, account))

    # aliases

    async def alias(self, address: str) -> AliasRow | None:
        return self._cached("alias", address, self._load_alias)

    def _load_alias(self, address: str) -> AliasRow | None:
        found = self._rows("SELECT address, members, created, disabled, trap FROM alias WHERE address = ?", address)
        return rows.alias(found[0]) if found else None

    async def aliases(self, domain: str = "") -> list[AliasRow]:
        found = self._rows(
            "SELECT address, members, created, disabled, trap FROM alias WHERE ?1 IN ('', domain) ORDER BY address",
            domain,
        )
        return [rows.alias(row) for row in found]

    async def put_alias(self, row: AliasRow) -> None:
        def put(db: apsw.Connection) -> None:
            if db.execute("SELECT 1 FROM account WHERE login = ?", (row.address,)).fetchone():
                raise StoreError(f"{row.address} is an account")
            db.execute("REPLACE INTO alias VALUES (?, ?, ?, ?, ?, ?)", rows.alias_values(row))

        await self._change(put)

    async def remove_alias(self, address: str) -> None:
        await self._change(lambda db: _delete_one(db, "alias", "address", address))

    # wishes about the filter

    async def wishes(self, owner: str) -> FilterRow | None:
        return self._cached("filter", owner, partial(wishes.load_filter, self._rows))

    async def all_wishes(self) -> list[FilterRow]:
        return wishes.load_filters(self._rows)

    async def put_wishes(self, row: FilterRow) -> None:
        await self._change(lambda db: wishes.put_filter(db, row))

    # scripts of the site

    async def site_scripts(self, owner: str) -> tuple[SiteScriptRow, ...]:
        return self._cached("site script", owner, partial(wishes.load_scripts, self._rows))

    async def put_site_script(self, row: SiteScriptRow) -> None:
        await self._change(lambda db: wishes.put_script(db, row))

    async def remove_site_script(self, owner: str, name: str) -> None:
        await self._change(lambda db: wishes.remove_script(db, owner, name))

    # groups and shares

    async def group(self, address: str) -> GroupRow | None:
        return self._cached("group", address, partial(sharing.load_group, self._rows))

    async def groups(self, domain: str = "") -> list[GroupRow]:
        return sharing.load_groups(self._rows, domain)

    async def put_group(self, row: GroupRow) -> None:
        await self._change(lambda db: sharing.put_group(db, row))

    async def remove_group(self, address: str) -> None:
        await self._change(lambda db: sharing.remove_group(db, address))

    async def groups_of(self, member: str) -> frozenset[str]:
        return self._cached("groups of", member, partial(sharing.load_groups_of, self._rows))

    async def sharers(self, identifier: str) -> tuple[str, ...]:
        return self._cached("sharers", identifier, partial(sharing.load_sharers, self._rows))

    async def put_share(self, account: str, identifier: str) -> None:
        await self._change(lambda db: sharing.put_share(db, account, identifier))

    async def remove_share(self, account: str, identifier: str) -> None:
        await self._change(lambda db: sharing.remove_share(db, account, identifier))

    async def delegates(self, account: str) -> Mapping[str, str]:
        return self._cached("delegates", account, partial(sharing.load_delegates, self._rows))

    async def put_delegate(self, account: str, identifier: str, mode: str) -> None:
        await self._change(lambda db: sharing.put_delegate(db, account, identifier, mode))

    async def remove_delegate(self, account: str, identifier: str) -> None:
        await self._change(lambda db: sharing.remove_delegate(db, account, identifier))

    async def shares(self, account: str) -> tuple[str, ...]:
        return sharing.load_shares(self._rows, account)

    # signing keys

    async def signing_keys(self, domain: str) -> tuple[SigningKeyRow, ...]:
        return self._cached("keys", domain, self._load_keys)

    def _load_keys(self, domain: str) -> tuple[SigningKeyRow, ...]:
        found = self._rows(
            "SELECT domain, selector, algorithm, private, state, since FROM signing_key WHERE domain = ?"
            " ORDER BY since, selector",
            domain,
        )
        return tuple(map(rows.signing_key, found))

    async def put_signing_keys(self, rows: Sequence[SigningKeyRow]) -> None:
        def put(db: apsw.Connection) -> None:
            for name in {row.domain for row in rows}:
                if not db.execute("SELECT 1 FROM domain WHERE name = ?", (name,)).fetchone():
                    raise NotFound(f"no domain {name}")
            for row in rows:
                values = (row.domain, row.selector, row.algorithm, row.private, row.state.value, row.since)
                db.execute("REPLACE INTO signing_key VALUES (?, ?, ?, ?, ?, ?)", values)

        await self._change(put)

    async def remove_signing_key(self, domain: str, selector: str) -> None:
        def remove(db: apsw.Connection) -> None:
            db.execute("DELETE FROM signing_key WHERE domain = ? AND selector = ?", (domain, selector))
            if not db.changes():
                raise NotFound(f"no key {selector} of {domain}")

        await self._change(remove)

    # tokens

    async def token(self, digest: bytes) -> TokenRow | None:
        self.generation()
        slot = ("token", digest.hex())
        known: TokenRow | None = self._cache.get(slot)
        if known is None:
            known = self._load_token(slot[1])
            if known is not None:  # guesses must not fill the cache
                self._cache[slot] = known
        return known

    def _load_token(self, digest: str) -> TokenRow | None:
        found = self._rows(f"SELECT {_ACCESS} FROM token WHERE digest = ?", bytes.fromhex(digest))
        return rows.token(found[0]) if found else None

    async def tokens(self, account: str) -> tuple[TokenRow, ...]:
        return tuple(
            map(rows.token, self._rows(f"SELECT {_ACCESS} FROM token WHERE account = ? ORDER BY created, id", account))
        )

    async def put_token(self, row: TokenRow) -> None:
        def put(db: apsw.Connection) -> None:
            if not db.execute("SELECT 1 FROM account WHERE id = ?", (row.account,)).fetchone():
                raise NotFound(f"no account {row.account}")
            db.execute(rows.INSERT_ACCESS, rows.token_values(row))

        await self._change(put)

    async def remove_token(self, account: str, token: str) -> None:
        def remove(db: apsw.Connection) -> None:
            db.execute("DELETE FROM token WHERE account = ? AND id = ?", (account, token))
            if not db.changes():
                raise NotFound(f"no token {token}")

        await self._change(remove)


def void(_: object) -> None:
    """Drop a value where only the effect counts."""


def _free(db: apsw.Connection, row: AccountRow) -> None:
    """Raises StoreError when the log-in is somebody else's."""
    other = db.execute("SELECT id FROM account WHERE login = ?", (row.login,)).fetchone()
    if other is not None and other[0] != row.id:
        raise StoreError(f"{row.login} belongs to another account")
    if db.execute("SELECT 1 FROM alias WHERE address = ?", (row.login,)).fetchone():
        raise StoreError(f"{row.login} is an alias")


def _delete_one(db: apsw.Connection, table: str, column: str, key: str) -> None:
    db.execute(f"DELETE FROM {table} WHERE {column} = ?", (key,))
    if not db.changes():
        raise NotFound(f"no {table} {key}")
