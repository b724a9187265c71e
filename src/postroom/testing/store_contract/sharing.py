"""The contract of sharing: ACLs of mailboxes, groups, and the index of who shares with whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postroom.store.api import AccountRow, DomainRow, FlagOp, GroupRow, Hint, NotFound, RightsChange, Store, StoreError
from postroom.testing.store_contract.build import named, open_account
from postroom.values import rights as right

READ = RightsChange(FlagOp.REPLACE, right.READING)
NOTHING = RightsChange(FlagOp.REPLACE, right.NONE)
TEAM = GroupRow(address="team@x.test", members=("ben@x.test", "ann@x.test"), created=2.5, name="The team")


class AclContract:
    """acl, acls, grant."""

    async def test_nobody_is_given_anything_at_first(self, store: Store) -> None:
        account, inbox = await open_account(store)
        assert await account.acl(inbox.id) == await account.acl(0) == await account.acl(999) == {}
        assert await account.acls() == {}

    async def test_rights_are_replaced_added_and_taken(self, store: Store) -> None:
        account, inbox = await open_account(store)
        assert await account.grant([inbox.id], "ben@x.test", READ)
        assert await account.grant([inbox.id], "ben@x.test", RightsChange(FlagOp.ADD, right.SEEN))
        assert await account.acl(inbox.id) == {"ben@x.test": right.READING | right.SEEN}
        assert await account.grant([inbox.id], "ben@x.test", RightsChange(FlagOp.REMOVE, right.READ | right.WRITE))
        assert await account.grant([inbox.id], "-anyone", RightsChange(FlagOp.ADD, right.ALL))
        assert await account.acl(inbox.id) == {"ben@x.test": right.LOOKUP | right.SEEN, "-anyone": right.ALL}
        assert await account.grant([inbox.id], "ben@x.test", READ)
        assert (await account.acl(inbox.id))["ben@x.test"] == right.READING

    async def test_who_has_no_rights_is_in_no_acl(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        assert await account.grant([inbox.id, trash.id, 0], "ben@x.test", READ)
        assert set(await account.acls()) == {inbox.id, trash.id, 0}
        assert await account.grant([inbox.id, 0], "ben@x.test", NOTHING)
        assert await account.acls() == {trash.id: {"ben@x.test": right.READING}}
        assert not await account.grant([trash.id], "ben@x.test", NOTHING)
        assert await account.acls() == {}

    async def test_an_outline_is_what_the_account_has(self, store: Store) -> None:
        account, inbox = await open_account(store)
        outline = await store.outline("acc1")
        assert list(outline.mailboxes) == list(await account.mailboxes())
        assert outline.acls == {}
        await account.create("More")
        await account.grant([inbox.id, 0], "ben@x.test", READ)
        outline = await store.outline("acc1")
        assert list(outline.mailboxes) == list(await account.mailboxes())
        assert outline.acls == await account.acls()
        with pytest.raises(NotFound):
            await store.outline("nobody")

    async def test_all_mailboxes_or_none(self, store: Store) -> None:
        account, inbox = await open_account(store)
        with pytest.raises(NotFound):
            await account.grant([inbox.id, 999], "ben@x.test", READ)
        assert await account.acls() == {}

    async def test_a_change_is_told_as_one_of_the_list(self, store: Store) -> None:
        account, inbox = await open_account(store)
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        await account.grant([inbox.id], "ben@x.test", READ)
        await account.grant([inbox.id], "ben@x.test", READ)
        await account.grant([inbox.id], "eve@x.test", NOTHING)
        end()
        assert [hint.mailbox for hint in hints] == [0]

    async def test_a_new_mailbox_takes_over_what_is_above_it(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.grant([0], "team", READ)
        await account.grant([inbox.id], "ben@x.test", READ)
        top = await account.create("work/new/deep")
        below = await account.create("INBOX/new")
        assert await account.acl(top.id) == {"team": right.READING}
        assert await account.acl((await named(account, "work/new")).id) == {"team": right.READING}
        assert await account.acl(below.id) == {"ben@x.test": right.READING}
        await account.grant([below.id], "ben@x.test", NOTHING)
        assert await account.acl(inbox.id) == {"ben@x.test": right.READING}

    async def test_an_acl_goes_along_when_its_mailbox_is_renamed_or_deleted(self, store: Store) -> None:
        account, _ = await open_account(store)
        made = await account.create("a/b")
        await account.grant([made.id], "ben@x.test", READ)
        await account.rename((await named(account, "a")).id, "c/a")
        assert await account.acl((await named(account, "c/a/b")).id) == {"ben@x.test": right.READING}
        await account.delete(made.id)
        assert await account.acls() == {}
        assert not await account.grant([], "ben@x.test", READ)

    async def test_renaming_below_itself_leaves_no_acl_behind(self, store: Store) -> None:
        account, _ = await open_account(store)
        await account.grant([0], "team", READ)
        made = await account.create("a")
        await account.rename(made.id, "a/b")
        boxes = {info.id for info in await account.mailboxes()}
        assert set(await account.acls()) <= boxes | {0}
        assert await account.acl(made.id) == {"team": right.READING}


class GroupContract:
    """group, groups, put_group, remove_group, groups_of, sharers, put_share, remove_share, shares."""

    async def test_groups(self, store: Store) -> None:
        directory = store.directory
        assert await directory.group("team@x.test") is None
        await directory.put_group(TEAM)
        assert await directory.group("team@x.test") == TEAM
        changed = replace(TEAM, members=("eve@x.test",), name="")
        await directory.put_group(changed)
        assert await directory.group("team@x.test") == changed
        await directory.put_group(GroupRow(address="all@y.test", members=(), created=0.0))
        assert [row.address for row in await directory.groups()] == ["all@y.test", "team@x.test"]
        assert await directory.groups("x.test") == [changed]
        await directory.remove_group("team@x.test")
        assert await directory.group("team@x.test") is None
        with pytest.raises(NotFound):
            await directory.remove_group("team@x.test")

    async def test_a_domain_with_groups_stays(self, store: Store) -> None:
        await store.directory.put_domain(DomainRow(name="x.test", created=1.0))
        await store.directory.put_group(TEAM)
        with pytest.raises(StoreError):
            await store.directory.remove_domain("x.test")
        await store.directory.remove_group(TEAM.address)
        await store.directory.remove_domain("x.test")

    async def test_members_of_members(self, store: Store) -> None:
        directory = store.directory
        await directory.put_group(TEAM)
        await directory.put_group(GroupRow(address="all@x.test", members=("team@x.test", "eve@x.test"), created=0.0))
        await directory.put_group(GroupRow(address="loop@x.test", members=("all@x.test",), created=0.0))
        assert await directory.groups_of("eve@x.test") == {"all@x.test", "loop@x.test"}
        await directory.put_group(replace(TEAM, members=(*TEAM.members, "loop@x.test")))
        every = {"team@x.test", "all@x.test", "loop@x.test"}
        assert await directory.groups_of("ann@x.test") == await directory.groups_of("eve@x.test") == every
        assert await directory.groups_of("nobody@x.test") == set()
        await directory.remove_group("all@x.test")
        assert await directory.groups_of("ann@x.test") == {"team@x.test"}
        group = await directory.group("loop@x.test")
        assert group is not None
        assert group.members == ()

    async def test_the_index_of_shares(self, store: Store) -> None:
        directory = store.directory
        for number, login in (("id1", "ann@x.test"), ("id2", "ben@x.test")):
            await directory.put_account(AccountRow(id=number, login=login, created=0.0))
        with pytest.raises(NotFound):
            await directory.put_share("id3", "anyone")
        assert await directory.sharers("anyone") == ()
        for number, identifier in (("id2", "anyone"), ("id1", "anyone"), ("id1", "-ben@x.test"), ("id1", "anyone")):
            await directory.put_share(number, identifier)
        assert await directory.sharers("anyone") == ("id1", "id2")
        assert await directory.shares("id1") == ("-ben@x.test", "anyone")
        await directory.remove_share("id1", "anyone")
        await directory.remove_share("id1", "anyone")
        assert await directory.sharers("anyone") == ("id2",)

    async def test_who_may_send_as_an_account(self, store: Store) -> None:
        directory = store.directory
        for number, login in (("id1", "ann@x.test"), ("id2", "ben@x.test")):
            await directory.put_account(AccountRow(id=number, login=login, created=0.0))
        await directory.put_group(TEAM)
        with pytest.raises(NotFound):
            await directory.put_delegate("id3", "ben@x.test", "as")
        assert await directory.delegates("id1") == {}
        for identifier, mode in (("ben@x.test", "as"), ("group:team@x.test", "as"), ("ben@x.test", "behalf")):
            await directory.put_delegate("id1", identifier, mode)
        assert await directory.delegates("id1") == {"ben@x.test": "behalf", "group:team@x.test": "as"}
        await directory.remove_group(TEAM.address)
        assert await directory.delegates("id1") == {"ben@x.test": "behalf"}
        await directory.remove_account("id2")
        assert await directory.delegates("id1") == {}
        await directory.put_delegate("id1", "eve@x.test", "as")
        await directory.remove_delegate("id1", "eve@x.test")
        with pytest.raises(NotFound):
            await directory.remove_delegate("id1", "eve@x.test")

    async def test_an_account_that_goes_takes_its_shares_and_memberships_along(self, store: Store) -> None:
        directory = store.directory
        await directory.put_account(AccountRow(id="id1", login="ann@x.test", created=0.0))
        await directory.put_group(TEAM)
        await directory.put_share("id1", "anyone")
        await directory.remove_account("id1")
        assert await directory.sharers("anyone") == ()
        group = await directory.group(TEAM.address)
        assert group is not None
        assert group.members == ("ben@x.test",)
