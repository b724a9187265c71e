"""The MarkStore: what readers of shared mailboxes have seen.

A row holds the marks of up to 512 neighbouring UIDs, so marking a message rewrites a few octets to a few KiB, and a
process that has read the others before reads only the row that changed. Marks of messages that are gone leave with the
next change of their row. The pages of the mailbox are not touched; its MODSEQ moves, as for every change.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress, groupby
from typing import Any, Final

import apsw

from postroom.store.api.account import StoreFlagsResult
from postroom.store.api.errors import NotFound
from postroom.store.api.marks import CHUNK_BITS, Chunk, Marks, SeenMode
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_read import read_mailbox_by_id
from postroom.store.embedded.columns import mask_of
from postroom.store.embedded.filters import Read, Write
from postroom.store.embedded.working import Working
from postroom.values.packing import packed, unpacked

_MAILBOX: Final = "SELECT modseq, seen FROM mailbox WHERE id = ?"
_READ: Final = "SELECT chunk, data FROM mark WHERE mailbox = ? AND reader = ? AND version > ?"
_ONE: Final = "SELECT data FROM mark WHERE mailbox = ? AND reader = ? AND chunk = ?"


class EmbeddedMarks:
    """See postroom.store.api.MarkStore."""

    __slots__ = ("_read", "_write")

    def __init__(self, read: Read, write: Write) -> None:
        self._read = read
        self._write = write

    async def read(self, mailbox: int, reader: str, known: Marks | None = None) -> Marks:
        return self._read(read_marks, mailbox, reader, known)

    async def mark(
        self, mailbox: int, reader: str, uids: Sequence[int], seen: bool, *, unchanged_since: int | None = None
    ) -> StoreFlagsResult:
        return await self._write(Mark(mailbox, reader, uids, seen, unchanged_since))

    async def set_mode(self, mailbox: int, mode: SeenMode) -> None:
        await self._write(SetMode(mailbox, mode))


def read_marks(reader: apsw.Connection, mailbox: int, who: str, known: Marks | None) -> Marks:
    """All marks, or those of `known` with what has changed since. Raises NotFound."""
    row: Any = reader.execute(_MAILBOX, (mailbox,)).fetchone()
    if row is None:
        raise NotFound(f"no mailbox {mailbox}")
    modseq, mode = row
    if known is not None and known.modseq == modseq:
        return known
    rows: Any = reader.execute(_READ, (mailbox, who, known.modseq if known else 0)).fetchall()
    chunks = dict(known.chunks) if known else {}
    chunks.update({number: unpack(data) for number, data in rows})
    return Marks(modseq, SeenMode(mode), chunks)


def pack(chunk: Chunk) -> bytes:
    """UIDs, then values; little-endian."""
    return packed(chunk.uids) + packed(chunk.values)


def unpack(data: bytes) -> Chunk:
    """What `pack` made."""
    count = len(data) // 12
    return Chunk(unpacked("I", data[: 4 * count]), unpacked("Q", data[4 * count :]))


@dataclass(frozen=True, slots=True)
class Mark:
    """Mark messages as seen by a reader, or not."""

    mailbox: int
    reader: str
    uids: Sequence[int]
    seen: bool
    unchanged_since: int | None

    def __call__(self, unit: AccountUnit) -> Callable[[], StoreFlagsResult]:
        box = unit.open(self.mailbox)
        there = _modseqs(box, array("I", self.uids))
        changed: list[int] = []
        modified: list[int] = []
        modseq = unit.totals.modseq + 1
        for number, uids in groupby(there, lambda uid: uid >> CHUNK_BITS):
            row: Any = unit.connection.execute(_ONE, (self.mailbox, self.reader, number)).fetchone()
            old = unpack(row[0]) if row else Chunk(array("I"), array("Q"))
            held = dict(zip(old.uids, old.values, strict=True))
            before = len(changed)
            for uid in uids:
                value = held.get(uid, 0)
                if self.unchanged_since is not None and max(there[uid], value >> 1) > self.unchanged_since:
                    modified.append(uid)
                elif value & 1 != self.seen:
                    held[uid] = modseq << 1 | self.seen
                    changed.append(uid)
            if len(changed) > before:
                self._write(unit, number, held, box)
        if changed:
            box.row.modseq = unit.next_modseq()
        missing = tuple(uid for uid in self.uids if uid not in there)
        return lambda: StoreFlagsResult(unit.snapshot(self.mailbox), tuple(changed), tuple(modified), missing)

    def _write(self, unit: AccountUnit, number: int, held: dict[int, int], box: Working) -> None:
        left = sorted(held.keys() & _present(box, number))
        chunk = Chunk(array("I", left), array("Q", [held[uid] for uid in left]))
        values = (self.mailbox, self.reader, number, unit.totals.modseq + 1, pack(chunk))
        unit.connection.execute("REPLACE INTO mark VALUES (?, ?, ?, ?, ?)", values)


def _modseqs(box: Working, wanted: array[int]) -> dict[int, int]:
    """Those of the UIDs that are there, ascending, with their MODSEQ."""
    found: dict[int, int] = {}
    for place in reversed(list(box.places())):
        page = box.pages[place]
        mask = mask_of(page, wanted)
        if mask:
            found.update(zip(compress(page.uids, mask), compress(page.modseqs, mask), strict=True))
    return found


def _present(box: Working, number: int) -> set[int]:
    """UIDs of messages whose marks are in this chunk."""
    first, last = number << CHUNK_BITS, ((number + 1) << CHUNK_BITS) - 1
    found: set[int] = set()
    for page in box.pages:
        if page.uids[-1] >= first and page.uids[0] <= last:
            found.update(page.uids[bisect_left(page.uids, first) : bisect_right(page.uids, last)])
    return found


@dataclass(frozen=True, slots=True)
class SetMode:
    """Say whose \\Seen is."""

    mailbox: int
    mode: SeenMode

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        if read_mailbox_by_id(unit.connection, self.mailbox).seen == self.mode:
            return lambda: None
        box = unit.open(self.mailbox)
        unit.connection.execute("UPDATE mailbox SET seen = ? WHERE id = ?", (self.mode.value, self.mailbox))
        unit.list_changed()
        box.touch(unit.next_modseq())
        return lambda: None
