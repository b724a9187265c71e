"""The address book of an account, in its file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from postroom.store.api.contacts import MOST_CONTACTS, Contact
from postroom.store.api.errors import TooManyContacts
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.filters import Read, Write

_COUNT: Final = "SELECT count(*) FROM contact"
_PUT: Final = (
    "INSERT INTO contact (address, name, source, added) VALUES (?, ?, ?, ?) ON CONFLICT (address)"
    " DO UPDATE SET name = excluded.name WHERE excluded.name NOT IN ('', name)"
)


class EmbeddedContacts:
    """See postroom.store.api.contacts.ContactStore."""

    __slots__ = ("_read", "_write")

    def __init__(self, read: Read, write: Write) -> None:
        self._read = read
        self._write = write

    async def all(self) -> list[Contact]:
        return self._read(_read_all)

    async def has(self, address: str) -> bool:
        return self._read(_read_has, address)

    async def put(self, contacts: Sequence[Contact]) -> int:
        return await self._write(_Put(tuple(contacts)))

    async def remove(self, addresses: Sequence[str]) -> int:
        return await self._write(_Remove(tuple(addresses)))


def _read_all(reader: apsw.Connection) -> list[Contact]:
    rows: list[Any] = reader.execute("SELECT address, name, source, added FROM contact ORDER BY address").fetchall()
    return [Contact(*row) for row in rows]


def _read_has(reader: apsw.Connection, address: str) -> bool:
    return reader.execute("SELECT 1 FROM contact WHERE address = ?", (address,)).fetchone() is not None


@dataclass(frozen=True, slots=True)
class _Put:
    contacts: tuple[Contact, ...]

    def __call__(self, unit: AccountUnit) -> Callable[[], int]:
        if not self.contacts:
            return lambda: 0
        connection = unit.connection
        before: int = connection.execute(_COUNT).get
        known: set[Any] = {address for (address,) in connection.execute("SELECT address FROM contact")}
        new = len({one.address for one in self.contacts} - known)
        if new and before + new > MOST_CONTACTS:
            raise TooManyContacts(f"the address book would have {before + new:,} of {MOST_CONTACTS:,} addresses")
        unit.next_modseq()
        rows = [(one.address, one.name, one.source, one.added or unit.now) for one in self.contacts]
        connection.executemany(_PUT, rows)
        return lambda: new


@dataclass(frozen=True, slots=True)
class _Remove:
    addresses: tuple[str, ...]

    def __call__(self, unit: AccountUnit) -> Callable[[], int]:
        connection = unit.connection
        before: int = connection.execute(_COUNT).get
        unit.next_modseq()
        connection.executemany("DELETE FROM contact WHERE address = ?", [(one,) for one in self.addresses])
        gone: int = before - connection.execute(_COUNT).get
        return lambda: gone
