"""Throwing away what nobody can ask for any more, in slices that do not hold up deliveries.

Expunged messages past their window lose a reference; without one their rows and octets go. Tombstones (UIDs for
VANISHED) stay, old ones joined into one record: RFC 7162 3.2.10 lets a server report more UIDs than needed, never
fewer. Files without a row are what a crash left between making a file and its commit, or between a commit and the
removal: they go once they are too old to belong to a transaction that is under way.
"""

from __future__ import annotations

import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import apsw

from postroom.store.api.traits import BLOCK, KEYS, TEXTS, block_of, without_texts
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_read import signed
from postroom.store.embedded.codec import pack_ids, pack_uids, unpack_ids, unpack_uids
from postroom.store.embedded.disk import Disk, discard

#: messages a slice; about 5 ms
SLICE: Final = 200
DELIVERED_DAYS: Final = 10
_JOIN_ABOVE: Final = 64
#: the newest record stays: what is expunged next is numbered after it
_NOT_NEWEST: Final = "e.modseq <> (SELECT max(modseq) FROM expunged)"
_MOST_TOMBSTONE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class SweepSlice:
    """Drop up to SLICE messages expunged before a time; the result is (records handled, messages removed)."""

    before: float

    def __call__(self, unit: AccountUnit) -> Callable[[], tuple[int, int]]:
        rows: list[Any] = unit.connection.execute(
            "SELECT modseq, moved, messages FROM expunged WHERE time < ? AND messages IS NOT NULL"
            " ORDER BY modseq LIMIT ?",
            (self.before, SLICE),
        ).fetchall()
        taken: Counter[int] = Counter()
        handled = 0
        for modseq, moved, packed in rows:
            room = SLICE - taken.total()
            if room <= 0:
                break
            messages = unpack_ids(packed)
            if moved:  # those ids are no references
                messages = messages[:0]
            taken.update(messages[:room])
            left = messages[room:]
            unit.connection.execute(
                "UPDATE expunged SET messages = ?, columns = NULL, back = NULL WHERE modseq = ?",
                (pack_ids(left) if left else None, modseq),
            )
            handled += 1
        removed = _drop_references(unit, taken)
        return lambda: (handled, removed)


def _drop_references(unit: AccountUnit, taken: Counter[int]) -> int:
    """Take references away; messages that have none left are removed. Gives how many were."""
    if not taken:
        return 0
    ids = apsw.carray(signed(list(taken)))
    found: list[Any] = unit.connection.execute(
        "SELECT message, count FROM extra WHERE message IN carray(?)", (ids,)
    ).fetchall()
    extra = dict(found)
    dead: list[int] = []
    for message, count in taken.items():
        left = 1 + extra.get(message, 0) - count
        if left <= 0:
            dead.append(message)
        if left <= 1:
            unit.connection.execute("DELETE FROM extra WHERE message = ?", (message,))
        else:
            unit.connection.execute("UPDATE extra SET count = ? WHERE message = ?", (left - 1, message))
    _remove(unit, dead)
    return len(dead)


def _remove(unit: AccountUnit, dead: list[int]) -> None:
    if not dead:
        return
    ids = signed(dead)
    large: list[Any] = unit.connection.execute(
        "SELECT lower(hex(guid)) FROM message WHERE prefix IS NOT NULL AND id IN carray(?)", (apsw.carray(ids),)
    ).fetchall()
    for (guid,) in large:
        unit.drop_file(unit.file.layout.body(guid))
    for table, key in (("body", "id"), ("message", "id"), ("origin", "message")):
        unit.connection.execute(f"DELETE FROM {table} WHERE {key} IN carray(?)", (apsw.carray(ids),))
    for block, group in groupby(sorted(dead), block_of):
        _forget_traits(unit.connection, block, list(group))


