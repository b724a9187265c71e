"""An account's file for writing: one open transaction gathers a batch's changes and writes each row once.

Owns: the writer connection (committer's thread only), the images of mailboxes as the last commit left them, and the
body files a transaction makes. A failed transaction removes the files it made; one that dies with the process leaves
files without a row, which the next sweep removes.
"""

from __future__ import annotations

import contextlib
import os
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import apsw

from postroom.message.parts import may_hold_files
from postroom.store.api.feed import Feed, Hint
from postroom.store.api.pages import Snapshot
from postroom.store.embedded.account_read import load_image, page_id, read_counters, read_marks, read_totals
from postroom.store.embedded.account_restart import left_unsettled, note_unsettled, skip_lost
from postroom.store.embedded.codec import pack_fixed, pack_flags
from postroom.store.embedded.database import ACCOUNT_CHECKPOINT_PAGES, OpenOptions, open_database, rollback
from postroom.store.embedded.disk import Disk, discard
from postroom.store.embedded.layout import AccountLayout
from postroom.store.embedded.unsettled import Unsettled
from postroom.store.embedded.working import Counters, Image, Working
from postroom.values.clock import Clock

_WRITE_PAGE = "REPLACE INTO page VALUES (?, ?, ?)"
_WRITE_MAILBOX = (
    "UPDATE mailbox SET uidnext = ?, modseq = ?, messages = ?, unseen = ?, deleted = ?, size = ?, next_page = ?,"
    " history = ?, paged = ?, account_modseq = ?, next_message = ?, account_octets = ?, account_messages = ?,"
    " keywords = ?, tail = ?, marks = ? WHERE id = ?"
)
#: characters of marks a mailbox's row keeps: with a full tail it still fits a page of the file
_MOST_MARKS: Final = 768
_LONG_WAL: Final = 512 * 1024
_FULL: Final = 2
_NORMAL: Final = 1
_WRITE_ACCOUNT = "UPDATE account SET modseq = ?, uidvalidity = ?, next_message = ?, octets = ?, messages = ?"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every account of a store shares."""

    options: OpenOptions
    disk: Disk
    clock: Clock
    feed: Feed
    unsettled: Unsettled


class AccountFile:
    """One account's mail.db as the committer sees it."""

    __slots__ = (
        "_noted",
        "_synced",
        "_version",
        "_writer",
        "around",
        "id",
        "images",
        "layout",
        "marks",
        "rows",
        "totals",
    )

    def __init__(self, account: str, layout: AccountLayout, around: Surroundings) -> None:
        self.id = account
        self.layout = layout
        self.around = around
        self.images: dict[int, Image] = {}
        self.rows: dict[int, Counters] = {}  # mailbox rows as our last commit left them
        self.totals: Totals | None = None
        self.marks: dict[int, str] = {}  # mailbox -> its newest deliveries; read with the totals
        self._version = -1  # of the file after our last commit, while rows and totals are right
        self._writer: apsw.Connection | None = None
        self._synced = True  # the writer syncs each commit
        self._noted = False  # the file says that deliveries of this run of the machine may be lost

    def begin(self, durable: bool = True) -> AccountUnit:
        """Open a transaction; one that need not be durable is not synced (see `unsettled`). Raises apsw.Error."""
        writer = self._writer or self._open()
        synced = durable or not self._noted
        if synced != self._synced:
            writer.pragma("synchronous", _FULL if synced else _NORMAL)
            self._synced = synced
        writer.execute("BEGIN IMMEDIATE")
        if writer.data_version() != self._version:  # another process wrote, or a transaction failed
            self.rows.clear()
            self.totals = None
        unit = AccountUnit(self, writer, durable)
        if synced and not durable and self.around.unsettled.boot:
            note_unsettled(writer, self.around.unsettled.boot)
        return unit

    def _open(self) -> apsw.Connection:
        """The writer. Before its first transaction after power loss, numbers that were lost are skipped."""
        options, boot = self.around.options, self.around.unsettled.boot
        writer = open_database(
            self.layout.database, options, cache_kib=options.writer_cache_kib, checkpoint=ACCOUNT_CHECKPOINT_PAGES
        )
        try:
            found = left_unsettled(writer)
            if found and found != boot:
                writer.execute("BEGIN IMMEDIATE")
                if left_unsettled(writer) == found:  # else another process was quicker
                    skip_lost(writer)
                writer.execute("COMMIT")
            self._noted = bool(boot) and left_unsettled(writer) == boot
        except BaseException:
            rollback(writer)
            writer.close()
            raise
        self._writer, self._synced = writer, True
        return writer

    def committed(self, connection: apsw.Connection, durable: bool) -> None:
        """Rows and totals are what the file holds."""
        self._version = connection.data_version()
        if not durable:
            if self._synced:
                self._noted = bool(self.around.unsettled.boot)
            else:
                self.around.unsettled.add(self.layout.log)

    def failed(self) -> None:
        """Rows and totals may be anything."""
        self._version = -1

    def close(self) -> None:
        """Close the writer; on the committer's thread, or when it has ended."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self.failed()
            with contextlib.suppress(apsw.Error, OSError):
                # who opens the file next reads the whole WAL first, and on the event loop: leave little of it
                if os.stat(f"{self.layout.database}-wal").st_size > _LONG_WAL:
                    writer.set_busy_timeout(0)
                    writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            with contextlib.suppress(apsw.Error):
                writer.close()


@dataclass(slots=True)
class Totals:
    """The account's counters."""

    uidvalidity: int
    modseq: int
    next_message: int
    octets: int
    messages: int


