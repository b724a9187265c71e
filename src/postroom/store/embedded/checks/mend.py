"""`postroom check --repair` in an account's file: what can be made anew from the rest is, in one transaction.

Counters and totals come from the pages, references from pages and expunge records, what belongs to nobody goes. Mail is
never thrown away: messages that no mailbox and no expunge record names are put into a mailbox of their own. While a
page cannot be read, nothing is concluded from its messages being nowhere.
On failure: the transaction's.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import apsw

from postroom.store.api.pages import Page
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_folders import insert_mailbox
from postroom.store.embedded.account_read import page_id, read_counters, read_mailbox
from postroom.store.embedded.checks.account_rules import MAIL
from postroom.store.embedded.checks.contents import are_marks, can_be_undone, check_traits
from postroom.store.embedded.checks.row_rules import mend
from postroom.store.embedded.codec import repeat, unpack_ids, unpack_page, unpack_tail
from postroom.store.embedded.columns import deleted, unseen
from postroom.store.embedded.working import Counters

#: where messages go that nothing names
FOUND: Final = "Found by repair"
_LEFT_WITHOUT_LIFE: Final = (
    "INSERT INTO life SELECT DISTINCT mailbox, 0, ?1, 'Mailbox ' || mailbox, 1, '', '' FROM expunged"
    " WHERE columns IS NOT NULL AND mailbox NOT IN (SELECT mailbox FROM life)"
)


@dataclass(slots=True)
class _Held:
    """What all pages hold. whole: every page could be read."""

    references: Counter[int] = field(default_factory=Counter)
    octets: int = 0
    messages: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class MendAccount:
    """All of one account."""

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        connection, totals = unit.connection, unit.totals
        rows = _rows(
            connection,
            "SELECT max(n) FROM (SELECT max(modseq) AS n FROM mailbox UNION ALL SELECT max(modseq) FROM expunged"
            " UNION ALL SELECT max(version) FROM page)",
        )
        totals.modseq = max(totals.modseq, rows[0][0] or 0)
        mend(connection, MAIL)
        _mend_memories(unit)
        if any(True for _ in check_traits(connection, "")):
            connection.execute("DELETE FROM traits")
        held = _mend_mailboxes(unit)
        unit.list_changed()
        totals.uidvalidity = max(totals.uidvalidity, *_column(connection, "SELECT uidvalidity FROM account"))
        newest = max(_column(connection, "SELECT coalesce(max(id), 0) FROM message"))
        totals.next_message = max(totals.next_message, newest + 1, max(held.references, default=0) + 1)
        if held.whole:
            totals.octets, totals.messages = held.octets, held.messages
            _mend_references(unit, held)
        return lambda: None


def _mend_mailboxes(unit: AccountUnit) -> _Held:
    """Pages without a mailbox, counters, lives."""
    connection = unit.connection
    held = _Held()
    boxes = _column(connection, "SELECT id FROM mailbox")
    known = " OR ".join(f"id BETWEEN {page_id(box, 0)} AND {page_id(box + 1, 0) - 1}" for box in boxes)
    connection.execute(f"DELETE FROM page WHERE NOT ({known or 'false'})")
    for box in boxes:
        _mend_mailbox(unit, read_counters(connection, box), held)
    connection.execute(
        "INSERT INTO life (mailbox, created) SELECT id, 0 FROM mailbox WHERE id NOT IN (SELECT mailbox FROM life)"
    )
    connection.execute(
        "UPDATE life SET deleted = NULL, name = NULL, uidvalidity = NULL, special_use = NULL, keywords = NULL"
        " WHERE deleted IS NOT NULL AND mailbox IN (SELECT id FROM mailbox)"
    )
    connection.execute(
        "UPDATE life SET deleted = ?1, name = 'Mailbox ' || mailbox, uidvalidity = 1, special_use = '', keywords = ''"
        " WHERE deleted IS NULL AND mailbox NOT IN (SELECT id FROM mailbox)",
        (unit.now,),
    )
    connection.execute(_LEFT_WITHOUT_LIFE, (unit.now,))
    if read_mailbox(connection, "INBOX") is None:
        insert_mailbox(unit, "INBOX", "")
    return held


def _mend_mailbox(unit: AccountUnit, row: Counters, held: _Held) -> None:
    pages = list(_pages(unit.connection, row))
    if None in pages:
        held.whole = False
        return
    there = [page for page in pages if page is not None and len(page)]
    held.messages += sum(map(len, there))
    held.octets += sum(sum(page.sizes) for page in there)
    for page in there:
        held.references.update(page.messages)
    right = (
        max([row.uidnext, *(max(page.uids) + 1 for page in there)]),
        sum(map(len, there)),
        sum(unseen(page.flags) for page in there),
        sum(deleted(page.flags) for page in there),
        sum(sum(page.sizes) for page in there),
    )
    newest = max([0, *(max(page.modseqs) for page in there)])
    versions = _column(unit.connection, f"SELECT coalesce(max(version), 0) FROM page WHERE {_of(row.id)}")
    unit.totals.modseq = max(unit.totals.modseq, newest)
    if right != (row.uidnext, row.messages, row.unseen, row.deleted, row.size) or row.modseq < max(newest, *versions):
        unit.connection.execute(
            "UPDATE mailbox SET uidnext = ?, messages = ?, unseen = ?, deleted = ?, size = ?, modseq = ? WHERE id = ?",
            (*right, unit.next_modseq(), row.id),
        )
    unit.file.rows.pop(row.id, None)
    unit.file.images.pop(row.id, None)


def _pages(connection: apsw.Connection, row: Counters) -> Iterable[Page | None]:
    """Those of a mailbox, None for one that cannot be read."""
    halves = dict(_rows(connection, f"SELECT id, data FROM page WHERE {_of(row.id)}"))
    for key in sorted({key & ~1 for key in halves}):
        try:
            yield unpack_page(halves[key], halves[key | 1])
        except (KeyError, ValueError, IndexError):
            yield None
    if row.tail:
        try:
            yield unpack_tail(row.tail)
        except ValueError:
            yield None


def _of(mailbox: int) -> str:
    return f"id BETWEEN {page_id(mailbox, 0)} AND {page_id(mailbox + 1, 0) - 1}"


def _mend_references(unit: AccountUnit, held: _Held) -> None:
    connection, count = unit.connection, held.references
    for (messages,) in _rows(connection, "SELECT messages FROM expunged WHERE messages IS NOT NULL AND NOT moved"):
        count.update(unpack_ids(messages))
    kept = set(_column(connection, "SELECT id FROM message"))
    right = {message: times - 1 for message, times in count.items() if times > 1 and message in kept}
    if dict(_rows(connection, "SELECT message, count FROM extra")) != right:
        connection.execute("DELETE FROM extra")
        connection.executemany("INSERT INTO extra VALUES (?, ?)", sorted(right.items()))
    for body in _column(
        connection, "SELECT id FROM body WHERE id NOT IN (SELECT id FROM message WHERE prefix IS NULL)"
    ):
        if body not in count:
            connection.execute("DELETE FROM body WHERE id = ?", (body,))
    lost = sorted(kept.difference(count))
    if lost:
        _bring_in(unit, lost)


def _bring_in(unit: AccountUnit, lost: list[int]) -> None:
    """Messages that nothing names, into a mailbox."""
    connection = unit.connection
    info = read_mailbox(connection, FOUND)
    number = info.id if info is not None else insert_mailbox(unit, FOUND, "")
    wanted = set(lost)
    found = [row for row in _rows(connection, "SELECT id, size, internaldate FROM message") if row[0] in wanted]
    ids, sizes, dates = (list(column) for column in zip(*found, strict=True))
    empty = repeat("Q", 0, len(ids))
    nowhere = array("I", bytes(4 * len(ids)))
    page = Page(nowhere, bytes(len(ids)), empty, empty, array("Q", ids), array("I", sizes), array("q", dates), nowhere)
    unit.open(number).add(page, unit.next_modseq())
    unit.totals.octets += sum(sizes)
    unit.totals.messages += len(ids)


def _mend_memories(unit: AccountUnit) -> None:
    for number, placed in _rows(unit.connection, "SELECT id, placed FROM restored"):
        if not can_be_undone(placed):
            unit.connection.execute("DELETE FROM restored WHERE id = ?", (number,))
    for mailbox, marks in _rows(unit.connection, "SELECT id, marks FROM mailbox WHERE marks != ''"):
        if not are_marks(marks):
            unit.connection.execute("UPDATE mailbox SET marks = '' WHERE id = ?", (mailbox,))
            unit.file.marks.pop(mailbox, None)


def _column(connection: apsw.Connection, sql: str) -> list[Any]:
    return [row[0] for row in _rows(connection, sql)]


def _rows(connection: apsw.Connection, sql: str) -> list[Any]:
    return connection.execute(sql).fetchall()
