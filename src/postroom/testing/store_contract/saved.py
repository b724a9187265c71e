"""The contract of saved searches: what they found keeps its UIDs, whoever looks."""

from __future__ import annotations

import pytest

from postroom.store.api import MOST_SAVED, NotFound, Store, TooManySearches
from postroom.testing.store_contract.build import SettableClock, open_account


class SavedContract:
    """What SearchStore promises."""

    async def test_searches_are_kept_and_forgotten(self, store: Store, clock: SettableClock) -> None:
        account, _ = await open_account(store)
        assert await account.saved.all() == []
        one = await account.saved.put("b", "is:unread")
        two = await account.saved.put("a", "from:ann")
        there = {each.name: each.query for each in await account.saved.all()}
        assert list(there.items()) == [("a", "from:ann"), ("b", "is:unread")]
        assert one.id != two.id
        assert one.uidvalidity != two.uidvalidity
        assert (one.uidnext, list(one.uids), list(one.messages)) == (1, [], [])
        await account.saved.remove("a")
        assert [each.name for each in await account.saved.all()] == ["b"]
        with pytest.raises(NotFound):
            await account.saved.remove("a")

    async def test_what_was_found_is_written_down_by_one(self, store: Store, clock: SettableClock) -> None:
        account, _ = await open_account(store)
        made = await account.saved.put("a", "x")
        first = await account.saved.found(made, [1, 2], [70, 50])
        assert first is not None
        assert (first.uidnext, list(first.uids), list(first.messages)) == (3, [1, 2], [70, 50])
        assert await account.saved.found(made, [1], [50]) is None, "somebody was quicker"
        second = await account.saved.found(first, [], [])
        assert second is not None
        assert (second.uidnext, list(second.uids)) == (3, [])
        [kept] = await account.saved.all()
        assert (kept.uidnext, kept.version) == (3, second.version)
        await account.saved.remove("a")
        assert await account.saved.found(second, [3], [9]) is None

    async def test_another_query_finds_anew(self, store: Store, clock: SettableClock) -> None:
        account, _ = await open_account(store)
        before = await account.saved.put("a", "x")
        await account.saved.found(before, [1], [7])
        after = await account.saved.put("a", "y")
        assert (after.id, after.query, after.uidnext, list(after.uids)) == (before.id, "y", 1, [])
        assert after.uidvalidity > before.uidvalidity
        assert await account.saved.found(before, [2], [8]) is None

    async def test_there_is_an_end(self, store: Store, clock: SettableClock) -> None:
        account, _ = await open_account(store)
        for number in range(MOST_SAVED):
            await account.saved.put(f"s{number}", "x")
        with pytest.raises(TooManySearches):
            await account.saved.put("more", "x")
        await account.saved.put("s1", "y")
