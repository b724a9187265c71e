"""The contract of accounts and the list of mailboxes."""

from __future__ import annotations

import pytest

from postroom.store.api import Hint, MailboxExists, MailboxHasChildren, NotFound, Store
from postroom.testing.store_contract.build import SettableClock, message, named, open_account, rows


class FolderContract:
    """create, rename, delete, subscribe, create_account, remove_account."""

    async def test_new_account_has_the_mailboxes_asked_for(self, store: Store) -> None:
        account, inbox = await open_account(store)
        assert [(box.name, box.special_use) for box in await account.mailboxes()] == [
            ("INBOX", ""),
            ("Trash", "\\Trash"),
        ]
        assert (inbox.uidnext, inbox.messages) == (1, 0)
        assert await account.subscriptions() == {"INBOX", "Trash"}
        assert account.id == "acc1"

    async def test_creating_an_account_again_changes_nothing(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message()])
        await store.create_account("acc1", [("INBOX", ""), ("Sent", "\\Sent")])
        assert (await named(account, "INBOX")).messages == 1
        assert (await named(account, "Sent")).special_use == "\\Sent"

    async def test_unknown_account(self, store: Store) -> None:
        for name in ("nobody", "../escape", ""):
            with pytest.raises(NotFound):
                await store.account(name)

    async def test_removed_account_is_gone_and_can_be_made_anew(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message()])
        await store.remove_account("acc1")
        with pytest.raises(NotFound):
            await store.account("acc1")
        await store.remove_account("acc1")
        account, inbox = await open_account(store)
        assert inbox.messages == 0

    async def test_create_makes_parents_and_hints(self, store: Store) -> None:
        account, _ = await open_account(store)
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        made = await account.create("a/b/c", "\\Archive")
        end()
        assert [box.name for box in await account.mailboxes()] == ["INBOX", "Trash", "a", "a/b", "a/b/c"]
        assert made == await account.mailbox("a/b/c")
        assert made.special_use == "\\Archive"
        assert 0 in {hint.mailbox for hint in hints}
        with pytest.raises(MailboxExists):
            await account.create("a/b")
        assert await account.mailbox("A") is None

    async def test_uidvalidity_is_new_for_every_mailbox_even_of_the_same_name(self, store: Store) -> None:
        account, _ = await open_account(store)
        seen = {box.uidvalidity for box in await account.mailboxes()}
        for _ in range(3):
            made = await account.create("x")
            assert made.uidvalidity > max(seen)
            seen.add(made.uidvalidity)
            await account.delete(made.id)

    async def test_uidvalidity_follows_time(self, store: Store, clock: SettableClock) -> None:
        account, _ = await open_account(store)
        clock.time += 1_000_000
        assert (await account.create("x")).uidvalidity >= int(clock.time)

    async def test_rename_takes_everything_below_and_keeps_identity(self, store: Store) -> None:
        account, _ = await open_account(store)
        await account.create("a/b%_")
        before = await named(account, "a")
        await account.append(before.id, [message()])
        await account.rename(before.id, "new/name")
        names = [box.name for box in await account.mailboxes()]
        assert names == ["INBOX", "Trash", "new", "new/name", "new/name/b%_"]
        after = await named(account, "new/name")
        assert (after.id, after.uidvalidity, after.messages) == (before.id, before.uidvalidity, 1)
        with pytest.raises(NotFound):
            await account.rename(9999, "y")

    async def test_rename_below_itself(self, store: Store) -> None:
        account, _ = await open_account(store)
        await account.create("a/x")
        await account.rename((await named(account, "a")).id, "a/y")
        assert [box.name for box in await account.mailboxes()] == ["INBOX", "Trash", "a", "a/y", "a/y/x"]

    async def test_rename_to_a_taken_name_changes_nothing(self, store: Store) -> None:
        account, _ = await open_account(store)
        await account.create("a/x")
        await account.create("b/x")
        before = await account.mailboxes()
        for name in ("b", "INBOX", "a"):
            with pytest.raises(MailboxExists):
                await account.rename((await named(account, "a")).id, name)
        assert await account.mailboxes() == before

    async def test_similar_names_are_not_children(self, store: Store) -> None:
        account, _ = await open_account(store)
        made = await account.create("work")
        await account.create("workshop")
        await account.create("wor_/x")
        await account.rename(made.id, "job")
        assert await account.mailbox("workshop") is not None
        await account.delete(made.id)

    async def test_delete(self, store: Store) -> None:
        account, _ = await open_account(store)
        child = await account.create("a/b")
        parent = await named(account, "a")
        await account.append(child.id, [message(b"kept")])
        octets = rows(await account.snapshot(child.id))[0].message
        with pytest.raises(MailboxHasChildren):
            await account.delete(parent.id)
        await account.delete(child.id)
        await account.delete(parent.id)
        assert await account.mailbox("a") is None
        assert (await account.content(octets)).read() == b"kept"  # recoverable until swept
        for call in (account.snapshot(child.id), account.delete(child.id), account.vanished(child.id, 0)):
            with pytest.raises(NotFound):
                await call
        with pytest.raises(NotFound):
            await account.append(child.id, [message()])
        assert (await account.usage()).messages == 0

    async def test_subscribe(self, store: Store) -> None:
        account, _ = await open_account(store)
        await account.subscribe("Trash", False)
        assert await account.subscriptions() == {"INBOX"}
        await account.subscribe("Trash", True)
        await account.create("a/b")  # to subscribe is the client's choice: RFC 9051 6.3.7
        assert await account.subscriptions() == {"INBOX", "Trash"}
        for name in ("nowhere", "Users/ben@example.org/Plan", "nowhere"):
            await account.subscribe(name, True)
        await account.subscribe("neither", False)
        assert await account.subscriptions() == {"INBOX", "Trash", "nowhere", "Users/ben@example.org/Plan"}

    async def test_what_is_not_wanted_is_remembered(self, store: Store) -> None:
        account, _ = await open_account(store)
        name = "Shared/support@example.org/INBOX"
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        await account.subscribe(name, False, remember=True)
        await account.subscribe(name, False, remember=True)
        assert await account.refusals() == {name}
        assert len(hints) == 1
        await account.subscribe("Trash", False, remember=True)
        assert await account.refusals() == {name, "Trash"}
        assert await account.subscriptions() == {"INBOX"}
        for wanted in (name, "Trash"):
            await account.subscribe(wanted, True)
        assert await account.refusals() == frozenset()
        assert await account.subscriptions() == {"INBOX", "Trash", name}
        await account.subscribe(name, False, remember=True)
        await account.subscribe(name, False)
        assert await account.refusals() == frozenset()
        end()

    async def test_subscribing_hints_when_it_changes_something(self, store: Store) -> None:
        account, _ = await open_account(store)
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        await account.subscribe("x", True)
        await account.subscribe("x", False)
        assert [hint.mailbox for hint in hints] == [0, 0]
        assert hints[0].modseq < hints[1].modseq
        hints.clear()
        await account.subscribe("x", False)
        await account.subscribe("INBOX", True)
        end()
        assert hints == []

    async def test_a_deleted_mailbox_stays_subscribed(self, store: Store) -> None:
        """RFC 3501 6.3.6, RFC 9051 6.3.7."""
        account, _ = await open_account(store)
        made = await account.create("a")
        await account.subscribe("a", True)
        await account.delete(made.id)
        assert "a" in await account.subscriptions()
        await account.create("a")
        assert "a" in await account.subscriptions()

    async def test_a_renamed_mailbox_is_subscribed_under_its_new_name(self, store: Store) -> None:
        account, _ = await open_account(store)
        await account.create("a/b")
        await account.create("a/c")
        for name in ("a", "a/b", "a/gone"):
            await account.subscribe(name, True)
        await account.rename((await named(account, "a")).id, "a/b")
        assert await account.subscriptions() == {"INBOX", "Trash", "a/b", "a/b/b", "a/gone"}

    async def test_names_are_kept_as_given(self, store: Store) -> None:
        account, _ = await open_account(store)
        for name in ("Grüße", "日本/語", "with space", "a%b*c", "quote\"'"):
            await account.create(name)
            assert (await named(account, name)).name == name
