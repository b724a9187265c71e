"""What `postroom check` says of sharing that is not in order."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from postroom.store.api import AccountRow, DomainRow, FlagOp, RightsChange
from postroom.store.embedded import EmbeddedStore
from postroom.testing.store_contract import SettableClock, message
from postroom.values import rights as right


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """An account with an ACL, an index of it, and marks."""
    folder = tmp_path / "data"
    store = EmbeddedStore(folder)
    await store.directory.put_domain(DomainRow(name="x.test", created=0.0))
    await store.create_account("acc1", [("INBOX", ""), ("Sent", "\\Sent")])
    await store.directory.put_account(AccountRow(id="acc1", login="ann@x.test", created=0.0))
    account = await store.account("acc1")
    await store.directory.put_share("acc1", "ben@x.test")
    await account.grant([0, 1], "ben@x.test", RightsChange(FlagOp.REPLACE, right.READING))
    await account.append(1, [message(), message()])
    await account.marks.mark(1, "ben", [1, 2], True)
    await store.close()
    return folder


async def findings(data: Path) -> list[str]:
    store = EmbeddedStore(data, None)
    try:
        return [finding.what for finding in [one async for one in store.check()]]
    finally:
        await store.close()


def damage(data: Path, sql: str, name: str = "mail.db") -> None:
    [path] = list(data.rglob(name))
    with apsw.Connection(str(path)) as connection:
        connection.execute(sql)


async def test_nothing_is_wrong_at_first(data: Path) -> None:
    assert await findings(data) == []


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE acl SET mailbox = 77 WHERE mailbox = 1", "an ACL is of mailbox 77, which is not there"),
        ("UPDATE acl SET rights = 4096 WHERE mailbox = 1", "rights there are not"),
        ("UPDATE acl SET rights = 0 WHERE mailbox = 0", "rights there are not"),
        ("UPDATE mark SET mailbox = 77", "marks are of mailbox 77, which is not there"),
        ("UPDATE mark SET chunk = 3", "not in order"),
        ("UPDATE mark SET data = x'0102030405'", "cannot be read"),
        (
            "UPDATE mark SET data = x'0100000002000000ffffffffffffff00ffffffffffffff00'",
            "a mark of ben is newer than mailbox 1",
        ),
        ("UPDATE acl SET identifier = 'eve@x.test' WHERE mailbox = 1", "eve@x.test has rights on mailboxes of acc1"),
    ],
)
async def test_what_is_not_in_order_is_found(data: Path, sql: str, said: str) -> None:
    damage(data, sql)
    assert any(said in what for what in await findings(data))


async def test_an_index_that_names_too_many_is_no_fault(data: Path) -> None:
    damage(data, "INSERT INTO share VALUES ('eve@x.test', 'acc1')", "directory.db")
    assert await findings(data) == []


async def test_an_outline_that_is_remembered_shows_what_others_change(data: Path) -> None:
    """The first store's clock stands far ahead, so that files count as settled at once."""
    one, two = EmbeddedStore(data, clock=SettableClock(9e12)), EmbeddedStore(data, 1)
    try:
        before = await one.outline("acc1")
        while (again := await one.outline("acc1")) is not before:  # closing the first reader may have tidied the files
            before = again
        account = await two.account("acc1")
        made = await account.create("Made")
        assert made in (await one.outline("acc1")).mailboxes
        await account.grant([made.id], "ben@x.test", RightsChange(FlagOp.REPLACE, right.LOOKUP))
        assert (await one.outline("acc1")).acls[made.id] == {"ben@x.test": right.LOOKUP}
    finally:
        await one.close()
        await two.close()


async def test_what_changed_just_now_is_looked_at_again(data: Path) -> None:
    store = EmbeddedStore(data, clock=SettableClock(0.0))
    try:
        first = await store.outline("acc1")
        assert await store.outline("acc1") is not first
    finally:
        await store.close()
