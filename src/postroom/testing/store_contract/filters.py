"""The contract of scripts, what they remember, and filing by them."""

from __future__ import annotations

import pytest

from postroom.store.api import (
    MOST_REMEMBERED,
    DeliveredAlready,
    Filing,
    NotFound,
    OverQuota,
    Remembered,
    ScriptActive,
    ScriptExists,
    ScriptLimits,
    Store,
    TooManyScripts,
)
from postroom.testing.store_contract.build import message, named, open_account, rows
from postroom.values.flags import FLAGGED, SEEN


class FilterContract:
    """account.filters."""

    async def test_put_get_list_activate(self, store: Store) -> None:
        account, _ = await open_account(store)
        filters = account.filters
        assert (await filters.filter()).active == "" and await filters.scripts() == []
        await filters.put_script("b", b"keep;")
        await filters.put_script("ä\U0001f4e7", b"discard;\r\n")
        await filters.put_script("b", b"stop;")
        assert [(one.name, one.size, one.active) for one in await filters.scripts()] == [
            ("b", 5, False),
            ("ä\U0001f4e7", 10, False),
        ]
        assert await filters.script("b") == b"stop;"
        await filters.activate_script("b")
        before = await filters.filter()
        assert before.active == "b" and [one.active for one in await filters.scripts()] == [True, False]
        await filters.put_script("b", b"keep;")
        after = await filters.filter()
        assert after.active == "b" and after.serial > before.serial
        await filters.activate_script("")
        assert (await filters.filter()).active == ""
        for missing in (filters.script("x"), filters.activate_script("x"), filters.remove_script("x")):
            with pytest.raises(NotFound):
                await missing

    async def test_rename_and_remove(self, store: Store) -> None:
        account, _ = await open_account(store)
        filters = account.filters
        await filters.put_script("a", b"keep;")
        await filters.put_script("b", b"stop;")
        await filters.activate_script("a")
        with pytest.raises(ScriptExists):
            await filters.rename_script("a", "b")
        with pytest.raises(NotFound):
            await filters.rename_script("x", "y")
        await filters.rename_script("a", "c")
        assert (await filters.filter()).active == "c" and await filters.script("c") == b"keep;"
        with pytest.raises(ScriptActive):
            await filters.remove_script("c")
        await filters.remove_script("b")
        assert [one.name for one in await filters.scripts()] == ["c"]

    async def test_script_limits(self, store: Store) -> None:
        account, _ = await open_account(store)
        filters, limits = account.filters, ScriptLimits(count=2, octets=10)
        await filters.put_script("a", b"12345", limits)
        await filters.put_script("b", b"1234", limits)
        with pytest.raises(TooManyScripts):
            await filters.put_script("c", b"", limits)
        with pytest.raises(OverQuota):
            await filters.put_script("b", b"123456", limits)
        await filters.put_script("b", b"12345", limits)
        assert await filters.script("b") == b"12345"

    async def test_what_is_remembered_ends(self, store: Store) -> None:
        account, _ = await open_account(store)
        filters = account.filters
        await filters.remember([Remembered(b"k", 100.0), Remembered(b"l", 200.0)])
        assert await filters.remembered(50.0) == {b"k", b"l"}
        assert await filters.remembered(100.0) == {b"l"}
        assert not await filters.claim(Remembered(b"k", 500.0), 99.0)
        assert await filters.claim(Remembered(b"k", 500.0), 100.0)
        assert not await filters.claim(Remembered(b"k", 900.0), 499.0)
        assert await filters.claim(Remembered(b"new", 900.0), 0.0)

    async def test_only_so_much_is_remembered(self, store: Store) -> None:
        account, _ = await open_account(store)
        keys = [Remembered(b"%06d" % number, 1000.0 + number) for number in range(MOST_REMEMBERED + 5)]
        await account.filters.remember(keys)
        held = await account.filters.remembered(0.0)
        assert len(held) == MOST_REMEMBERED and b"000004" not in held and b"000005" in held

    async def test_file_into_several_mailboxes(self, store: Store) -> None:
        account, inbox = await open_account(store)
        trash = await named(account, "Trash")
        new = message(b"Subject: a\r\n\r\nb\r\n")
        other = message(b"Subject: c\r\n\r\nd\r\n")
        filings = [Filing(inbox.id, new, SEEN, ("one",)), Filing(trash.id, new, FLAGGED), Filing(trash.id, other)]
        places = await account.filters.file(filings, delivery=("q1", "r"), home=inbox.id)
        assert places[0][1] == places[1][1] != places[2][1]
        kept, thrown = await account.snapshot(inbox.id), await account.snapshot(trash.id)
        assert [(row.flags, row.keywords) for row in rows(kept)] == [(SEEN, {"one"})]
        assert [(row.flags, row.keywords, row.uid) for row in rows(thrown)] == [
            (FLAGGED, frozenset(), places[1][0]),
            (0, frozenset(), places[2][0]),
        ]
        assert (await account.content(places[1][1])).read() == b"Subject: a\r\n\r\nb\r\n"
        usage = await account.usage()
        assert usage.messages == 3
        await account.expunge(inbox.id, [places[0][0]], only_deleted=False)
        await store.sweep(3e9, 0.0)
        assert (await account.content(places[1][1])).read() == b"Subject: a\r\n\r\nb\r\n"

    async def test_filing_is_done_once(self, store: Store) -> None:
        account, inbox = await open_account(store)
        seen = [Remembered(b"k", 1e12)]
        assert await account.filters.file([], delivery=("q1", "r"), home=inbox.id, remember=seen) == []
        assert await account.filters.remembered(0.0) == {b"k"}
        with pytest.raises(DeliveredAlready):
            await account.filters.file([Filing(inbox.id, message())], delivery=("q1", "r"), home=inbox.id)
        with pytest.raises(DeliveredAlready):
            await account.append(inbox.id, [message()], delivery=("q1", "r"))
        await account.append(inbox.id, [message()], delivery=("q2", "r"))
        with pytest.raises(DeliveredAlready):
            await account.filters.file([], delivery=("q2", "r"), home=inbox.id)
        assert (await account.usage()).messages == 1

    async def test_filing_is_all_or_nothing(self, store: Store) -> None:
        account, inbox = await open_account(store)
        new = message(b"x" * 100)
        with pytest.raises(OverQuota):
            await account.filters.file(
                [Filing(inbox.id, new), Filing(inbox.id, new)], delivery=("q", "r"), home=inbox.id, quota=(150, 0)
            )
        with pytest.raises(NotFound):
            await account.filters.file([Filing(inbox.id, new), Filing(9999, new)], delivery=("q", "r"), home=inbox.id)
        assert (await account.usage()).messages == 0
        await account.filters.file([Filing(inbox.id, new)], delivery=("q", "r"), home=inbox.id)
        assert (await account.usage()).messages == 1
