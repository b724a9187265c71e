"""Searches an account keeps, and its address book, in dictionaries, for tests."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import count

from msgspec import structs

from postroom.store.api.contacts import MOST_CONTACTS, Contact
from postroom.store.api.errors import NotFound, TooManyContacts, TooManySearches
from postroom.store.api.saved import MOST_SAVED, SavedSearch
from postroom.values.clock import Clock


class MemorySearches:
    """See postroom.store.api.saved.SearchStore."""

    def __init__(self, changed: Callable[[], None], clock: Clock) -> None:
        """changed: called when the list of mailboxes is not what it was."""
        self._changed = changed
        self._clock = clock
        self._ids = count(1)
        self._uidvalidity = 0
        self._all: dict[str, SavedSearch] = {}

    async def all(self) -> list[SavedSearch]:
        return [self._all[name] for name in sorted(self._all)]

    async def put(self, name: str, query: str) -> SavedSearch:
        old = self._all.get(name)
        if len(self._all) - (old is not None) >= MOST_SAVED:
            raise TooManySearches(f"the account keeps {len(self._all)} of {MOST_SAVED} searches")
        number, version = (old.id, old.version + 1) if old is not None else (next(self._ids), 1)
        self._uidvalidity = max(self._uidvalidity + 1, int(self._clock.now()))
        made = SavedSearch(number, name, query, self._uidvalidity, 1, version, array("I"), array("Q"))
        self._all[name] = made
        self._changed()
        return made

    async def remove(self, name: str) -> None:
        if self._all.pop(name, None) is None:
            raise NotFound(f"no search {name}")
        self._changed()

    async def found(self, search: SavedSearch, uids: Sequence[int], messages: Sequence[int]) -> SavedSearch | None:
        now = self._all.get(search.name)
        if now is None or (now.id, now.version) != (search.id, search.version):
            return None
        made = structs.replace(
            now,
            uidnext=max(now.uidnext, uids[-1] + 1 if uids else 0),
            version=now.version + 1,
            uids=array("I", uids),
            messages=array("Q", messages),
        )
        self._all[now.name] = made
        return made


class MemoryContacts:
    """See postroom.store.api.contacts.ContactStore."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all: dict[str, Contact] = {}

    async def all(self) -> list[Contact]:
        return [self._all[address] for address in sorted(self._all)]

    async def has(self, address: str) -> bool:
        return address in self._all

    async def put(self, contacts: Sequence[Contact]) -> int:
        new = len({one.address for one in contacts} - self._all.keys())
        total = len(self._all) + new
        if new and total > MOST_CONTACTS:
            raise TooManyContacts(f"the address book would have {total:,} of {MOST_CONTACTS:,} addresses")
        for one in contacts:
            old = self._all.get(one.address)
            if old is None:
                self._all[one.address] = structs.replace(one, added=one.added or self._clock.now())
            elif one.name:
                self._all[one.address] = structs.replace(old, name=one.name)
        return new

    async def remove(self, addresses: Sequence[str]) -> int:
        return sum(self._all.pop(address, None) is not None for address in dict.fromkeys(addresses))
