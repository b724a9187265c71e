"""Traits in an account's file: rows of packed columns by message id, and the threads of references.

A row that is added swallows the small ones before it in its block (its maker says from where), so a block that fills
message by message is rewritten about as often as its size doubles.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import apsw

from postroom.store.api.traits import BLOCK, TraitRow, TraitSource, block_of
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_read import read_totals, signed

_U64: Final = 2**64
#: so many messages a block, and all blocks between the first and the last are wanted
_DENSE: Final = BLOCK // 8
_END: Final = "SELECT first + count FROM traits ORDER BY first DESC LIMIT 1"
_SOURCES: Final = "SELECT id, internaldate, envelope, refs FROM message WHERE id BETWEEN ? AND ?"
_NOTHING: Final = "x''"
_THREADS: Final = "SELECT id, thread FROM carray(?) AS wanted JOIN reference ON reference.id = wanted.value"


def _rows_sql(*, keys: bool, texts: bool) -> str:
    columns = f"first, traits.count, numbers, {'keys' if keys else _NOTHING}, {'texts' if texts else _NOTHING}"
    return f"SELECT {columns} FROM carray(?) AS wanted JOIN traits ON first BETWEEN value AND value + {BLOCK - 1}"


_ROWS: Final = {
    (keys, texts): _rows_sql(keys=keys, texts=texts) + " ORDER BY first"
    for keys in (False, True)
    for texts in (False, True)
}


def _end(connection: apsw.Connection) -> int:
    """The first message id without traits."""
    row: Any = connection.execute(_END).fetchone()
    return row[0] if row else 1


def _out(number: int) -> int:
    """SQLite keeps 64 bits with a sign."""
    return number - _U64 if number >> 63 else number


def read_trait_sources(reader: apsw.Connection, most: int) -> tuple[int, int, list[TraitSource]]:
    """See TraitStore.sources."""
    first = _end(reader)
    _, next_message, _, _ = read_totals(reader)
    after = max(min(next_message, first + most, block_of(first) + BLOCK), first)
    if first == after:
        return first, after, []
    rows: list[Any] = reader.execute(_SOURCES, (first, after - 1)).fetchall()
    return first, after, [TraitSource(*row) for row in rows]


def read_traits(reader: apsw.Connection, messages: Sequence[int], *, keys: bool, texts: bool) -> list[TraitRow]:
    """See TraitStore.rows."""
    if not messages:
        return []
    first, last = (min(messages) - 1) // BLOCK, (max(messages) - 1) // BLOCK
    blocks: Sequence[int]
    if (last - first) * _DENSE < len(messages):
        blocks = range(first, last + 1)
    else:
        blocks = sorted({(message - 1) // BLOCK for message in messages})
    wanted = signed([block * BLOCK + 1 for block in blocks])
    rows: list[Any] = reader.execute(_ROWS[keys, texts], (apsw.carray(wanted),)).fetchall()
    return [TraitRow(*row) for row in rows]


def read_threads_of(reader: apsw.Connection, references: Sequence[int]) -> dict[int, int]:
    """See TraitStore.threads_of."""
    if not references:
        return {}
    wanted = signed([_out(number) for number in references])
    rows: list[Any] = reader.execute(_THREADS, (apsw.carray(wanted),)).fetchall()
    return {number % _U64: thread % _U64 for number, thread in rows}


@dataclass(frozen=True, slots=True)
class KeepTraits:
    """Add traits, unless somebody was quicker. See TraitStore.keep."""

    row: TraitRow
    first: int
    threads: Mapping[int, int]

    def __call__(self, unit: AccountUnit) -> Callable[[], bool]:
        connection, row = unit.connection, self.row
        if _end(connection) != self.first:
            return lambda: False
        connection.execute("DELETE FROM traits WHERE first >= ?", (row.first,))
        connection.execute(
            "INSERT INTO traits VALUES (?, ?, ?, ?, ?)", (row.first, row.count, row.numbers, row.keys, row.texts)
        )
        if self.threads:
            connection.executemany(
                "INSERT OR IGNORE INTO reference VALUES (?, ?)",
                sorted((_out(number), _out(thread)) for number, thread in self.threads.items()),
            )
        return lambda: True


@dataclass(frozen=True, slots=True)
class ForgetTraits:
    """Drop all rows."""

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        unit.connection.execute("DELETE FROM traits")
        return lambda: None


class EmbeddedTraits:
    """See postroom.store.api.traits.TraitStore."""

    __slots__ = ("_read", "_write")

    def __init__(self, read: Callable[..., Any], write: Callable[..., Awaitable[Any]]) -> None:
        """read, write: of the account, see account.py."""
        self._read = read
        self._write = write

    async def sources(self, most: int) -> tuple[int, int, list[TraitSource]]:
        found: tuple[int, int, list[TraitSource]] = self._read(read_trait_sources, most)
        return found

    async def keep(self, row: TraitRow, first: int, threads: Mapping[int, int]) -> bool:
        # it need not be synced: what power loss takes back is made again from the same messages
        kept: bool = await self._write(KeepTraits(row, first, threads), relaxed=True)
        return kept

    async def rows(self, messages: Sequence[int], *, keys: bool = False, texts: bool = False) -> list[TraitRow]:
        found: list[TraitRow] = self._read(partial(read_traits, keys=keys, texts=texts), messages)
        return found

    async def threads_of(self, references: Sequence[int]) -> dict[int, int]:
        found: dict[int, int] = self._read(read_threads_of, references)
        return found

    async def forget(self) -> None:
        await self._write(ForgetTraits(), relaxed=True)
