"""The contract of STORE: flags, keywords, UNCHANGEDSINCE, counters."""

from __future__ import annotations

import pytest

from postroom.store.api import FlagChange, FlagOp, Hint, Store, TooManyKeywords
from postroom.testing.store_contract.build import message, named, open_account, rows
from postroom.values.flags import DELETED, FLAGGED, POP3_HIDDEN, SEEN
from postroom.values.keywords import MOST, RESERVED


class FlagContract:
    """store_flags and what it does to snapshots, counters and MODSEQ."""

    async def test_add_remove_replace(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(flags=FLAGGED), message(), message(flags=SEEN)])
        done = await account.store_flags(inbox.id, [1, 2, 3], FlagChange(op=FlagOp.ADD, bits=SEEN))
        assert done.changed == (1, 2)
        assert [row.flags for row in rows(done.snapshot)] == [FLAGGED | SEEN, SEEN, SEEN]
        done = await account.store_flags(inbox.id, [1, 3], FlagChange(op=FlagOp.REMOVE, bits=SEEN))
        assert [row.flags for row in rows(done.snapshot)] == [FLAGGED, SEEN, 0]
        done = await account.store_flags(inbox.id, [1, 2, 3], FlagChange(op=FlagOp.REPLACE, bits=DELETED))
        assert [row.flags for row in rows(done.snapshot)] == [DELETED] * 3
        box = await named(account, "INBOX")
        assert (box.unseen, box.deleted, box.messages) == (3, 3, 3)

    async def test_only_what_differs_gets_a_new_modseq(self, store: Store) -> None:
        account, inbox = await open_account(store)
        first = (await account.append(inbox.id, [message(flags=SEEN), message()])).snapshot
        hints: list[Hint] = []
        end = store.feed.subscribe("acc1", hints.append)
        done = await account.store_flags(inbox.id, [1, 2], FlagChange(op=FlagOp.ADD, bits=SEEN))
        one, two = rows(done.snapshot)
        assert one.modseq == first.modseq < two.modseq == done.snapshot.modseq
        again = await account.store_flags(inbox.id, [1, 2], FlagChange(op=FlagOp.ADD, bits=SEEN))
        end()
        assert again.changed == ()
        assert again.snapshot is done.snapshot
        assert hints == [Hint("acc1", inbox.id, done.snapshot.modseq)]

    async def test_missing_uids_are_named(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message() for _ in range(5)])
        await account.expunge(inbox.id, [2, 4], only_deleted=False)
        asked = [1, 2, 3, 4, 5, 6, 4_294_967_295]
        done = await account.store_flags(inbox.id, asked, FlagChange(op=FlagOp.ADD, bits=SEEN))
        assert done.changed == (1, 3, 5)
        assert done.missing == (2, 4, 6, 4_294_967_295)

    async def test_unchangedsince(self, store: Store) -> None:
        account, inbox = await open_account(store)
        before = (await account.append(inbox.id, [message() for _ in range(4)])).snapshot.modseq
        await account.store_flags(inbox.id, [2, 3], FlagChange(op=FlagOp.ADD, bits=FLAGGED))
        change = FlagChange(op=FlagOp.ADD, bits=SEEN, unchanged_since=before)
        done = await account.store_flags(inbox.id, [1, 2, 3, 4], change)
        assert (done.changed, done.modified) == ((1, 4), (2, 3))
        zero = FlagChange(op=FlagOp.ADD, bits=DELETED, unchanged_since=0)
        assert (await account.store_flags(inbox.id, [1], zero)).modified == (1,)

    async def test_keywords(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(keywords=("$Junk", "Work")), message()])
        done = await account.store_flags(inbox.id, [1, 2], FlagChange(op=FlagOp.ADD, bits=0, keywords=("WORK", "x")))
        assert [row.keywords for row in rows(done.snapshot)] == [{"$Junk", "Work", "x"}, {"Work", "x"}]
        change = FlagChange(op=FlagOp.REMOVE, bits=0, keywords=("work", "unheard-of"))
        done = await account.store_flags(inbox.id, [1], change)
        assert [row.keywords for row in rows(done.snapshot)] == [{"$Junk", "x"}, {"Work", "x"}]
        assert "unheard-of" not in done.snapshot.keywords
        done = await account.store_flags(inbox.id, [1, 2], FlagChange(op=FlagOp.REPLACE, bits=SEEN, keywords=("x",)))
        assert [(row.flags, row.keywords) for row in rows(done.snapshot)] == [(SEEN, {"x"})] * 2
        done = await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.REPLACE, bits=SEEN))
        assert [row.keywords for row in rows(done.snapshot)] == [set(), {"x"}]
        assert done.snapshot.keywords == ("$Junk", "Work", "x")

    async def test_a_keyword_for_nobody_is_not_learned_wrongly(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message()])
        await account.store_flags(inbox.id, [99], FlagChange(op=FlagOp.ADD, bits=0, keywords=("ghost",)))
        done = await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.ADD, bits=0, keywords=("real",)))
        assert rows(done.snapshot)[0].keywords == {"real"}
        assert rows(await account.snapshot(inbox.id))[0].keywords == {"real"}

    async def test_there_are_too_many_keywords_but_always_room_for_some(self, store: Store) -> None:
        account, inbox = await open_account(store)
        names = tuple(f"k{number}" for number in range(MOST - len(RESERVED)))
        await account.append(inbox.id, [message(keywords=names)])
        before = await account.snapshot(inbox.id)
        with pytest.raises(TooManyKeywords):
            await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.ADD, bits=SEEN, keywords=("one-more",)))
        with pytest.raises(TooManyKeywords):
            await account.append(inbox.id, [message(), message(keywords=("one-more",))])
        assert await account.snapshot(inbox.id) is before
        assert rows(before)[0].keywords == set(names)
        trash = await named(account, "Trash")
        await account.append(trash.id, [message(keywords=("other",))])
        with pytest.raises(TooManyKeywords):
            await account.copy(trash.id, [1], inbox.id)
        done = await account.append(inbox.id, [message(keywords=RESERVED)])
        assert rows(done.snapshot)[1].keywords == set(RESERVED)
        assert len(done.snapshot.keywords) == MOST
        await account.store_flags(inbox.id, [1, 2], FlagChange(op=FlagOp.ADD, bits=0, keywords=("$JUNK", "K0")))

    async def test_replace_leaves_what_imap_cannot_see(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(flags=POP3_HIDDEN | SEEN)])
        done = await account.store_flags(inbox.id, [1], FlagChange(op=FlagOp.REPLACE, bits=FLAGGED))
        assert rows(done.snapshot)[0].flags == POP3_HIDDEN | FLAGGED

    async def test_bulk_over_many_pages(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message(flags=SEEN * (number % 2)) for number in range(1500)])
        done = await account.store_flags(inbox.id, range(1, 1501), FlagChange(op=FlagOp.ADD, bits=SEEN))
        assert done.changed == tuple(range(1, 1501, 2))
        assert (await named(account, "INBOX")).unseen == 0
        change = FlagChange(op=FlagOp.ADD, bits=DELETED, keywords=("z",))
        done = await account.store_flags(inbox.id, range(3, 1500, 7), change)
        assert done.changed == tuple(range(3, 1500, 7))
        marked = [row.uid for row in rows(done.snapshot) if row.flags & DELETED and "z" in row.keywords]
        assert marked == list(done.changed)
