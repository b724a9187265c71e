"""Administration: what may be put into the directory, and what the errors advise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from postroom.identity import Directory, Identity
from postroom.identity.deleted import purge_older
from postroom.identity.errors import (
    AddressTaken,
    BadCredentials,
    BadValue,
    DirectoryError,
    NoSuchAccount,
    NoSuchAlias,
    NoSuchDomain,
    StillInUse,
)
from postroom.store.api import FlagOp, GroupRow, NotFound, RightsChange, TokenRow
from postroom.store.memory import MemoryStore

from .conftest import StandingClock


async def test_a_new_account_has_its_mailboxes(directory: Directory, store: MemoryStore) -> None:
    row = await directory.account("ANN@example.com")
    account = await store.account(row.id)
    mailboxes = await account.mailboxes()
    assert {mailbox.name: mailbox.special_use for mailbox in mailboxes} == {
        "INBOX": "",
        "Drafts": "\\Drafts",
        "Sent": "\\Sent",
        "Trash": "\\Trash",
        "Junk": "\\Junk",
        "Archive": "\\Archive",
    }
    assert await account.subscriptions() == {mailbox.name for mailbox in mailboxes}


Step = Callable[[Directory], Awaitable[object]]


@pytest.mark.parametrize(
    ("step", "error", "hint"),
    [
        (lambda d: d.add_domain("EXAMPLE.com"), AddressTaken, ""),
        (lambda d: d.add_domain("not a domain"), BadValue, "example.com"),
        (lambda d: d.add_domain("[192.0.2.1]"), BadValue, ""),
        (lambda d: d.domain("exampel.com"), NoSuchDomain, "Did you mean example.com?"),
        (lambda d: d.domain("other.example"), NoSuchDomain, "postroom domain add other.example"),
        (lambda d: d.remove_domain("example.com"), StillInUse, "postroom user rm"),
        (lambda d: d.add_account("Ann@Example.com", "long enough"), AddressTaken, "ignore case"),
        (lambda d: d.add_account("dora@other.example", "long enough"), NoSuchDomain, "postroom domain add"),
        (lambda d: d.add_account("dora", "long enough"), BadValue, "local@domain"),
        (lambda d: d.add_account("dora@example.com", "short"), BadValue, ""),
        (lambda d: d.add_account("dora@example.com", "dora@example.com"), BadValue, ""),
        (lambda d: d.add_account("dora@example.com", "tab\tin the middle"), BadValue, "keyboard"),
        (lambda d: d.add_account("dora@example.com", "x" * 2000), BadValue, ""),
        (lambda d: d.add_account("dora@example.com", "long enough", quota=-2), BadValue, "octets"),
        (lambda d: d.add_account("dora@example.com", "long enough", name="a\nb"), BadValue, ""),
        (lambda d: d.account("anna@example.com"), NoSuchAccount, "Did you mean ann@example.com?"),
        (lambda d: d.set_account("ann@example.com", pop3_delete="maybe"), BadValue, "delete, trash, keep"),
        (lambda d: d.set_account("ann@example.com", pop3_seen="yes"), BadValue, "true or false"),
        (lambda d: d.set_account("ann@example.com", login="x"), BadValue, "quota"),
        (lambda d: d.set_account("ann@example.com", quota_messages=-2), BadValue, "messages"),
        (lambda d: d.set_account("ann@example.com", imap_without=["QRESINC"]), BadValue, "QRESYNC"),
        (lambda d: d.set_account("ann@example.com", imap_without=["IMAP4rev1"]), BadValue, ""),
        (lambda d: d.set_password("ann@example.com", ""), BadValue, ""),
        (lambda d: d.add_alias("ann@example.com", ["ben@example.com"]), AddressTaken, ""),
        (lambda d: d.add_alias("x@example.com", []), BadValue, ""),
        (lambda d: d.add_alias("x@example.com", ["x@example.com"]), BadValue, ""),
        (lambda d: d.add_alias("x@example.com", ["bem@example.com"]), NoSuchAccount, "Did you mean ben@example.com?"),
        (lambda d: d.add_alias("x@other.example", ["ben@example.com"]), NoSuchDomain, ""),
        (lambda d: d.alias("y@example.com"), NoSuchAlias, "postroom alias list"),
        (lambda d: d.remove_alias("y@example.com"), NoSuchAlias, ""),
        (lambda d: d.add_domain("example.net", alias_of="other.example"), NoSuchDomain, "other.example"),
        (lambda d: d.set_domain("example.com", alias_of="example.org"), StillInUse, "postroom user rm"),
        (lambda d: d.set_domain("example.com", alias_of="example.com"), BadValue, ""),
        (lambda d: d.set_domain("example.com", separators="+."), BadValue, "+ - _"),
        (lambda d: d.set_domain("example.com", detail_folders="yes"), BadValue, "off, existing, create"),
        (lambda d: d.set_domain("example.com", receives="yes"), BadValue, "true or false"),
        (lambda d: d.set_domain("example.com", created=1), BadValue, "catch_all"),
        (lambda d: d.set_account("ann@example.com", detail_folders="yes"), BadValue, "off, existing, create"),
        (lambda d: d.set_account("ann@example.com", past="yes"), BadValue, "off, deleted, all"),
        (lambda d: d.restore_account("ann@example.com"), NoSuchAccount, "postroom user deleted list"),
        (lambda d: d.purge_account("ann@example.com"), NoSuchAccount, ""),
    ],
)
async def test_what_cannot_be_done_says_what_can(
    directory: Directory, store: MemoryStore, step: Step, error: type[DirectoryError], hint: str
) -> None:
    before = await store.directory.version()
    with pytest.raises(error) as caught:
        await step(directory)
    assert type(caught.value) is error
    assert hint in caught.value.advice
    assert "\n" not in str(caught.value)
    assert await store.directory.version() == before


async def test_settings(directory: Directory) -> None:
    row = await directory.set_account(
        "ann@example.com", name="Ann Bakker", quota=1 << 30, pop3_delete="keep", pop3_seen=False
    )
    assert (row.name, row.quota, row.pop3_delete, row.pop3_seen) == ("Ann Bakker", 1 << 30, "keep", False)
    assert await directory.account("ann@example.com") == row
    row = await directory.set_account("ann@example.com", quota_messages=7, imap_without=["qresync", "Idle", "IDLE"])
    assert (row.quota_messages, row.imap_without) == (7, ("IDLE", "QRESYNC"))
    assert (await directory.set_account("ann@example.com", imap_without=())).imap_without == ()


async def test_removing_takes_the_account_out_of_aliases(
    directory: Directory, store: MemoryStore, identity: Identity
) -> None:
    await directory.add_alias("all@example.com", ["ann@example.com", "ben@example.com"])
    await directory.add_alias("boss@example.com", ["ann@example.com"])
    row = await directory.disable("ann@example.com")
    with pytest.raises(StillInUse, match=r"boss@example\.com"):
        await directory.remove_account("ann@example.com")
    await directory.set_alias("boss@example.com", members=["ben@example.com"])
    await directory.remove_account("ann@example.com")
    assert (await directory.alias("all@example.com")).members == ("ben@example.com",)
    with pytest.raises(NotFound):
        await store.account(row.id)
    with pytest.raises(BadCredentials):
        await identity.authenticate("ann@example.com", "ann's good password")


async def test_a_domain_alias_has_no_addresses_of_its_own(directory: Directory) -> None:
    await directory.add_domain("example.net", alias_of="example.com")
    for step in (directory.add_account("x@example.net"), directory.add_alias("x@example.net", ["ann@example.com"])):
        with pytest.raises(BadValue, match=r"alias of example\.com"):
            await step
    with pytest.raises(StillInUse, match=r"example\.net stands for"):
        await directory.set_domain("example.com", alias_of="example.org")
    with pytest.raises(BadValue) as caught:
        await directory.add_domain("example.info", alias_of="example.net")
    assert "example.com too" in caught.value.advice
    assert (await directory.set_domain("example.net", alias_of="")).alias_of == ""
    await directory.add_account("x@example.net")


async def test_a_deleted_account_comes_back_whole(directory: Directory, store: MemoryStore, identity: Identity) -> None:
    ann = await directory.account("ann@example.com")
    await directory.add_alias("all@example.com", ["ann@example.com", "ben@example.com"])
    await store.directory.put_group(GroupRow(address="team@example.com", members=("ann@example.com",), created=0))
    await store.directory.put_token(TokenRow(id="t", account=ann.id, digest=b"d" * 32))
    mail = await store.account(ann.id)
    inbox = await mail.mailbox("INBOX")
    assert inbox is not None
    await mail.grant([inbox.id], "ben@example.com", RightsChange(op=FlagOp.ADD, rights=1))
    await store.directory.put_share(ann.id, "ben@example.com")
    gone = await directory.delete_account("ann@example.com")
    assert gone.aliases == ("all@example.com",)
    assert await store.directory.sharers("ben@example.com") == ()
    with pytest.raises(BadCredentials):
        await identity.authenticate("ann@example.com", "ann's good password")
    await directory.add_account("ann@example.com", name="another Ann")
    with pytest.raises(AddressTaken) as taken:
        await directory.restore_account("ann@example.com")
    assert f"restore {ann.id} --as" in taken.value.advice
    with pytest.raises(NoSuchDomain):
        await directory.restore_account(ann.id, "ann@elsewhere.example")
    row = await directory.restore_account(ann.id, "Anna@example.com")
    assert (row.id, row.login, row.password) == (ann.id, "anna@example.com", ann.password)
    assert await identity.authenticate("anna@example.com", "ann's good password") == row
    assert (await directory.alias("all@example.com")).members == ("ben@example.com", "anna@example.com")
    assert (await store.directory.groups_of("anna@example.com")) == {"team@example.com"}
    assert [token.id for token in await store.directory.tokens(ann.id)] == ["t"]
    assert await store.directory.sharers("ben@example.com") == (ann.id,)
    assert await (await store.account(ann.id)).mailbox("INBOX") == inbox


async def test_deleted_accounts_end(directory: Directory, store: MemoryStore, clock: StandingClock) -> None:
    carla = await directory.account("carla@example.org")
    await directory.delete_account("carla@example.org")
    with pytest.raises(StillInUse) as caught:
        await directory.remove_domain("example.org")
    assert "postroom user deleted purge" in caught.value.advice
    clock.time += 10
    await directory.delete_account("ben@example.com")
    assert [gone.row.login for gone in await purge_older(store, clock.now())] == ["carla@example.org"]
    with pytest.raises(NotFound):
        await store.account(carla.id)
    assert [gone.row.login for gone in await store.directory.deleted_accounts()] == ["ben@example.com"]
    assert await purge_older(store, clock.now()) == []
    await directory.remove_domain("example.org")


async def test_a_domain_goes_when_it_is_empty(directory: Directory) -> None:
    await directory.disable("carla@example.org")
    await directory.remove_account("carla@example.org")
    await directory.remove_domain("example.org")
    with pytest.raises(NoSuchDomain):
        await directory.domain("example.org")


async def test_an_alias_is_no_account(directory: Directory) -> None:
    await directory.add_alias("sales@example.com", ["ann@example.com", "Out@Elsewhere.example"])
    assert (await directory.alias("Sales@example.com")).members == ("ann@example.com", "Out@elsewhere.example")
    with pytest.raises(NoSuchAccount, match="is an alias"):
        await directory.account("sales@example.com")
    with pytest.raises(AddressTaken):
        await directory.add_account("sales@example.com")
    await directory.remove_alias("sales@example.com")
    await directory.add_account("sales@example.com")


async def test_passwords_are_prepared_alike_everywhere(directory: Directory, identity: Identity) -> None:
    """RFC 4013: a no-break space typed on one keyboard is a space typed on another; so are composed letters."""
    await directory.set_password("ann@example.com", "Zo\u0065\u0308\u00a0was here")
    assert await identity.authenticate("ann@example.com", "Zo\u00eb was here")
