"""The contract of address books."""

from __future__ import annotations

import pytest

from postroom.store.api import MOST_CONTACTS, Contact, Store, TooManyContacts
from postroom.testing.store_contract.build import SettableClock, open_account


class ContactsContract:
    """What ContactStore promises."""

    async def test_contacts_are_kept_and_forgotten(self, store: Store, clock: SettableClock) -> None:
        book = (await open_account(store))[0].contacts
        assert await book.all() == []
        assert await book.put([]) == 0
        assert await book.put([Contact("b@far.test", "Ben", "import", 5.0), Contact("a@far.test", source="hand")]) == 2
        assert await book.all() == [
            Contact("a@far.test", "", "hand", clock.now()),
            Contact("b@far.test", "Ben", "import", 5.0),
        ]
        assert await book.has("a@far.test")
        assert not await book.has("c@far.test")
        assert await book.remove(["a@far.test", "a@far.test", "c@far.test"]) == 1
        assert not await book.has("a@far.test")

    async def test_a_known_one_gets_a_name_and_keeps_the_rest(self, store: Store, clock: SettableClock) -> None:
        book = (await open_account(store))[0].contacts
        await book.put([Contact("b@far.test", "Ben", "hand", 5.0)])
        assert await book.put([Contact("b@far.test", "", "import", 6.0)]) == 0
        assert await book.all() == [Contact("b@far.test", "Ben", "hand", 5.0)]
        assert await book.put([Contact("b@far.test", "Benjamin", "import", 6.0), Contact("b@far.test")]) == 0
        assert await book.all() == [Contact("b@far.test", "Benjamin", "hand", 5.0)]

    async def test_books_end(self, store: Store, clock: SettableClock) -> None:
        book = (await open_account(store))[0].contacts
        many = [Contact(f"{number}@far.test") for number in range(MOST_CONTACTS)]
        with pytest.raises(TooManyContacts):
            await book.put([*many, Contact("more@far.test")])
        assert await book.all() == [], "all or none"
        assert await book.put(many) == MOST_CONTACTS
        with pytest.raises(TooManyContacts):
            await book.put([Contact("more@far.test")])
        assert await book.put([Contact("1@far.test", "One")]) == 0
