"""Traits: what messages are sorted, threaded and found by, packed by message id.

They are made from what was rendered at delivery, by a reader that comes later (mailbox.trait_keeper), and kept with
the account. Message ids are given in order, so traits are rows of consecutive ids; ids 1 to BLOCK share a block, and
so on, and no row reaches into another block. What the columns hold is the reader's business; but keys and texts are
columns of values with a separator between them, so that the store can take out what was swept.
Only the threads are not made anew: what a message's thread is, once it is kept, stays (RFC 8474 5.2).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

#: message ids that share a block
BLOCK: Final = 512
#: columns of keys, and of texts; what stands between their values
KEYS: Final = 6
TEXTS: Final = 5
SEPARATOR: Final = b"\0"


def block_of(message: int) -> int:
    """The first message id of the block."""
    return (message - 1) // BLOCK * BLOCK + 1


def pack_texts(columns: Sequence[bytes]) -> bytes:
    """Columns of text as one: their sizes, then they."""
    return b"".join([struct.pack(f"<{len(columns)}I", *map(len, columns)), *columns])


def text_column(packed: bytes, place: int, count: int) -> bytes:
    """One column of what `pack_texts` made of `count`, its values separated. Raises ValueError."""
    try:
        sizes = struct.unpack_from(f"<{count}I", packed)
    except struct.error as fault:
        raise ValueError(str(fault)) from fault
    begin = 4 * count + sum(sizes[:place])
    return packed[begin : begin + sizes[place]]


def without_texts(packed: bytes, count: int, places: Collection[int]) -> bytes:
    """The same columns with nothing left of the values at these places. Raises ValueError."""
    columns = []
    for number in range(count):
        values = text_column(packed, number, count).split(SEPARATOR)
        for place in places:
            if place < len(values):
                values[place] = b""
        columns.append(SEPARATOR.join(values))
    return pack_texts(columns)


class TraitSource(Struct, frozen=True):
    """What traits are made from; see NewMessage."""

    message: int
    internaldate: int
    envelope: bytes
    references: bytes


class TraitRow(Struct, frozen=True):
    """Traits of `count` messages from id `first` on. keys, texts: b"" unless they were asked for."""

    first: int
    count: int
    numbers: bytes
    keys: bytes = b""
    texts: bytes = b""


class TraitStore(Protocol):
    """An account's traits. Every method may raise StoreUnavailable."""

    async def sources(self, most: int) -> tuple[int, int, list[TraitSource]]:
        """(first, after, sources): ids first to after - 1, at most so many of one block, are the next without traits.

        In order; messages that are gone already are left out. first == after: all messages have theirs.
        """
        ...

    async def keep(self, row: TraitRow, first: int, threads: Mapping[int, int]) -> bool:
        """Keep a row that ends the traits, in place of all rows from row.first on, and the threads of references.

        first: where the ids without traits begin; False when that is not so any more: somebody was quicker.
        """
        ...

    async def rows(self, messages: Sequence[int], *, keys: bool = False, texts: bool = False) -> list[TraitRow]:
        """The rows of all blocks that these messages (in any order) are in, and perhaps some between them, by id."""
        ...

    async def threads_of(self, references: Sequence[int]) -> dict[int, int]:
        """Those of the references (as numbers) whose thread is kept."""
        ...

    async def forget(self) -> None:
        """Drop all rows, to have them made anew; threads of references are kept."""
        ...
