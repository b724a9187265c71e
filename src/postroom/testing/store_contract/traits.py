"""The contract of traits: rows by message id, kept once, in order."""

from __future__ import annotations

from msgspec import structs

from postroom.store.api import BLOCK, Store, TraitRow, TraitSource
from postroom.store.api.traits import KEYS, SEPARATOR, TEXTS, pack_texts
from postroom.testing.store_contract.build import SettableClock, message, open_account, rows


def row(first: int, count: int, mark: bytes = b"x") -> TraitRow:
    """A row that says where it begins."""
    keys, texts = (SEPARATOR.join([b"%b%d" % (letter, first) + mark] * count) for letter in (b"k", b"t"))
    return TraitRow(first, count, b"n%d" % first + mark, pack_texts([keys] * KEYS), pack_texts([texts] * TEXTS))


def numbers_of(given: TraitRow) -> TraitRow:
    """The row as it is read without keys and texts."""
    return structs.replace(given, keys=b"", texts=b"")


class TraitContract:
    """What TraitStore promises."""

    async def test_traits_are_asked_for_in_order(self, store: Store, clock: SettableClock) -> None:
        account, inbox = await open_account(store)
        assert await account.traits.sources(10) == (1, 1, [])
        new = [message(references=b"<a@b>", internaldate=7), message(), message()]
        done = await account.append(inbox.id, new)
        ids = [each.message for each in rows(done.snapshot)]
        assert ids == [1, 2, 3]
        first, after, sources = await account.traits.sources(2)
        assert (first, after) == (1, 3)
        assert sources == [
            TraitSource(number, each.internaldate, each.envelope, each.references)
            for number, each in zip(ids, new[:2], strict=False)
        ]
        assert await account.traits.keep(row(1, 2), 1, {})
        await account.expunge(inbox.id, [3], only_deleted=False)
        await store.sweep(clock.time + 1, 0.0)
        assert await account.traits.sources(10) == (3, 4, [])  # gone, but its number counts
        nothing = structs.replace(row(3, 1), keys=pack_texts([b""] * KEYS), texts=pack_texts([b""] * TEXTS))
        assert await account.traits.keep(nothing, 3, {})
        assert await account.traits.sources(10) == (4, 4, [])

    async def test_traits_are_kept_once(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message() for _ in range(4)])
        assert await account.traits.keep(row(1, 2), 1, {2**64 - 1: 2**63, 5: 6})
        assert not await account.traits.keep(row(1, 2, b"late"), 1, {5: 7, 8: 9})
        assert await account.traits.rows([1, 2]) == [numbers_of(row(1, 2))]
        assert await account.traits.threads_of([5, 8, 2**64 - 1]) == {5: 6, 2**64 - 1: 2**63}
        assert await account.traits.threads_of([]) == {}
        assert await account.traits.keep(row(3, 1), 3, {5: 99})
        assert await account.traits.rows([3], keys=True) == [
            structs.replace(row(1, 2), texts=b""),
            structs.replace(row(3, 1), texts=b""),
        ]
        # what swallows those before it says from where on it counts
        assert await account.traits.keep(row(1, 4, b"all"), 4, {})
        assert await account.traits.rows([4], keys=True, texts=True) == [row(1, 4, b"all")]
        assert await account.traits.threads_of([5]) == {5: 6}

    async def test_rows_do_not_reach_into_another_block(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message() for _ in range(2 * BLOCK + 3)])
        for _ in range(3):
            first, after, sources = await account.traits.sources(10_000)
            assert len(sources) == after - first
            assert await account.traits.keep(row(first, after - first), first, {})
        assert (await account.traits.sources(1))[0] == 2 * BLOCK + 4
        last = 2 * BLOCK + 3
        assert [each.first for each in await account.traits.rows([last, 1])] == [1, 2 * BLOCK + 1]
        assert [each.first for each in await account.traits.rows([BLOCK, BLOCK + 1])] == [1, BLOCK + 1]
        assert await account.traits.rows([]) == []

    async def test_traits_are_forgotten(self, store: Store) -> None:
        account, inbox = await open_account(store)
        await account.append(inbox.id, [message()])
        await account.traits.keep(row(1, 1), 1, {3: 4})
        await account.traits.forget()
        assert await account.traits.rows([1]) == []
        assert (await account.traits.sources(5))[:2] == (1, 2)
        assert await account.traits.threads_of([3]) == {3: 4}
