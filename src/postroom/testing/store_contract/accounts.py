"""The contract of messages: append, copy, move, expunge, reading, VANISHED, quota, sweeping, the maildrop lock."""

from __future__ import annotations

import asyncio

import pytest

from postroom.store.api import (
    DeliveredAlready,
    FlagChange,
    FlagOp,
    Hint,
    MessageGone,
    NewMessage,
    NotFound,
    Origin,
    OverQuota,
    Store,
    StoreError,
    Usage,
)
from postroom.testing.store_contract.build import SettableClock, message, named, open_account, rows, uids
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, SEEN

DAY = 86_400.0
LARGE = 200_000


class AccountContract:
    """What AccountStore promises about messages."""

    async def test_append_and_read_back(self, store: Store) -> None:
        account, inbox = await open_account(store)
        new = message(b"From: a\r\n\r\nhi\r\n", flags=SEEN, keywords=("k",))
        done = await account.append(inbox.id, [new])
        assert (done.uids, done.uidvalidity) == ((1,), inbox.uidvalidity)
        (row,) = rows(done.snapshot)
        assert (row.uid, row.flags, row.keywords, row.size, row.date) == (1, SEEN, {"k"}, 15, new.internaldate)
        (rendered,) = await account.rendered([row.message])
        for name in ("guid", "envelope", "structure", "bodystructure", "parts", "header", "internaldate"):
            assert getattr(rendered, name) == getattr(new, name)
        assert (rendered.size, rendered.message) == (15, row.message)
        other = (await account.append(inbox.id, [message(references=b"<a@b> <c@d>")])).snapshot
        assert await account.columns([row.message for row in rows(other)], "references") == [b"", b"<a@b> <c@d>"]
        assert (await account.content(row.message)).read() == b"From: a\r\n\r\nhi\r\n"
        assert await account.snapshot(inbox.id) is other

    async def test_a_save_date_says_when_a_message_came_into_its_mailbox(
        self, store: Store, clock: SettableClock
    ) -> None:
        account, inbox = await open_account(store)
        clock.time = 1_700_000_000.9
        await account.append(inbox.id, [message(internaldate=5)], delivery=("q1", "a@b.test"))
        clock.time += 10
        both = await account.append(inbox.id, [message(keywords=("k",)), message()])
        assert [row.saved for row in rows(both.snapshot)] == [1_700_000_000, 1_700_000_010, 1_700_000_010]
        clock.time += 10
        copied = await account.copy(inbox.id, [1, 2], inbox.id)
        assert [row.saved - 1_700_000_000 for row in rows(copied.target_snapshot)] == [0, 10, 10, 20, 20]
        clock.time += 10
        sent = await account.create("Sent")
        moved = await account.move(inbox.id, [3], sent.id)
        assert [row.saved - 1_700_000_000 for row in rows(moved.target_snapshot)] == [30]
        flagged = await account.store_flags(inbox.id, [1, 5], FlagChange(op=FlagOp.ADD, bits=SEEN))
        assert [row.saved - 1_700_000_000 for row in rows(flagged.snapshot)] == [0, 10, 20, 20]
        assert [row.date for row in rows(flagged.snapshot)][::2] == [5, 5]

    async def test_a_message_of_another_account_keeps_its_identifiers(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        kept = Origin("Mabc-1", 2**64 - 1)
        done = await account.append(inbox.id, [message(), message(origin=kept), message(origin=kept)])
        ids = [row.message for row in rows(done.snapshot)]
        assert await account.origins(ids) == {ids[1]: kept, ids[2]: kept}
        assert await account.origins([*ids[:1], 99]) == {}
        assert sorted(await account.originals("Mabc-1")) == ids[1:]
        assert await account.originals("Mabc-2") == []
        await account.expunge(inbox.id, [2], only_deleted=False)
        await store.sweep(clock.time + DAY, 0.0)
        assert await account.originals("Mabc-1") == ids[2:]

    async def test_counters_after_append(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(b"12345", flags=SEEN), message(b"123", flags=DELETED)])
        box = await named(account, "INBOX")
        assert (box.messages, box.unseen, box.deleted, box.size, box.uidnext) == (2, 1, 1, 8, 3)
        usage = await account.usage()
        assert (usage.octets, usage.messages) == (8, 2)

    async def test_multiappend_is_one_change(self, store: Store) -> None:
        account, inbox = await open_account(store)
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        done = await account.append(inbox.id, [message() for _ in range(700)])
        end()
        assert done.uids == tuple(range(1, 701))
        assert {row.modseq for row in rows(done.snapshot)} == {done.snapshot.modseq}
        assert hints == [Hint("acc1", inbox.id, done.snapshot.modseq)]

    async def test_appends_at_once_get_different_uids(self, store: Store) -> None:
        account, inbox = await open_account(store)
        done = await asyncio.gather(*(account.append(inbox.id, [message(), message()]) for _ in range(50)))
        given = [uid for result in done for uid in result.uids]
        assert sorted(given) == list(range(1, 101))
        for result in done:
            assert set(result.uids) <= set(uids(result.snapshot))
        assert uids(await account.snapshot(inbox.id)) == list(range(1, 101))

    async def test_large_content(self, store: Store) -> None:
        account, inbox = await open_account(store)
        octets = bytes(range(256)) * (LARGE // 256)
        spool = store.spool()
        spool.write(octets)
        content = (await spool.seal()).with_prefix(b"Received: here\r\n")
        done = await account.append(inbox.id, [message(content), message(b"y" * LARGE)])
        spool.close()
        one, two = rows(done.snapshot)
        kept = await account.content(one.message)
        assert kept.size == one.size == len(octets) + 16
        assert kept.read() == b"Received: here\r\n" + octets
        assert kept.read(10, 20) == (b"Received: here\r\n" + octets)[10:20]
        assert (await account.content(two.message)).read() == b"y" * LARGE

    async def test_delivery_is_idempotent(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message()], delivery=("q1", "a@b"))
        before = await account.snapshot(inbox.id)
        with pytest.raises(DeliveredAlready):
            await account.append(inbox.id, [message()], delivery=("q1", "a@b"))
        assert await account.snapshot(inbox.id) is before
        await account.append(inbox.id, [message()], delivery=("q1", "c@b"))
        both = [account.append(inbox.id, [message()], delivery=("q2", "a@b")) for _ in range(2)]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["AppendResult", "DeliveredAlready"]
        assert len(await account.snapshot(inbox.id)) == 3

    async def test_quota(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(b"x" * 60)], quota=100, delivery=("q", "r"))
        with pytest.raises(OverQuota):
            await account.append(inbox.id, [message(b"x" * 30), message(b"x" * 11)], quota=100, delivery=("q2", "r"))
        with pytest.raises(DeliveredAlready):  # it is in: a bounce would be a lie
            await account.append(inbox.id, [message(b"x" * 60)], quota=100, delivery=("q", "r"))
        await account.append(inbox.id, [message(b"x" * 40)], quota=100, delivery=("q2", "r"))
        with pytest.raises(OverQuota):
            await account.copy(inbox.id, [1], inbox.id, quota=100)
        await account.copy(inbox.id, [1], inbox.id, quota=160)
        assert (await account.usage()).octets == 160
        with pytest.raises(OverQuota):
            await account.append(inbox.id, [message(), message()], quota_messages=4, delivery=("q3", "r"))
        await account.append(inbox.id, [message()], quota_messages=4)
        with pytest.raises(OverQuota):
            await account.copy(inbox.id, [1, 2], inbox.id, quota_messages=5)
        with pytest.raises(DeliveredAlready):
            await account.append(inbox.id, [message()], quota_messages=4, delivery=("q", "r"))
        await account.copy(inbox.id, [9], inbox.id, quota_messages=4)  # nothing to copy
        assert (await account.copy(inbox.id, [1], inbox.id, quota_messages=5)).target == (5,)
        assert (await account.usage()).messages == 5

    async def test_replace(self, store: Store) -> None:
        """RFC 8508 3.4: one commit, and only the net of it counts."""
        account, inbox = await open_account(store)
        drafts = await account.create("Drafts")
        await account.append(inbox.id, [message(b"x" * 60), message(b"y" * 30)])
        before = (await account.snapshot(inbox.id)).modseq
        result = await account.append(
            inbox.id, [message(b"z" * 70)], quota=100, quota_messages=2, replaces=(inbox.id, 1)
        )
        assert result.uids == (3,)
        now = await account.snapshot(inbox.id)
        assert [uid for page in now.pages for uid in page.uids] == [2, 3]
        assert result.snapshot.modseq == now.modseq
        assert list(await account.vanished(inbox.id, before) or ()) == [1]
        assert await account.usage() == Usage(100, 2)
        with pytest.raises(OverQuota):
            await account.append(inbox.id, [message(b"z" * 71)], quota=100, replaces=(inbox.id, 3))
        with pytest.raises(MessageGone):
            await account.append(inbox.id, [message(b"z")], replaces=(inbox.id, 1))
        assert await account.usage() == Usage(100, 2)
        await account.append(drafts.id, [message(b"w")], replaces=(inbox.id, 2))
        assert len(await account.snapshot(inbox.id)) == len(await account.snapshot(drafts.id)) == 1

    async def test_columns_come_in_the_order_asked(self, store: Store) -> None:
        account, inbox = await open_account(store)
        new = [message() for _ in range(5)]
        ids = [row.message for row in rows((await account.append(inbox.id, new)).snapshot)]
        for column in ("envelope", "structure", "bodystructure", "parts"):
            assert await account.columns(ids, column) == [getattr(one, column) for one in new]
        asked = [ids[4], 999_999, ids[0], ids[0]]
        assert await account.columns(asked, "parts") == [new[4].parts, b"", new[0].parts, new[0].parts]
        assert [one.message for one in await account.rendered(asked)] == [ids[4], ids[0], ids[0]]
        assert await account.columns([], "parts") == []
        assert await account.columns(ids[2:3], "parts") == [new[2].parts]
        with pytest.raises(ValueError, match="guid"):
            await account.columns(ids, "guid")
        with pytest.raises(NotFound):
            await account.content(999_999)

    async def test_copy(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        await account.append(trash.id, [message(keywords=("other",))])
        await account.append(inbox.id, [message(flags=SEEN, keywords=("k",)), message(), message(b"third")])
        before = await account.snapshot(inbox.id)
        done = await account.copy(inbox.id, [1, 3, 77], trash.id)
        assert (done.source, done.target, done.uidvalidity) == ((1, 3), (2, 3), trash.uidvalidity)
        assert done.source_snapshot is before
        source, target = rows(before), rows(done.target_snapshot)[1:]
        for old, new in zip((source[0], source[2]), target, strict=True):
            assert (old.flags, old.keywords, old.message, old.date) == (new.flags, new.keywords, new.message, new.date)
            assert new.modseq == done.target_snapshot.modseq > before.modseq
        nothing = await account.copy(inbox.id, [77], trash.id)
        assert (nothing.source, nothing.target) == ((), ())
        with pytest.raises(NotFound):
            await account.copy(inbox.id, [1], 9999)

    async def test_copy_into_itself(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(), message()])
        done = await account.copy(inbox.id, [1, 2], inbox.id)
        assert (done.source, done.target) == ((1, 2), (3, 4))
        assert uids(done.target_snapshot) == [1, 2, 3, 4]

    async def test_move(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        first = await account.append(inbox.id, [message(flags=FLAGGED, keywords=("k",)) for _ in range(5)])
        done = await account.move(inbox.id, [2, 4, 9], trash.id)
        assert (done.source, done.target) == ((2, 4), (1, 2))
        assert uids(done.source_snapshot) == [1, 3, 5]
        assert [(row.flags, row.keywords) for row in rows(done.target_snapshot)] == [(FLAGGED, {"k"})] * 2
        assert list(await account.vanished(inbox.id, first.snapshot.modseq) or ()) == [2, 4]
        assert (await account.usage()).messages == 5
        nothing = await account.move(inbox.id, [2], trash.id)
        assert nothing.source == ()
        assert nothing.source_snapshot is done.source_snapshot

    async def test_move_within_a_mailbox_gives_new_uids(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(), message(), message()])
        done = await account.move(inbox.id, [1, 3], inbox.id)
        assert (done.source, done.target) == ((1, 3), (4, 5))
        assert uids(done.source_snapshot) == uids(done.target_snapshot) == [2, 4, 5]

    async def test_expunge(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(flags=DELETED * (number % 2)) for number in range(6)])
        assert (await account.expunge(inbox.id, [1, 2])).uids == (2,)
        done = await account.expunge(inbox.id, None)
        assert (done.uids, uids(done.snapshot)) == ((4, 6), [1, 3, 5])
        again = await account.expunge(inbox.id, None)
        assert again.uids == ()
        assert again.snapshot is done.snapshot
        assert (await account.expunge(inbox.id, [1, 99], only_deleted=False)).uids == (1,)
        with pytest.raises(ValueError, match="UIDs"):
            await account.expunge(inbox.id, None, only_deleted=False)
        box = await named(account, "INBOX")
        assert (box.messages, box.unseen, box.deleted) == (2, 2, 0)

    async def test_uids_are_never_reused(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(), message()])
        await account.expunge(inbox.id, [1, 2], only_deleted=False)
        done = await account.append(inbox.id, [message()])
        assert done.uids == (3,)
        assert (await named(account, "INBOX")).uidnext == 4

    async def test_vanished(self, store: Store) -> None:
        account, inbox = await open_account(store)
        start = (await account.append(inbox.id, [message() for _ in range(10)])).snapshot.modseq
        middle = (await account.expunge(inbox.id, [8, 9, 2], only_deleted=False)).snapshot.modseq
        await account.expunge(inbox.id, [1, 3], only_deleted=False)
        assert list(await account.vanished(inbox.id, start) or ()) == [1, 2, 3, 8, 9]
        assert list(await account.vanished(inbox.id, middle) or ()) == [1, 3]
        assert list(await account.vanished(inbox.id, middle + 1) or ()) == []
        assert list(await account.vanished(inbox.id, 0) or ()) == [1, 2, 3, 8, 9]

    async def test_expunged_messages_stay_until_swept(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        done = await account.append(inbox.id, [message(b"one"), message(b"z" * LARGE), message(b"three")])
        ids = [row.message for row in rows(done.snapshot)]
        await account.copy(inbox.id, [3], inbox.id)
        await account.expunge(inbox.id, [1, 2, 3], only_deleted=False)
        clock.time += DAY
        assert await store.sweep(clock.time, 2 * DAY) == 0
        assert (await account.content(ids[1])).size == LARGE
        clock.time += 2 * DAY
        assert await store.sweep(clock.time, 2 * DAY) == 2
        for gone in ids[:2]:
            with pytest.raises(NotFound):
                await account.content(gone)
        assert (await account.content(ids[2])).read() == b"three"
        assert list(await account.vanished(inbox.id, done.snapshot.modseq) or ()) == [1, 2, 3]
        assert await store.sweep(clock.time, 2 * DAY) == 0
        await account.expunge(inbox.id, [4], only_deleted=False)
        assert await store.sweep(clock.time + DAY, 0.0) == 1

    async def test_message_ids_are_never_reused(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        (old,) = rows((await account.append(inbox.id, [message()])).snapshot)
        await account.expunge(inbox.id, [1], only_deleted=False)
        await store.sweep(clock.time + DAY, 0.0)
        (new,) = rows((await account.append(inbox.id, [message()])).snapshot)
        assert new.message > old.message

    async def test_snapshots_share_pages_that_did_not_change(self, store: Store) -> None:
        account, inbox = await open_account(store)
        before = (await account.append(inbox.id, [message() for _ in range(1500)])).snapshot
        after = (await account.store_flags(inbox.id, [1500], FlagChange(op=FlagOp.ADD, bits=SEEN))).snapshot
        assert len(before) == len(after) == 1500
        assert before.pages[0].flags == after.pages[0].flags
        assert rows(before)[-1].flags == 0  # the old one is as it was

    async def test_everything_about_a_mailbox_that_is_not_there(self, store: Store) -> None:
        account, inbox = await open_account(store)
        calls = [
            account.snapshot(77),
            account.append(77, [message()]),
            account.store_flags(77, [1], FlagChange(op=FlagOp.ADD, bits=SEEN)),
            account.copy(77, [1], inbox.id),
            account.move(inbox.id, [1], 77),
            account.expunge(77, None),
            account.vanished(77, 0),
        ]
        for call in calls:
            with pytest.raises(NotFound):
                await call

    async def test_modseq_grows_over_the_whole_account(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        done = [await account.append(box, [message()]) for box in (inbox.id, trash.id, inbox.id)]
        seen = [result.snapshot.modseq for result in done]
        assert seen == sorted(set(seen))

    async def test_pop3_lock(self, store: Store) -> None:
        account, _ = await open_account(store)
        assert await account.pop3_lock("one", 100.0, 60.0)
        assert await account.pop3_lock("one", 110.0, 60.0)
        assert not await account.pop3_lock("two", 150.0, 60.0)
        await account.pop3_unlock("two")
        assert not await account.pop3_lock("two", 169.0, 60.0)
        assert await account.pop3_lock("two", 171.0, 60.0)
        await account.pop3_unlock("two")
        assert await account.pop3_lock("one", 172.0, 60.0)

    async def test_recent(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        assert await account.recent(inbox.id, 1, claim=True) <= 1
        assert await account.recent(inbox.id, 5, claim=False) == 1
        assert await account.recent(inbox.id, 5, claim=True) == 1
        assert await account.recent(inbox.id, 9, claim=True) == 5
        assert await account.recent(inbox.id, 9, claim=True) == 9
        assert await account.recent(inbox.id, 4, claim=True) == 4  # an older view of the mailbox
        assert await account.recent(inbox.id, 2**32, claim=True) == 9
        assert await account.recent(inbox.id, 2**32, claim=True) >= 2**32 - 1
        assert await account.recent(trash.id, 9, claim=True) <= 1

    async def test_a_failing_request_fails_alone(self, store: Store) -> None:
        account, inbox = await open_account(store)
        calls = [account.append(inbox.id, [message(), *_broken(number % 5 == 3)]) for number in range(20)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        failed = [number for number, result in enumerate(results) if isinstance(result, BaseException)]
        assert failed == [3, 8, 13, 18]
        assert len(await account.snapshot(inbox.id)) == 16

    async def test_two_accounts_do_not_meet(self, store: Store) -> None:
        one, inbox = await open_account(store, "acc1")
        two, other = await open_account(store, "acc2")
        await one.append(inbox.id, [message(b"mine")])
        assert len(await two.snapshot(other.id)) == 0
        with pytest.raises(StoreError):
            await two.content(rows(await one.snapshot(inbox.id))[0].message)


def _broken(bad: bool) -> list[NewMessage]:
    """A message whose content cannot be read when it comes to it."""
    return [message(Content(size=100_000, path="/nonexistent/file"))] if bad else []
