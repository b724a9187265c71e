"""What an account held before, and bringing it back: reading departures and lives, restore, undo.

Owns: the tables life, former and restored. Departures are written where messages leave (account_write.py) and end in
sweep.py. A restored message gets one reference more, so the record it left by stays whole until it is swept.
On failure: work raises StoreError only before its first change.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final

import apsw
import msgspec

from postroom.store.api.errors import MailboxHasChildren, NotFound, TooManyKeywords
from postroom.store.api.pages import Page
from postroom.store.api.past import Departure, MailboxLife, Placed, Placing, Restored, Source, Undone
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_folders import Delete, insert_mailbox, make_parents
from postroom.store.embedded.account_read import read_mailbox, read_mailbox_by_id, signed
from postroom.store.embedded.account_write import REFER, as_uids, check_quota, expunge_chosen
from postroom.store.embedded.codec import unpack_gone, unpack_ids, unpack_uids
from postroom.store.embedded.columns import join, mask_of, take
from postroom.store.embedded.working import translate_keywords
from postroom.values.flags import DELETED, POP3_HIDDEN
from postroom.values.keywords import MOST, too_many

_DEPARTURE: Final = (
    "SELECT modseq, mailbox, time, moved, number, uids, messages, columns, back FROM expunged WHERE columns IS NOT NULL"
)
_DELETED_IN: Final = (
    "SELECT DISTINCT mailbox FROM expunged WHERE NOT moved AND columns IS NOT NULL AND length(messages) > 0"
    " AND (back IS NULL OR instr(back, x'00') > 0)"
)
_LIVES: Final = (
    "SELECT life.mailbox, created, life.deleted, coalesce(box.name, life.name),"
    " coalesce(box.uidvalidity, life.uidvalidity), coalesce(box.special_use, life.special_use),"
    " coalesce(box.keywords, life.keywords)"
    " FROM life LEFT JOIN mailbox AS box ON box.id = life.mailbox"
    " ORDER BY life.mailbox"
)
#: \\Deleted would have it expunged again; hidden from POP3 it would not be back for everybody
_BACK: Final = bytes(octet & ~(DELETED | POP3_HIDDEN) for octet in range(256))


def read_lives(reader: apsw.Connection) -> list[MailboxLife]:
    """Mailboxes that are or were, oldest first."""
    before: dict[int, list[tuple[float, str]]] = {}
    for mailbox, until, name in _rows(reader, "SELECT mailbox, until, name FROM former ORDER BY mailbox, until"):
        before.setdefault(mailbox, []).append((until, name))
    return [
        MailboxLife(
            id=mailbox,
            name=name,
            uidvalidity=uidvalidity,
            created=created,
            deleted=deleted or 0.0,
            special_use=special_use,
            keywords=tuple(keywords.split("\n")) if keywords else (),
            before=tuple(before.get(mailbox, ())),
        )
        for mailbox, created, deleted, name, uidvalidity, special_use, keywords in _rows(reader, _LIVES)
    ]


def read_departures(reader: apsw.Connection, mailbox: int | None) -> list[Departure]:
    """What left, oldest first."""
    if mailbox is None:
        return [_departure(row) for row in _rows(reader, f"{_DEPARTURE} ORDER BY modseq")]
    return [_departure(row) for row in _rows(reader, f"{_DEPARTURE} AND mailbox = ? ORDER BY modseq", mailbox)]


def read_deleted_in(reader: apsw.Connection) -> frozenset[int]:
    """Mailboxes out of which something was expunged that is not back. Of a record only its head is read."""
    return frozenset(mailbox for (mailbox,) in _rows(reader, _DELETED_IN))


def read_next_number(reader: apsw.Connection) -> int:
    """The number of what is expunged next; the newest record is never swept away whole."""
    rows = _rows(reader, "SELECT number FROM expunged ORDER BY modseq DESC LIMIT 1")
    return int(rows[0][0]) + 1 if rows else 1


def read_restores(reader: apsw.Connection) -> list[Restored]:
    """What was brought back, oldest first."""
    found = _rows(reader, "SELECT id, time, placed FROM restored ORDER BY id")
    return [Restored(number, time, _unpacked(placed)) for number, time, placed in found]


def _rows(reader: apsw.Connection, sql: str, *bindings: object) -> list[Any]:
    return reader.execute(sql, bindings).fetchall()


def _departure(row: Any) -> Departure:
    modseq, mailbox, time, moved, number, uids, messages, columns, back = row
    page = unpack_gone(unpack_uids(uids), unpack_ids(messages), columns, modseq)
    return Departure(
        modseq=modseq,
        mailbox=mailbox,
        time=time,
        moved=bool(moved),
        number=number + 1 if moved else number - len(page) + 1,
        page=page,
        back=back or bytes(len(page)),
    )


def _unpacked(placed: bytes) -> tuple[Placed, ...]:
    return tuple(msgspec.msgpack.decode(placed, type=list[Placed]))


@dataclass(frozen=True, slots=True)
class Restore:
    """Put messages into mailboxes again, all or none."""

    placings: Sequence[Placing]
    quota: tuple[int, int] = (0, 0)

    def __call__(self, unit: AccountUnit) -> Callable[[], Restored]:
        gone = _Gone(unit)
        found = [_Found(unit, placing, gone) for placing in self.placings]
        found = [one for one in found if one.pages or not one.placing.sources]
        octets = sum(sum(page.sizes) for one in found for page, _ in one.pages)
        count = sum(len(page) for one in found for page, _ in one.pages)
        if not found:
            return lambda: Restored(0, unit.now, ())
        check_quota(unit.totals, octets, count, self.quota)
        for one in found:
            one.check(unit)
        placed = tuple([one.place(unit) for one in found])
        unit.totals.octets += octets
        unit.totals.messages += count
        _mark_back(unit, [departure for one in found for departure in one.departures])
        unit.connection.execute(
            "INSERT INTO restored (time, placed) VALUES (?, ?)", (unit.now, msgspec.msgpack.encode(placed))
        )
        number = unit.connection.last_insert_rowid()
        return lambda: Restored(number, unit.now, placed)


class _Gone:
    """Departures as this transaction finds them, each read once."""

    def __init__(self, unit: AccountUnit) -> None:
        self._connection = unit.connection
        self._known: dict[int, tuple[Departure, dict[int, int]] | None] = {}
        self.lives = {life.id: life for life in read_lives(unit.connection)}

    def departure(self, modseq: int) -> tuple[Departure, dict[int, int]] | None:
        """The departure and the places of its UIDs; None when there is none."""
        if modseq not in self._known:
            rows = _rows(self._connection, f"{_DEPARTURE} AND modseq = ?", modseq)
            self._known[modseq] = None
            if rows:
                found = _departure(rows[0])
                self._known[modseq] = found, dict(zip(found.page.uids, range(len(found.page)), strict=True))
        return self._known[modseq]


class _Found:
    """The messages of one Placing. pages: as they are put, each with the keywords its bits stand for."""

    def __init__(self, unit: AccountUnit, placing: Placing, gone: _Gone) -> None:
        self.placing = placing
        self._gone = gone
        self.pages: list[tuple[Page, tuple[str, ...]]] = []
        self.departures: list[tuple[int, list[int]]] = []  # (MODSEQ, places in it)
        self._places: list[int] = []
        start = 0
        for source in placing.sources:
            taken = self._departed(unit, source) if source.departure else _staying(unit, source)
            if taken is not None:
                page, keywords, asked = taken
                self.pages.append((page, keywords))
                self._places.extend([start + place for place in asked])
            start += len(source.uids)

    def _departed(self, unit: AccountUnit, source: Source) -> tuple[Page, tuple[str, ...], list[int]] | None:
        """Those that can still be had, the keywords, and their places among the UIDs asked for."""
        known = self._gone.departure(source.departure)
        if known is None:
            return None
        departure, there = known
        wanted = [(asked, there[uid]) for asked, uid in enumerate(source.uids) if uid in there]
        page = take(departure.page, [place for _, place in wanted])
        if departure.moved:  # no references: they may be swept already where they lived on
            kept = _kept(unit, page.messages)
            wanted = list(compress(wanted, kept))
            page = take(departure.page, [place for _, place in wanted])
        elif wanted:
            self.departures.append((departure.modseq, [place for _, place in wanted]))
        return (page, self._gone.lives[departure.mailbox].keywords, [asked for asked, _ in wanted]) if wanted else None

    def check(self, unit: AccountUnit) -> None:
        """Raises TooManyKeywords, StoreError: is there room in the target? It learns the keywords."""
        names: dict[str, str] = {}
        for page, keywords in self.pages:
            names.update({name.lower(): name for name in _used(page, keywords)})
        info = read_mailbox(unit.connection, self.placing.target)
        if info is not None:
            box = unit.open(info.id)
            box.room_for(sum(len(page) for page, _ in self.pages))
            box.keyword_bits(tuple(names.values()), learn=True)
        elif too_many(list(names)):
            raise TooManyKeywords(f"a mailbox can have {MOST} different keywords")

    def place(self, unit: AccountUnit) -> Placed:
        """Add them; the target is made when there is none."""
        placing = self.placing
        info = read_mailbox(unit.connection, placing.target)
        made: list[int] = []
        if info is None:
            made += make_parents(unit, placing.target)
            made.append(insert_mailbox(unit, placing.target, placing.special_use))
            info = read_mailbox_by_id(unit.connection, made[-1])
        if not self.pages:
            return Placed(info.id, placing.target, info.uidvalidity, tuple(made), (), ())
        box = unit.open(info.id)
        whole = join([_moved(page, translate_keywords(page.keywords, names, box)) for page, names in self.pages])
        unit.connection.execute(REFER, (apsw.carray(signed(whole.messages)),))
        uids = box.add(whole, unit.next_modseq())
        return Placed(info.id, placing.target, info.uidvalidity, tuple(made), tuple(self._places), tuple(uids))


def _staying(unit: AccountUnit, source: Source) -> tuple[Page, tuple[str, ...], list[int]] | None:
    """Messages of a mailbox that is there. Raises NotFound."""
    box = unit.open(source.mailbox)
    wanted = as_uids(sorted(set(source.uids)))
    chosen = [take(box.pages[place], list(compress(range(len(mask)), mask)))
              for place in reversed(list(box.places())) if (mask := mask_of(box.pages[place], wanted))]  # fmt: skip
    page = join(chosen)
    there = dict(zip(page.uids, range(len(page)), strict=True))
    asked = [place for place, uid in enumerate(source.uids) if uid in there]
    return (take(page, [there[source.uids[place]] for place in asked]), box.keywords, asked) if asked else None


def _kept(unit: AccountUnit, messages: array[int]) -> list[bool]:
    if not messages:
        return []
    rows = _rows(unit.connection, "SELECT id FROM message WHERE id IN carray(?)", apsw.carray(signed(messages)))
    there = {number for (number,) in rows}
    return [number in there for number in messages]


def _used(page: Page, keywords: tuple[str, ...]) -> list[str]:
    used = 0
    for bits in set(page.keywords):
        used |= bits
    return [name for place, name in enumerate(keywords) if used >> place & 1]


def _moved(page: Page, keywords: array[int]) -> Page:
    """Columns for the target; UIDs and MODSEQs are given there."""
    flags = page.flags.translate(_BACK)
    return Page(page.uids, flags, keywords, page.modseqs, page.messages, page.sizes, page.dates, page.saved)


def _mark_back(unit: AccountUnit, departures: list[tuple[int, list[int]]]) -> None:
    for modseq, places in departures:
        [(messages, back)] = _rows(unit.connection, "SELECT messages, back FROM expunged WHERE modseq = ?", modseq)
        marks = bytearray(back or len(messages) // 8)
        for place in places:
            marks[place] = 1
        unit.connection.execute("UPDATE expunged SET back = ? WHERE modseq = ?", (bytes(marks), modseq))


@dataclass(frozen=True, slots=True)
class UndoRestore:
    """Expunge what a restore brought and is still there."""

    restore: int

    def __call__(self, unit: AccountUnit) -> Callable[[], Undone]:
        rows = _rows(unit.connection, "SELECT placed FROM restored WHERE id = ?", self.restore)
        if not rows:
            raise NotFound(f"no restore {self.restore}")
        placed = _unpacked(rows[0][0])
        gone = sum(_take_away(unit, one) for one in placed)
        names = [name for one in reversed(placed) for made in reversed(one.made) if (name := _unmake(unit, made))]
        unit.connection.execute("DELETE FROM restored WHERE id = ?", (self.restore,))
        return lambda: Undone(gone, tuple(names))


def _take_away(unit: AccountUnit, placed: Placed) -> int:
    try:
        box = unit.open(placed.mailbox)
    except NotFound:
        return 0  # deleted since, with all that was in it
    wanted = as_uids(placed.uids)
    chosen = [(place, mask) for place in box.places() if (mask := mask_of(box.pages[place], wanted))]
    return len(expunge_chosen(unit, box, chosen)) if chosen else 0


def _unmake(unit: AccountUnit, mailbox: int) -> str:
    """The name of a mailbox that was made for the restore, is empty, and is gone now; else ""."""
    try:
        if unit.open(mailbox).row.messages:
            return ""
        name = read_mailbox_by_id(unit.connection, mailbox).name
        Delete(mailbox)(unit)
    except (NotFound, MailboxHasChildren):
        return ""
    return name
