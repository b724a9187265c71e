"""The contract of what was: departures, lives, bringing messages back and undoing that."""

from __future__ import annotations

import pytest

from postroom.store.api import (
    AccountStore,
    Departure,
    FlagChange,
    FlagOp,
    NotFound,
    OverQuota,
    Placing,
    Source,
    Store,
    TooManyKeywords,
)
from postroom.testing.store_contract.build import SettableClock, message, named, open_account, rows, uids
from postroom.values.flags import ANSWERED, DELETED, FLAGGED, SEEN

DAY = 86_400.0


async def departed(account: AccountStore, mailbox: int | None = None) -> list[Departure]:
    """What was expunged."""
    return [one for one in await account.departures(mailbox) if not one.moved]


def source(departure: Departure) -> Source:
    """All of a departure."""
    return Source(departure.page.uids, departure=departure.modseq)


class PastContract:
    """departures, lives, restore, restores, undo_restore."""

    async def test_what_is_expunged_is_told_as_it_was(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(b"one"), message(b"two", keywords=("Blue",)), message(b"three")])
        await account.store_flags(inbox.id, [2, 3], FlagChange(op=FlagOp.ADD, bits=DELETED | FLAGGED))
        before = rows(await account.snapshot(inbox.id))
        clock.time += 10
        gone = await account.expunge(inbox.id, None)
        [one] = await account.departures()
        assert (one.mailbox, one.time, one.moved, one.modseq) == (inbox.id, clock.time, False, gone.snapshot.modseq)
        assert list(one.page.uids) == [2, 3]
        assert list(one.page.flags) == [row.flags for row in before[1:]]
        assert list(one.page.messages) == [row.message for row in before[1:]]
        assert list(one.page.dates) == [row.date for row in before[1:]]
        assert list(one.page.sizes) == [3, 5]
        assert one.back == b"\0\0"
        [life] = [life for life in await account.lives() if life.id == inbox.id]
        assert [bits for bits in one.page.keywords if bits] == [1 << life.keywords.index("Blue")]
        assert [one.modseq for one in await account.departures(inbox.id)] == [one.modseq]
        assert await account.departures(999) == []
        assert await account.deleted_in() == {inbox.id}

    async def test_a_number_never_means_two_messages(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        other = await account.create("x")
        seen: set[int] = set()
        for mailbox in (inbox.id, other.id, inbox.id):
            await account.append(mailbox, [message(), message(), message()])
            first = uids(await account.snapshot(mailbox))
            await account.expunge(mailbox, first[1:], only_deleted=False)
            await account.move(mailbox, first[:1], (await named(account, "Trash")).id)
            [*_, last] = await departed(account)
            assert await account.next_number() == last.number + 2
            numbers = {last.number, last.number + 1}
            assert not numbers & seen
            assert min(numbers) > max(seen, default=0)
            seen |= numbers
            clock.time += 10 * DAY
            await account.delete((await account.create("empty")).id)
            before = await account.next_number()
            await store.sweep(clock.time, DAY)
            assert await account.departures() == []
            assert await account.next_number() == before

    async def test_moves_are_told_too_and_hold_nothing(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        await account.append(inbox.id, [message(b"one"), message(b"two")])
        await account.move(inbox.id, [2], trash.id)
        [one] = await account.departures()
        assert (one.moved, one.mailbox, list(one.page.uids)) == (True, inbox.id, [2])
        clock.time += DAY
        await account.expunge(trash.id, [1], only_deleted=False)
        assert len(await account.departures()) == 2
        clock.time += DAY
        assert await store.sweep(clock.time, 1.5 * DAY) == 0  # the move is forgotten, the message is still there
        [left] = await account.departures()
        assert (left.moved, left.mailbox) == (False, trash.id)
        assert (await account.content(left.page.messages[0])).read() == b"two"
        assert await store.sweep(clock.time, 0.5 * DAY) == 1
        assert await account.departures() == []

    async def test_lives(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        begin = clock.time
        clock.time += 10
        made = await account.create("a/b", "\\Archive")
        clock.time += 10
        await account.rename((await named(account, "a")).id, "z")
        clock.time += 10
        await account.append(made.id, [message(keywords=("Green",))])
        await account.rename(made.id, "c")
        clock.time += 10
        await account.delete(made.id)
        [life] = [life for life in await account.lives() if life.id == made.id]
        assert (life.name, life.special_use, life.uidvalidity) == ("c", "\\Archive", made.uidvalidity)
        assert (life.created, life.deleted, life.keywords) == (begin + 10, begin + 40, ("Green",))
        times = (begin, begin + 10, begin + 19, begin + 20, begin + 30, begin + 39, begin + 40)
        assert [life.name_at(time) for time in times] == [None, "a/b", "a/b", "z/b", "c", "c", None]
        [first] = [life for life in await account.lives() if life.id == inbox.id]
        assert (first.name, first.created, first.deleted, first.before) == ("INBOX", begin, 0, ())
        clock.time += DAY
        await store.sweep(clock.time, 0.5 * DAY)
        assert made.id not in {life.id for life in await account.lives()}
        assert [life.before for life in await account.lives()] == [(), (), ()]

    async def test_restore_puts_back_what_was(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        await account.append(
            inbox.id, [message(b"one", keywords=("Blue",), flags=SEEN), message(b"two"), message(b"3")]
        )
        was = rows(await account.snapshot(inbox.id))
        await account.store_flags(inbox.id, [1, 3], FlagChange(op=FlagOp.ADD, bits=DELETED))
        await account.expunge(inbox.id, None)
        clock.time += DAY
        [gone] = await account.departures()
        done = await account.restore([Placing(target="INBOX", sources=[source(gone)])])
        [placed] = done.placed
        assert (placed.mailbox, placed.name, placed.made) == (inbox.id, "INBOX", ())
        assert (placed.uids, placed.places, placed.uidvalidity) == ((4, 5), (0, 1), inbox.uidvalidity)
        now = rows(await account.snapshot(inbox.id))
        assert [row.uid for row in now] == [2, 4, 5]
        for old, new in ((was[0], now[1]), (was[2], now[2])):
            assert (old.flags, old.keywords, old.message, old.size, old.date) == (
                new.flags, new.keywords, new.message, new.size, new.date,
            )  # fmt: skip
        assert (await account.usage()).messages == 3
        assert (await named(account, "INBOX")).messages == 3
        assert (await account.departures())[0].back == b"\1\1"
        assert await account.deleted_in() == frozenset()
        assert list(await account.vanished(inbox.id, 0) or ()) == [1, 3]
        await store.sweep(clock.time + 100 * DAY, DAY)
        assert [(await account.content(row.message)).read() for row in now] == [b"two", b"one", b"3"]

    async def test_restore_after_the_mailbox_was_deleted(self, store: Store, clock: SettableClock) -> None:
        account, _ = await open_account(store)
        made = await account.create("a/b")
        await account.append(made.id, [message(b"one", keywords=("Blue", "red")), message(b"two", flags=ANSWERED)])
        await account.expunge(made.id, [1], only_deleted=False)
        await account.delete(made.id)
        await account.delete((await named(account, "a")).id)
        first, second = await departed(account, made.id)
        done = await account.restore(
            [Placing(target="a/b", sources=[source(first), source(second)], special_use="\\Archive")]
        )
        box = await named(account, "a/b")
        assert done.placed[0].made == ((await named(account, "a")).id, box.id)
        assert (box.special_use, box.messages) == ("\\Archive", 2)
        assert box.uidvalidity > made.uidvalidity
        one, two = rows(await account.snapshot(box.id))
        assert (one.keywords, two.keywords) == ({"Blue", "red"}, frozenset())
        assert (one.flags, two.flags) == (0, ANSWERED)
        undone = await account.undo_restore(done.id)
        assert (undone.messages, undone.mailboxes) == (2, ("a/b", "a"))
        assert await account.mailbox("a") is None
        last = (await departed(account, box.id))[-1]
        assert [(await account.content(number)).read() for number in last.page.messages] == [b"one", b"two"]
        with pytest.raises(NotFound):
            await account.undo_restore(done.id)

    async def test_undo_takes_only_what_is_still_there(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        await account.append(inbox.id, [message(b"1"), message(b"2"), message(b"3")])
        await account.expunge(inbox.id, [1, 2, 3], only_deleted=False)
        [one] = await account.departures()
        done = await account.restore([Placing(target="back", sources=[source(one)])])
        assert [restored.id for restored in await account.restores()] == [done.id]
        assert await account.restores() == [done]
        back = await named(account, "back")
        await account.move(back.id, [2], trash.id)
        await account.append(back.id, [message(b"new")])
        undone = await account.undo_restore(done.id)
        assert (undone.messages, undone.mailboxes) == (2, ())
        assert [(await account.content(row.message)).read() for row in rows(await account.snapshot(back.id))] == [
            b"new"
        ]
        assert uids(await account.snapshot(trash.id)) == [1]
        assert await account.restores() == []

    async def test_from_several_places_in_the_order_asked(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        await account.append(inbox.id, [message(b"%d" % number) for number in range(1, 7)])
        await account.expunge(inbox.id, [1, 4], only_deleted=False)
        await account.move(inbox.id, [2, 5], trash.id)
        expunged, moved = await account.departures()
        sources = [
            Source([4, 77, 1], departure=expunged.modseq),
            Source([3, 99, 6], mailbox=inbox.id),
            Source([5], departure=moved.modseq),
            Source([1], departure=123456),
        ]
        done = await account.restore([Placing(target="all", sources=sources)])
        box = await named(account, "all")
        found = [(await account.content(row.message)).read() for row in rows(await account.snapshot(box.id))]
        assert found == [b"4", b"1", b"3", b"6", b"5"]
        assert done.placed[0].places == (0, 2, 3, 5, 6)
        assert uids(await account.snapshot(inbox.id)) == [3, 6]
        assert uids(await account.snapshot(trash.id)) == [1, 2]
        assert [one.back for one in await account.departures()] == [b"\1\1", b"\0\0"]
        again = await account.restore([Placing(target="all", sources=sources[:1])])
        assert again.placed[0].uids == (6, 7)  # asking twice is the caller's will

    async def test_the_same_message_twice(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(b"x")])
        await account.copy(inbox.id, [1], inbox.id)
        await account.expunge(inbox.id, [1, 2], only_deleted=False)
        [one] = await account.departures()
        await account.restore([Placing(target="INBOX", sources=[source(one)])])
        clock.time += DAY
        await store.sweep(clock.time, 0)
        assert len(rows(await account.snapshot(inbox.id))) == 2
        await account.expunge(inbox.id, [3], only_deleted=False)
        clock.time += DAY
        assert await store.sweep(clock.time, 0) == 0
        await account.expunge(inbox.id, [4], only_deleted=False)
        clock.time += DAY
        assert await store.sweep(clock.time, 0) == 1

    async def test_what_cannot_be_restored_changes_nothing(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(b"12345", keywords=tuple(f"k{number}" for number in range(40)))])
        other = await account.create("other")
        await account.append(other.id, [message(keywords=tuple(f"o{number}" for number in range(40)))])
        await account.expunge(inbox.id, [1], only_deleted=False)
        [one] = await account.departures()
        before = await account.mailboxes()
        with pytest.raises(OverQuota):
            await account.restore([Placing(target="new", sources=[source(one)])], quota_messages=1)
        with pytest.raises(OverQuota):
            await account.restore([Placing(target="new", sources=[source(one)])], quota=4)
        with pytest.raises(TooManyKeywords):
            await account.restore(
                [Placing(target="new", sources=[source(one)]), Placing(target="other", sources=[source(one)])]
            )
        with pytest.raises(NotFound):
            await account.restore([Placing(target="new", sources=[Source([1], mailbox=999)])])
        assert await account.mailboxes() == before
        assert (await account.departures())[0].back == b"\0"
        assert (await account.restore([Placing(target="new", sources=[Source([9], departure=one.modseq)])])).id == 0
        assert await account.mailboxes() == before
        done = await account.restore([Placing(target="empty", sources=[])])
        assert (await named(account, "empty")).id == done.placed[0].mailbox
