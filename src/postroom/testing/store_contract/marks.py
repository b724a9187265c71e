"""The contract of marks: what readers have seen where \\Seen is everybody's own."""

from __future__ import annotations

import pytest

from postroom.store.api import CHUNK_BITS, FlagChange, FlagOp, Hint, Marks, NotFound, SeenMode, Store
from postroom.testing.store_contract.build import message, named, open_account, rows
from postroom.values.flags import FLAGGED

CHUNK = 1 << CHUNK_BITS


def seen(marks: Marks) -> dict[int, bool]:
    """What is marked, by UID."""
    return {uid: bool(value & 1) for uid, value in pairs(marks).items()}


def pairs(marks: Marks) -> dict[int, int]:
    """UIDs and values of all chunks."""
    found: dict[int, int] = {}
    for number, chunk in marks.chunks.items():
        assert list(chunk.uids) == sorted(chunk.uids)
        assert all(uid >> CHUNK_BITS == number for uid in chunk.uids)
        found.update(zip(chunk.uids, chunk.values, strict=True))
    return found


class MarkContract:
    """MarkStore."""

    async def test_nobody_has_seen_anything_at_first(self, store: Store) -> None:
        account, inbox = await open_account(store)
        marks = await account.marks.read(inbox.id, "ben")
        assert (marks.modseq, marks.mode, dict(marks.chunks)) == (inbox.modseq, SeenMode.DEFAULT, {})
        for call in (account.marks.read(999, "ben"), account.marks.mark(999, "ben", [1], True)):
            with pytest.raises(NotFound):
                await call
        with pytest.raises(NotFound):
            await account.marks.set_mode(999, SeenMode.PRIVATE)

    async def test_marks_are_each_readers_own_and_leave_the_mailbox_alone(self, store: Store) -> None:
        account, inbox = await open_account(store)
        before = (await account.append(inbox.id, [message(), message(), message()])).snapshot
        done = await account.marks.mark(inbox.id, "ben", [1, 3], True)
        assert (done.changed, done.modified, done.missing) == ((1, 3), (), ())
        assert rows(done.snapshot) == rows(before)
        assert done.snapshot.modseq > before.modseq
        assert seen(await account.marks.read(inbox.id, "ben")) == {1: True, 3: True}
        assert seen(await account.marks.read(inbox.id, "eve")) == {}
        await account.marks.mark(inbox.id, "ben", [1, 2], False)
        assert seen(await account.marks.read(inbox.id, "ben")) == {1: False, 3: True}
        assert (await named(account, "INBOX")).unseen == 3

    async def test_every_mark_takes_a_modseq_that_is_told(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(), message()])
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        first = await account.marks.mark(inbox.id, "ben", [1], True)
        again = await account.marks.mark(inbox.id, "ben", [1], True)
        second = await account.marks.mark(inbox.id, "ben", [1, 2], True)
        end()
        assert (again.changed, again.snapshot.modseq) == ((), first.snapshot.modseq)
        assert second.changed == (2,)
        marks = pairs(await account.marks.read(inbox.id, "ben"))
        assert [marks[1] >> 1, marks[2] >> 1] == [first.snapshot.modseq, second.snapshot.modseq]
        assert [(hint.mailbox, hint.modseq) for hint in hints] == [
            (inbox.id, first.snapshot.modseq),
            (inbox.id, second.snapshot.modseq),
        ]
        assert (await account.append(inbox.id, [message()])).snapshot.modseq > second.snapshot.modseq

    async def test_unchanged_since_counts_messages_and_marks(self, store: Store) -> None:
        account, inbox = await open_account(store)
        start = (await account.append(inbox.id, [message(), message(), message()])).snapshot.modseq
        await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.ADD, bits=FLAGGED))
        await account.marks.mark(inbox.id, "ben", [2], True)
        done = await account.marks.mark(inbox.id, "ben", [1, 2, 3, 9], True, unchanged_since=start)
        assert (done.changed, done.modified, done.missing) == ((3,), (1, 2), (9,))
        other = await account.marks.mark(inbox.id, "eve", [1, 2, 3], True, unchanged_since=start)
        assert (other.changed, other.modified) == ((2, 3), (1,))

    async def test_what_did_not_change_is_the_same_object(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message() for _ in range(CHUNK + 5)])
        await account.marks.mark(inbox.id, "ben", [1, CHUNK + 1], True)
        first = await account.marks.read(inbox.id, "ben")
        assert set(first.chunks) == {0, 1}
        await account.marks.mark(inbox.id, "ben", [CHUNK + 2], True)
        await account.marks.mark(inbox.id, "eve", [3], True)
        second = await account.marks.read(inbox.id, "ben", first)
        assert seen(second) == {1: True, CHUNK + 1: True, CHUNK + 2: True}
        assert pairs(second) == pairs(await account.marks.read(inbox.id, "ben"))

    async def test_marks_go_with_their_messages(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(), message(), message()])
        await account.marks.mark(inbox.id, "ben", [1, 2], True)
        await account.expunge(inbox.id, [1], only_deleted=False)
        await account.marks.mark(inbox.id, "ben", [3], True)
        assert {uid: value for uid, value in seen(await account.marks.read(inbox.id, "ben")).items() if uid > 1} == {
            2: True,
            3: True,
        }
        trash = await named(account, "Trash")
        await account.append(trash.id, [message()])
        await account.marks.mark(trash.id, "ben", [1], True)
        await account.delete(trash.id)
        with pytest.raises(NotFound):
            await account.marks.read(trash.id, "ben")

    async def test_a_change_of_the_mode_is_a_change_of_all_messages(self, store: Store) -> None:
        account, inbox = await open_account(store)
        before = (await account.append(inbox.id, [message() for _ in range(60)])).snapshot
        known = await account.marks.read(inbox.id, "ben")
        await account.marks.set_mode(inbox.id, SeenMode.PRIVATE)
        after = await account.snapshot(inbox.id)
        assert after.modseq > before.modseq
        assert {row.modseq for row in rows(after)} == {after.modseq}
        assert [row.uid for row in rows(after)] == list(range(1, 61))
        assert (await named(account, "INBOX")).seen is SeenMode.PRIVATE
        assert (await account.marks.read(inbox.id, "ben", known)).mode is SeenMode.PRIVATE
        await account.marks.set_mode(inbox.id, SeenMode.PRIVATE)
        assert (await account.snapshot(inbox.id)).modseq == after.modseq

    async def test_new_mailboxes_take_the_mode_of_what_is_above(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.marks.set_mode((await account.create("work")).id, SeenMode.SHARED)
        await account.marks.set_mode(inbox.id, SeenMode.PRIVATE)
        made = [await account.create(name) for name in ("work/a/b", "other", "INBOX/x")]
        assert [box.seen for box in made] == [SeenMode.SHARED, SeenMode.PRIVATE, SeenMode.PRIVATE]
