"""What every QuarantineStore must do."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from postroom.store.api import (
    ItemState,
    KeepLimits,
    NotFound,
    QuarantineFull,
    QuarantineItem,
    QuarantineQuery,
    StateChange,
    Store,
)
from postroom.values.content import Content

ANY = KeepLimits()
ALL = frozenset(ItemState)
OCTETS = Content.of(b"Subject: hi\r\n\r\nbuy\r\n")


def item(number: int = 1, **fields: Any) -> QuarantineItem:
    """An item of an entry of its own."""
    given: dict[str, Any] = {
        "id": f"entry{number}-0",
        "entry": f"entry{number}",
        "account": "acc1",
        "domain": "here.test",
        "recipient": "ann@here.test",
        "sender": "bad@far.test",
        "received": 1000.0 + number,
        "until": 5000.0,
        "size": OCTETS.size,
        "author": "Bad One <bad@far.test>",
        "subject": "hi",
        "score": 7.5,
        "why": "its words",
    }
    return QuarantineItem(**(given | fields))


def change(state: ItemState, *before: ItemState) -> StateChange:
    """By somebody, at some time."""
    return StateChange(before=frozenset(before or ItemState), state=state, at=2000.0, by="root")


class QuarantineContract:
    """Mail that is kept apart."""

    async def test_what_is_filed_twice_is_there_once(self, store: Store) -> None:
        assert await store.quarantine.keep(item(), OCTETS, ANY)
        assert not await store.quarantine.keep(item(subject="again"), OCTETS, ANY)
        assert await store.quarantine.find(QuarantineQuery()) == [item()]
        assert await store.quarantine.content("entry1-0") == OCTETS

    async def test_nothing_is_in_one_that_was_never_used(self, store: Store) -> None:
        assert await store.quarantine.find(QuarantineQuery()) == []
        assert await store.quarantine.untold() == {}
        assert await store.quarantine.counts() == {}
        assert await store.quarantine.sweep(9e9) == []
        with pytest.raises(NotFound):
            await store.quarantine.content("entry1-0")

    async def test_large_messages_and_several_recipients_of_one(self, store: Store) -> None:
        large = Content.of(b"Subject: big\r\n\r\n" + b"x" * 200_000)
        first = item(size=large.size)
        second = item(id="entry1-1", account="acc2", recipient="ben@here.test", size=large.size)
        for one in (first, second):
            assert await store.quarantine.keep(one, large, ANY)
        assert await store.quarantine.forget("acc1") == 1
        assert (await store.quarantine.content("entry1-1")).read() == large.read()
        assert await store.quarantine.forget("acc2") == 1
        with pytest.raises(NotFound):
            await store.quarantine.content("entry1-1")

    async def test_an_account_has_limits(self, store: Store) -> None:
        await store.quarantine.keep(item(), OCTETS, ANY)
        for limits in (KeepLimits(items=1), KeepLimits(octets=OCTETS.size * 2 - 1)):
            with pytest.raises(QuarantineFull):
                await store.quarantine.keep(item(2), OCTETS, limits)
        assert await store.quarantine.keep(item(2, account="acc2"), OCTETS, KeepLimits(items=1))
        await store.quarantine.put_state(("entry1-0",), change(ItemState.DELETED))
        assert await store.quarantine.keep(item(3), OCTETS, KeepLimits(items=1))

    async def test_they_are_found_by_whom_whence_and_when(self, store: Store) -> None:
        first = item()
        second = item(2, account="acc2", domain="other.test", sender="news@shop.test", author="Shop <shop@shop.test>")
        sent = item(3, outgoing=True)
        for one in (first, second, sent):
            await store.quarantine.keep(one, OCTETS, ANY)

        async def found(**query: Any) -> list[str]:
            return [one.entry for one in await store.quarantine.find(QuarantineQuery(**query))]

        assert await found(domain="other.test") == ["entry2"]
        assert await found(account="acc1") == ["entry1", "entry3"]
        assert await found(account="acc1", outgoing=False) == ["entry1"]
        assert await found(sender="SHOP") == ["entry2"]
        assert await found(since=1002.0) == ["entry2", "entry3"]
        assert await found(before=1002.0) == ["entry1"]
        assert await found(newest=True, limit=2) == ["entry3", "entry2"]
        assert await found(ids=("entry2-0", "nobody-0")) == ["entry2"]
        assert await found(ids=('x"] or 1=1',)) == []

    async def test_states_change_only_from_where_they_may(self, store: Store) -> None:
        await store.quarantine.keep(item(), OCTETS, ANY)
        kept, deleted = ItemState.KEPT, ItemState.DELETED
        assert await store.quarantine.put_state(("entry1-0", "none-0"), change(deleted, kept)) == ["entry1-0"]
        assert await store.quarantine.put_state(("entry1-0",), change(deleted, kept)) == []
        assert await store.quarantine.find(QuarantineQuery()) == []
        known = await store.quarantine.find(QuarantineQuery(states=ALL))
        assert known == [replace(item(), state=deleted, changed=2000.0, by="root")]
        assert await store.quarantine.put_state(("entry1-0",), change(kept, deleted)) == ["entry1-0"]
        assert await store.quarantine.counts() == {kept: 1}

    async def test_a_release_has_one_queue_id(self, store: Store) -> None:
        await store.quarantine.keep(item(), OCTETS, ANY)
        with pytest.raises(NotFound):
            await store.quarantine.reserve("entry1-0", "r1")
        await store.quarantine.put_state(("entry1-0",), change(ItemState.RELEASING))
        assert await store.quarantine.reserve("entry1-0", "r1") == "r1"
        assert await store.quarantine.reserve("entry1-0", "r2") == "r1"
        await store.quarantine.put_state(("entry1-0",), change(ItemState.RELEASED))
        await store.quarantine.put_state(("entry1-0",), change(ItemState.RELEASING))
        assert await store.quarantine.reserve("entry1-0", "r3") == "r3", "a new release is another"

    async def test_digests_tell_of_each_once(self, store: Store) -> None:
        for one in (item(), item(2), item(3, account="acc2"), item(4, outgoing=True)):
            await store.quarantine.keep(one, OCTETS, ANY)
        assert await store.quarantine.untold() == {"acc1": 2, "acc2": 1}
        await store.quarantine.tell(("entry1-0", "entry3-0"))
        assert await store.quarantine.untold() == {"acc1": 1}
        found = await store.quarantine.find(QuarantineQuery(account="acc1", untold=True, outgoing=False))
        assert [one.entry for one in found] == ["entry2"]

    async def test_what_is_too_old_goes_but_not_what_is_being_released(self, store: Store) -> None:
        for one in (item(), item(2), item(3, until=9000.0)):
            await store.quarantine.keep(one, OCTETS, ANY)
        await store.quarantine.put_state(("entry2-0",), change(ItemState.RELEASING))
        assert await store.quarantine.sweep(4999.0) == []
        assert [one.entry for one in await store.quarantine.sweep(5000.0)] == ["entry1"]
        assert await store.quarantine.sweep(5000.0) == []
        assert {one.entry for one in await store.quarantine.find(QuarantineQuery(states=ALL))} == {"entry2", "entry3"}

    async def test_an_account_that_goes_for_good_takes_its_own_along(self, store: Store) -> None:
        await store.create_account("acc1", [("INBOX", "")])
        await store.quarantine.keep(item(), OCTETS, ANY)
        await store.quarantine.keep(item(2, account="acc2"), OCTETS, ANY)
        await store.remove_account("acc1")
        assert [one.account for one in await store.quarantine.find(QuarantineQuery(states=ALL))] == ["acc2"]
