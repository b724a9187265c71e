"""Searches an account keeps, in a dictionary, for tests."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import count

from msgspec import structs

from postroom.store.api.errors import NotFound, TooManySearches
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