def _forget_traits(connection: apsw.Connection, block: int, gone: list[int]) -> None:
    """Texts of messages that are gone leave their traits; a block of which nothing is kept goes whole.

    But for the last one, whose end says how far traits are made.
    """
    reach = (block, block + BLOCK - 1)
    rows: list[Any] = connection.execute(
        "SELECT first, count, keys, texts FROM traits WHERE first BETWEEN ? AND ?", reach
    ).fetchall()
    if not rows:
        return
    later: bool = connection.execute("SELECT EXISTS (SELECT 1 FROM traits WHERE first > ?)", reach[1:]).get
    if later and not connection.execute("SELECT EXISTS (SELECT 1 FROM message WHERE id BETWEEN ? AND ?)", reach).get:
        connection.execute("DELETE FROM traits WHERE first BETWEEN ? AND ?", reach)
        return
    for first, count, keys, texts in rows:
        places = [message - first for message in gone if first <= message < first + count]
        if places:
            try:
                changed = without_texts(keys, KEYS, places), without_texts(texts, TEXTS, places)
            except ValueError:  # whoever needs them finds them damaged and makes all anew
                changed = b"", b""
            connection.execute("UPDATE traits SET keys = ?, texts = ? WHERE first = ?", (*changed, first))


@dataclass(frozen=True, slots=True)
class Tidy:
    """Join old tombstones of each mailbox and forget deliveries that cannot be repeated any more."""

    now: float
    before: float

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        connection = unit.connection
        unit.forget_deliveries(self.now - DELIVERED_DAYS * 86_400)
        unit.connection.execute("DELETE FROM remembered WHERE until < ?", (self.now,))
        self._forget_lives(unit)
        counts: list[Any] = connection.execute(
            "SELECT e.mailbox, count(*), m.id FROM expunged AS e LEFT JOIN mailbox AS m ON m.id = e.mailbox"
            f" WHERE e.messages IS NULL AND e.time < ? AND {_NOT_NEWEST} GROUP BY e.mailbox",
            (self.before,),
        ).fetchall()
        for mailbox, count, alive in counts:
            if alive is None:
                connection.execute(
                    f"DELETE FROM expunged AS e WHERE mailbox = ? AND messages IS NULL AND time < ? AND {_NOT_NEWEST}",
                    (mailbox, self.before),
                )
            elif count > _JOIN_ABOVE:
                self._join(unit, mailbox)
        return lambda: None

    def _forget_lives(self, unit: AccountUnit) -> None:
        """What mailboxes were, once nothing that was in them then can be had any more."""
        for sql in (
            "DELETE FROM life WHERE deleted < ? AND NOT EXISTS"
            " (SELECT 1 FROM expunged WHERE expunged.mailbox = life.mailbox AND messages IS NOT NULL)",
            "DELETE FROM former WHERE until < ? OR mailbox NOT IN (SELECT mailbox FROM life)",
            "DELETE FROM restored WHERE time < ?",
        ):
            unit.connection.execute(sql, (self.before,))

    def _join(self, unit: AccountUnit, mailbox: int) -> None:
        rows: list[Any] = unit.connection.execute(
            "SELECT modseq, uids FROM expunged AS e WHERE mailbox = ? AND messages IS NULL AND time < ?"
            f" AND {_NOT_NEWEST}",
            (mailbox, self.before),
        ).fetchall()
        uids: set[int] = set()
        for _, packed in rows:
            uids.update(unpack_uids(packed))
        last = max(modseq for modseq, _ in rows)
        joined = pack_uids(array("I", sorted(uids)))
        unit.connection.executemany(
            "DELETE FROM expunged WHERE modseq = ?", [(modseq,) for modseq, _ in rows if modseq != last]
        )
        if len(joined) <= _MOST_TOMBSTONE:
            unit.connection.execute("UPDATE expunged SET uids = ? WHERE modseq = ?", (joined, last))
            return
        unit.connection.execute("DELETE FROM expunged WHERE modseq = ?", (last,))
        unit.open(mailbox).row.history = last
        unit.connection.execute("UPDATE mailbox SET history = ? WHERE id = ?", (last, mailbox))


def stray_files(folder: str, known: Callable[[str], bool], grace: float) -> Iterable[str]:
    """Files of a folder that no row names and that have not changed for `grace` seconds by the machine's clock."""
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except FileNotFoundError:
        return
    horizon = time.time() - grace
    for entry in entries:
        try:
            # ctime: a hard link made a moment ago counts as new, however old the octets are
            if entry.stat(follow_symlinks=False).st_ctime <= horizon and not known(entry.name):
                yield entry.path
        except FileNotFoundError:
            continue


def sweep_strays(disk: Disk, folder: str, known: Callable[[str], bool], grace: float) -> None:
    """Remove stray files."""
    for path in stray_files(folder, known, grace):
        discard(disk, path)