class AccountUnit:
    """One transaction on one account. See Committer for the rules of work done with it."""

    __slots__ = (
        "_arrived",
        "_boxes",
        "_changes",
        "_dead_files",
        "_durable",
        "_files",
        "_folders",
        "_holds_files",
        "_list_changed",
        "connection",
        "file",
        "now",
        "totals",
    )

    def __init__(self, file: AccountFile, connection: apsw.Connection, durable: bool = True) -> None:
        self.file = file
        self.connection = connection
        self._durable = durable
        self.now = file.around.clock.now()
        if file.totals is None:
            uidvalidity: Any = connection.execute("SELECT uidvalidity FROM account").get
            file.marks = read_marks(connection)
            file.totals = Totals(uidvalidity, *read_totals(connection))
        self.totals = file.totals
        self._boxes: dict[int, Working] = {}
        self._changes = 0
        self._list_changed = False
        self._files: list[str] = []
        self._dead_files: list[str] = []
        self._folders: set[str] = set()
        self._arrived = 0
        self._holds_files = False

    # what work may use

    def open(self, mailbox: int) -> Working:
        """The mailbox to work on. Raises NotFound."""
        box = self._boxes.get(mailbox)
        if box is None:
            row = self.file.rows.get(mailbox)
            if row is None:
                row = self.file.rows[mailbox] = read_counters(self.connection, mailbox)
            image = self.file.images.get(mailbox)
            if image is None or image.snapshot.modseq != row.modseq:
                older = image if image is not None and image.snapshot.modseq < row.modseq else None
                image = load_image(self.connection, row, older)
            box = self._boxes[mailbox] = Working(row, image, int(self.now))
        return box

    def came(self, parts: bytes) -> None:
        """A message is added. parts: where its parts are, packed."""
        self._arrived += 1
        if may_hold_files(parts):
            self._holds_files = True

    def next_modseq(self) -> int:
        """The account's next MODSEQ: from here on something is changed."""
        self._changes += 1
        self.totals.modseq += 1
        return self.totals.modseq

    def new_file(self, path: str, folder: str) -> None:
        """A file was made in this transaction: it goes when the transaction does not stand."""
        self._files.append(path)
        self._folders.add(folder)

    def drop_file(self, path: str) -> None:
        """A body file that is not named any more once this transaction stands."""
        self._dead_files.append(path)

    def list_changed(self) -> None:
        """The list of mailboxes is not what it was."""
        self._list_changed = True
        self.next_modseq()

    def forget(self, mailbox: int) -> None:
        """The mailbox was removed in this transaction: nothing of it is to be written."""
        self._boxes.pop(mailbox, None)
        self.file.rows.pop(mailbox, None)
        self._store_marks(mailbox)

    def is_delivered(self, delivery: tuple[str, str]) -> bool:
        """Was this (queue id, recipient) delivered into the account before?"""
        mark = _mark(delivery)
        sql = "SELECT 1 FROM delivered WHERE queue = ? AND recipient = ?"
        if (
            any(mark in marks for marks in self.file.marks.values())
            or self.connection.execute(sql, delivery).fetchone() is not None
        ):
            self.file.around.unsettled.add(self.file.layout.log)  # by a process that is gone, perhaps just before
            return True
        return False

    def remember(self, mailbox: int, delivery: tuple[str, str]) -> None:
        """Delivered, in this transaction, into a mailbox that it changes."""
        marks = f"{self.file.marks.get(mailbox, chr(10))}{_mark(delivery)[1:]}{self.now:.0f}\n"
        self.file.marks[mailbox] = marks
        if len(marks) > _MOST_MARKS:
            self._store_marks(mailbox)

    def forget_deliveries(self, before: float) -> None:
        """Those before a time cannot be repeated any more."""
        for mailbox, marks in list(self.file.marks.items()):
            if float(marks.split("\n", 2)[1].rpartition("\t")[2]) < before:
                self._store_marks(mailbox)
                self.connection.execute("UPDATE mailbox SET marks = '' WHERE id = ?", (mailbox,))
        self.connection.execute("DELETE FROM delivered WHERE time < ?", (before,))

    def _store_marks(self, mailbox: int) -> None:
        """Move a mailbox's marks to the table."""
        marks = self.file.marks.pop(mailbox, "").strip("\n")
        rows = []
        for mark in marks.split("\n") if marks else ():
            delivery, _, time = mark.rpartition("\t")
            rows.append((*delivery.split(" ", 1), float(time)))
        if rows:
            self.connection.executemany("INSERT OR IGNORE INTO delivered VALUES (?, ?, ?)", rows)

    def snapshot(self, mailbox: int) -> Snapshot:
        """After the commit: the mailbox as this transaction left it."""
        return self.file.images[mailbox].snapshot

    # what the committer uses

    def changed(self) -> int:
        """Grows with every change."""
        return self._changes + self.connection.total_changes()

    def commit(self) -> Callable[[], None] | None:
        """Write what changed; files first, so that a row never names a file that is not there."""
        disk = self.file.around.disk
        for folder in self._folders:
            disk.sync_folder(folder)
        touched = self._write() if self._changes else {}
        self.connection.execute("COMMIT")
        self.file.committed(self.connection, self._durable)
        for path in self._dead_files:
            discard(disk, path)
        for mailbox, box in self._boxes.items():
            self.file.images[mailbox] = touched.get(mailbox) or box.origin
            if mailbox not in touched:  # it may have learned a keyword that nobody got
                self.file.rows.pop(mailbox, None)
        if not self._changes:
            return None
        hints = [Hint(self.file.id, mailbox, image.snapshot.modseq) for mailbox, image in touched.items()]
        if self._list_changed:
            hints.append(Hint(self.file.id, 0, self.totals.modseq))
        return lambda: self._publish(hints)

    def _publish(self, hints: Sequence[Hint]) -> None:
        feed = self.file.around.feed
        for hint in hints:
            feed.publish(hint)
        if self._arrived:
            feed.arrived(self.file.id, self._arrived, self._holds_files)

    def rollback(self) -> None:
        """As if it never was."""
        self.file.failed()
        rollback(self.connection)
        for path in self._files:
            discard(self.file.around.disk, path)

    def _write(self) -> dict[int, Image]:
        """Write pages, mailbox rows and the account's row; gives the new images of changed mailboxes."""
        touched: dict[int, Image] = {}
        totals, marks = self.totals, self.file.marks
        for mailbox, box in self._boxes.items():
            if not box.changed:
                continue
            touched[mailbox] = box.image()
            row = box.row
            if box.pack_tail():
                row.paged = row.modseq
                self._write_pages(box)
            self.connection.execute(
                _WRITE_MAILBOX,
                (
                    row.uidnext, row.modseq, row.messages, row.unseen, row.deleted, row.size, row.next_page,
                    row.history, row.paged, totals.modseq, totals.next_message, totals.octets, totals.messages,
                    row.keywords, row.tail, marks.get(mailbox, ""), mailbox,
                ),
            )  # fmt: skip
        if self._list_changed or not touched:
            self.connection.execute(
                _WRITE_ACCOUNT,
                (totals.modseq, totals.uidvalidity, totals.next_message, totals.octets, totals.messages),
            )
        return touched

    def _write_pages(self, box: Working) -> None:
        if box.dropped:
            ids = [(page_id(box.row.id, number),) for number in box.dropped]
            self.connection.executemany("DELETE FROM page WHERE id IN (?1, ?1 | 1)", ids)
        rows = _packed(box)
        if rows:
            self.connection.executemany(_WRITE_PAGE, rows)


def _mark(delivery: tuple[str, str]) -> str:
    return f"\n{delivery[0]} {delivery[1]}\t"


def _packed(box: Working) -> list[tuple[int, int, bytes]]:
    """Rows of `page` to write. Numbers of pages ascend, so each is found by bisection."""
    mailbox, version, numbers, pages = box.row.id, box.row.modseq, box.numbers, box.pages
    at = partial(bisect_left, numbers)
    rows = [(page_id(mailbox, number), version, pack_fixed(pages[at(number)])) for number in box.fixed]
    rows += [(page_id(mailbox, number) | 1, version, pack_flags(pages[at(number)])) for number in box.flags]
    return rows
