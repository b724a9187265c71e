"""Searches an account keeps, in its file; what they found is packed as in pages (codec.py)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from postroom.store.api.errors import NotFound, TooManySearches
from postroom.store.api.saved import MOST_SAVED, SavedSearch
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.codec import pack_ids, unpack_ids
from postroom.store.embedded.filters import Read, Write

_SELECT: Final = "SELECT id, name, query, uidvalidity, uidnext, version, uids, messages FROM saved"


class EmbeddedSearches:
    """See postroom.store.api.saved.SearchStore."""

    __slots__ = ("_read", "_write")

    def __init__(self, read: Read, write: Write) -> None:
        self._read = read
        self._write = write

    async def all(self) -> list[SavedSearch]:
        return self._read(read_searches)

    async def put(self, name: str, query: str) -> SavedSearch:
        return await self._write(_Put(name, query))

    async def remove(self, name: str) -> None:
        await self._write(_Remove(name))

    async def found(self, search: SavedSearch, uids: Sequence[int], messages: Sequence[int]) -> SavedSearch | None:
        return await self._write(_Found(search, array("I", uids), array("Q", messages)))


def read_searches(reader: apsw.Connection) -> list[SavedSearch]:
    """By name."""
    rows: list[Any] = reader.execute(f"{_SELECT} ORDER BY name").fetchall()
    return [_search(row) for row in rows]


def _search(row: Any) -> SavedSearch:
    number, name, query, uidvalidity, uidnext, version, uids, messages = row
    numbers = array("I", unpack_ids(uids))
    return SavedSearch(number, name, query, uidvalidity, uidnext, version, numbers, unpack_ids(messages))


def _one(connection: apsw.Connection, name: str) -> SavedSearch | None:
    row: Any = connection.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone()
    return _search(row) if row is not None else None


@dataclass(frozen=True, slots=True)
class _Put:
    name: str
    query: str

    def __call__(self, unit: AccountUnit) -> Callable[[], SavedSearch]:
        connection, totals = unit.connection, unit.totals
        sql = "SELECT count(*) FROM saved WHERE name != ?"
        others: int = connection.execute(sql, (self.name,)).get
        if others >= MOST_SAVED:
            raise TooManySearches(f"the account keeps {others} of {MOST_SAVED} searches")
        unit.list_changed()
        totals.uidvalidity = max(totals.uidvalidity + 1, int(unit.now))
        connection.execute(
            "INSERT INTO saved (name, query, uidvalidity, uidnext, version, uids, messages)"
            " VALUES (?1, ?2, ?3, 1, 1, x'', x'') ON CONFLICT (name) DO UPDATE SET query = ?2, uidvalidity = ?3,"
            " uidnext = 1, version = version + 1, uids = x'', messages = x''",
            (self.name, self.query, totals.uidvalidity),
        )
        made = _one(connection, self.name)
        assert made is not None
        return lambda: made


@dataclass(frozen=True, slots=True)
class _Remove:
    name: str

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        if _one(unit.connection, self.name) is None:
            raise NotFound(f"no search {self.name}")
        unit.list_changed()
        unit.connection.execute("DELETE FROM saved WHERE name = ?", (self.name,))
        return lambda: None


@dataclass(frozen=True, slots=True)
class _Found:
    search: SavedSearch
    uids: array[int]
    messages: array[int]

    def __call__(self, unit: AccountUnit) -> Callable[[], SavedSearch | None]:
        before = self.search
        uidnext = max(before.uidnext, self.uids[-1] + 1 if self.uids else 0)
        unit.connection.execute(
            "UPDATE saved SET uidnext = ?, version = version + 1, uids = ?, messages = ? WHERE id = ? AND version = ?",
            (uidnext, pack_ids(array("Q", self.uids)), pack_ids(self.messages), before.id, before.version),
        )
        if not unit.connection.changes():
            return lambda: None
        after = _one(unit.connection, before.name)
        return lambda: after
