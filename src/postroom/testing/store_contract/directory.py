"""The contract of the directory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.store.api import (
    AccountRow,
    AliasRow,
    DeletedAccount,
    DomainRow,
    KeyState,
    NotFound,
    SigningKeyRow,
    Store,
    StoreError,
    TokenRow,
)
from postroom.values.likeness import name_key

DOMAIN = DomainRow(name="x.test", created=1.5)
ACCOUNT = AccountRow(id="id1", login="ann@x.test", created=2.5)
KEY = SigningKeyRow(domain="x.test", selector="b", algorithm="rsa-sha256", private="PRIVATE KEY", since=2.0)
ALIAS = AliasRow(address="all@x.test", members=("ann@x.test", "out@y.test"), created=3.5)


class DirectoryContract:
    """What DirectoryStore promises."""

    async def test_domains(self, store: Store) -> None:
        directory = store.directory
        assert await directory.domain("x.test") is None
        await directory.put_domain(DOMAIN)
        assert await directory.domain("x.test") == DOMAIN
        changed = replace(DOMAIN, disabled=True, spoof="junk", catch_all="ann@x.test", hourly_messages=7)
        changed = replace(changed, alias_of="y.test", separators="-+", detail_folders="create", receives=True)
        await directory.put_domain(changed)
        assert await directory.domain("x.test") == changed
        await directory.put_domain(DomainRow(name="a.test", created=0.0))
        assert [row.name for row in await directory.domains()] == ["a.test", "x.test"]
        await directory.remove_domain("a.test")
        assert await directory.domain("a.test") is None
        with pytest.raises(NotFound):
            await directory.remove_domain("a.test")

    async def test_a_domain_in_use_stays(self, store: Store) -> None:
        directory = store.directory
        await directory.put_domain(DOMAIN)
        await directory.put_alias(ALIAS)
        with pytest.raises(StoreError):
            await directory.remove_domain("x.test")
        await directory.remove_alias(ALIAS.address)
        await directory.put_account(ACCOUNT)
        with pytest.raises(StoreError):
            await directory.remove_domain("x.test")
        await directory.remove_account(ACCOUNT.id)
        await directory.remove_domain("x.test")

    async def test_deleted_accounts(self, store: Store) -> None:
        directory = store.directory
        await directory.put_domain(DOMAIN)
        await directory.put_account(ACCOUNT)
        token = TokenRow(id="t1", account="id1", digest=b"d" * 32, scopes=("a", "b"))
        await directory.put_token(token)
        gone = DeletedAccount(row=ACCOUNT, deleted=9.5, aliases=("all@x.test",), groups=("g@x.test",), tokens=(token,))
        assert not await directory.was_deleted("ann@x.test")
        await directory.retire_account(gone)
        assert await directory.account("id1") is None
        assert await directory.account_by_login("ann@x.test") is None
        assert await directory.token(token.digest) is None
        assert await directory.was_deleted("ann@x.test")
        assert await directory.deleted_accounts() == await directory.deleted_accounts("x.test") == [gone]
        assert await directory.deleted_accounts("y.test") == []
        with pytest.raises(NotFound):
            await directory.retire_account(gone)
        with pytest.raises(StoreError):
            await directory.remove_domain("x.test")
        await directory.put_account(replace(ACCOUNT, id="id2"))
        with pytest.raises(StoreError):
            await directory.revive_account(ACCOUNT, ())
        await directory.retire_account(DeletedAccount(row=replace(ACCOUNT, id="id2"), deleted=10.0))
        assert [one.row.id for one in await directory.deleted_accounts()] == ["id2", "id1"]
        await directory.forget_account("id2")
        with pytest.raises(NotFound):
            await directory.forget_account("id2")
        await directory.revive_account(replace(ACCOUNT, login="anna@x.test"), [token])
        assert await directory.account("id1") == replace(ACCOUNT, login="anna@x.test")
        assert await directory.token(token.digest) == token
        assert await directory.deleted_accounts() == []
        assert not await directory.was_deleted("ann@x.test")
        with pytest.raises(NotFound):
            await directory.revive_account(ACCOUNT, ())

    async def test_accounts(self, store: Store) -> None:
        directory = store.directory
        full = replace(
            ACCOUNT,
            name="Änn",
            password="$argon2id$...",  # noqa: S106 - not one
            scram=b"\x00\xff",
            disabled=True,
            quota=10**12,
            pop3_delete="trash",
            pop3_seen=False,
            pop3_last_login=7.25,
            quota_messages=5000,
            quota_mailboxes=77,
            quota_annotations=0,
            administers="domain",
            imap_without=("IDLE", "QRESYNC"),
            daily_messages=1,
            daily_recipients=0,
            daily_new=3,
            shared=True,
            sent_copies=True,
            filtered=True,
            reacting=True,
            contacts=True,
        )
        await directory.put_account(ACCOUNT)
        assert await directory.account("id1") == await directory.account_by_login("ann@x.test") == ACCOUNT
        await directory.put_account(full)
        assert await directory.account("id1") == full
        renamed = replace(full, login="anna@x.test")
        await directory.put_account(renamed)
        assert await directory.account_by_login("ann@x.test") is None
        assert await directory.account_by_login("anna@x.test") == renamed
        await directory.put_account(replace(ACCOUNT, id="id2", login="bob@y.test"))
        assert [row.id for row in await directory.accounts()] == ["id1", "id2"]
        assert [row.id for row in await directory.accounts("y.test")] == ["id2"]
        await directory.remove_account("id2")
        with pytest.raises(NotFound):
            await directory.remove_account("id2")

    async def test_people_by_name(self, store: Store) -> None:
        directory = store.directory
        assert await directory.named("") == ()
        await directory.put_account(replace(ACCOUNT, name="Ann Müller"))
        await directory.put_account(replace(ACCOUNT, id="id2", login="am@y.test", name="MULLER, ANN"))
        await directory.put_account(replace(ACCOUNT, id="id3", login="bob@y.test", name="Bob"))
        assert await directory.named(name_key("аnn muller")) == ("am@y.test", "ann@x.test")  # a Cyrillic a
        assert name_key("Bob") == ""
        await directory.put_account(replace(ACCOUNT, name="Ann Smith"))
        assert await directory.named(name_key("Ann Müller")) == ("am@y.test",)

    async def test_aliases(self, store: Store) -> None:
        directory = store.directory
        await directory.put_alias(ALIAS)
        trap = AliasRow(address="trap@x.test", members=(), created=4.0, trap=True)
        await directory.put_alias(trap)
        assert await directory.alias("trap@x.test") == trap
        await directory.remove_alias("trap@x.test")
        assert await directory.alias("all@x.test") == ALIAS
        changed = replace(ALIAS, members=(), disabled=True)
        await directory.put_alias(changed)
        assert await directory.alias("all@x.test") == changed
        assert await directory.aliases("x.test") == [changed]
        assert await directory.aliases("y.test") == []
        await directory.remove_alias("all@x.test")
        assert await directory.alias("all@x.test") is None
        with pytest.raises(NotFound):
            await directory.remove_alias("all@x.test")

    async def test_signing_keys(self, store: Store) -> None:
        directory = store.directory
        assert await directory.signing_keys("x.test") == ()
        with pytest.raises(NotFound):
            await directory.put_signing_keys([KEY])
        await directory.put_domain(DOMAIN)
        await directory.put_domain(DomainRow(name="y.test", created=0.0))
        older = replace(KEY, selector="a", algorithm="ed25519-sha256", state=KeyState.ACTIVE, since=1.0)
        other = replace(KEY, domain="y.test")
        before = directory.generation()
        await directory.put_signing_keys([KEY, older, other])
        assert directory.generation() != before
        assert await directory.signing_keys("x.test") == (older, KEY)
        retired = replace(older, state=KeyState.RETIRED, since=3.0)
        with pytest.raises(NotFound):  # all or none
            await directory.put_signing_keys([retired, replace(KEY, domain="z.test")])
        assert await directory.signing_keys("x.test") == (older, KEY)
        await directory.put_signing_keys([retired])
        assert await directory.signing_keys("x.test") == (KEY, retired)
        await directory.remove_signing_key("x.test", "a")
        with pytest.raises(NotFound):
            await directory.remove_signing_key("x.test", "a")
        await directory.remove_domain("x.test")
        assert await directory.signing_keys("x.test") == ()
        assert await directory.signing_keys("y.test") == (other,)

    async def test_tokens(self, store: Store) -> None:
        directory = store.directory
        digest = b"\x00" * 31 + b"\xff"
        row = TokenRow(id="00", account=ACCOUNT.id, digest=digest, name="shop", scopes=("send", "read-events"))
        with pytest.raises(NotFound):
            await directory.put_token(row)
        assert await directory.token(digest) is None
        await directory.put_account(ACCOUNT)
        other = replace(ACCOUNT, id="id2", login="bob@x.test")
        await directory.put_account(other)
        before = directory.generation()
        await directory.put_token(row)
        assert directory.generation() != before
        older = replace(row, id="01", digest=b"\x01" * 32, created=-1.0, expires=5.5)
        theirs = replace(row, digest=b"\x02" * 32, account=other.id)
        await directory.put_token(older)
        await directory.put_token(theirs)
        assert await directory.token(digest) == row
        assert await directory.tokens(ACCOUNT.id) == (older, row)
        await directory.put_token(replace(row, name="other"))
        assert (await directory.tokens(ACCOUNT.id))[1].name == "other"
        await directory.remove_token(ACCOUNT.id, "00")
        assert await directory.token(digest) is None
        assert await directory.tokens(other.id) == (theirs,)
        with pytest.raises(NotFound):
            await directory.remove_token(ACCOUNT.id, "00")
        await directory.remove_account(other.id)
        assert await directory.token(theirs.digest) is None

    async def test_one_name_means_one_thing(self, store: Store) -> None:
        directory = store.directory
        await directory.put_account(ACCOUNT)
        await directory.put_alias(ALIAS)
        for account in (replace(ACCOUNT, id="id2"), replace(ACCOUNT, id="id3", login=ALIAS.address)):
            with pytest.raises(StoreError):
                await directory.put_account(account)
        with pytest.raises(StoreError):
            await directory.put_alias(replace(ALIAS, address=ACCOUNT.login))
        assert [row.id for row in await directory.accounts()] == ["id1"]

    async def test_version_moves_with_every_change(self, store: Store) -> None:
        directory = store.directory
        seen = [await directory.version()]
        first = directory.generation()
        await directory.put_domain(DOMAIN)
        seen.append(await directory.version())
        await directory.put_account(ACCOUNT)
        seen.append(await directory.version())
        await directory.account("id1")
        assert await directory.version() == seen[-1]
        assert directory.generation() == directory.generation() != first
        await directory.remove_account("id1")
        seen.append(await directory.version())
        assert len(set(seen)) == 4
