"""The invariants of an account's folder. Reads everything once, in one read transaction; changes nothing.

docs/store.md lists them. Each that is broken gives a Finding whose place is a path below the data folder.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

import apsw

from postroom.store.api.store import Finding
from postroom.store.embedded.account_read import page_id, read_counters, read_totals
from postroom.store.embedded.checks.account_rules import MAIL
from postroom.store.embedded.checks.contents import check_memories, check_traits
from postroom.store.embedded.checks.row_rules import broken, check_integrity
from postroom.store.embedded.checks.sharing import check_sharing
from postroom.store.embedded.codec import unpack_ids, unpack_page, unpack_tail, unpack_uids
from postroom.store.embedded.columns import deleted, unseen
from postroom.store.embedded.database import OpenOptions, open_database
from postroom.store.embedded.layout import AccountLayout
from postroom.store.embedded.sweep import stray_files
from postroom.store.embedded.working import LAST, Counters

_READ_AT: Final = 1024 * 1024


def check_account(account: str, layout: AccountLayout, options: OpenOptions, grace: float) -> list[Finding]:
    """Every broken invariant of one account. Raises apsw.Error when the file cannot be read at all."""
    reader = open_database(layout.database, options, cache_kib=options.writer_cache_kib)
    try:
        reader.execute("BEGIN")
        return list(_AccountCheck(account, layout, reader, grace).run())
    finally:
        reader.close()


class _AccountCheck:
    def __init__(self, account: str, layout: AccountLayout, reader: apsw.Connection, grace: float) -> None:
        self._place = f"accounts/{account}"
        self._layout = layout
        self._reader = reader
        self._grace = grace
        self._references: Counter[int] = Counter()
        self._sizes: dict[int, int] = {}  # message id -> size as the pages say
        self._uids: dict[int, set[int]] = {}
        self._uidnext: dict[int, int] = {}

    def _found(self, what: str, *, mendable: bool = False) -> Finding:
        return Finding(self._place, what, mendable)

    def _rows(self, sql: str) -> list[Any]:
        return self._reader.execute(sql).fetchall()

    def run(self) -> Iterator[Finding]:
        yield from check_integrity(self._reader, f"{self._place}/mail.db")
        self._modseq, next_message, octets, messages = read_totals(self._reader)
        newest = self._rows("SELECT coalesce(max(id), 0) FROM message")[0][0]
        if newest >= next_message:
            yield self._found(f"message {newest} has a number that is still to be given", mendable=True)
        held = Counter[str]()
        for (mailbox,) in self._rows("SELECT id FROM mailbox"):
            row = read_counters(self._reader, mailbox)
            held.update(octets=row.size, messages=row.messages)
            yield from self._check_mailbox(row)
        if (held["octets"], held["messages"]) != (octets, messages):
            yield self._found(
                f"usage says {octets} octets, {messages} messages; mailboxes hold {dict(held)}", mendable=True
            )
        known = " OR ".join(f"id BETWEEN {page_id(box, 0)} AND {page_id(box + 1, 0) - 1}" for box in self._uids)
        for (number,) in self._rows(f"SELECT id FROM page WHERE NOT ({known or 'false'})"):
            yield self._found(f"page {number} belongs to no mailbox", mendable=True)
        yield from broken(self._reader, self._place, MAIL)
        yield from check_sharing(self._reader, self._place)
        yield from check_traits(self._reader, self._place)
        yield from check_memories(self._reader, self._place)
        yield from self._check_expunged()
        yield from self._check_lives()
        yield from self._check_messages()
        yield from self._check_bodies()

    def _check_mailbox(self, row: Counters) -> Iterator[Finding]:
        place = f"mailbox {row.id}"
        if row.modseq > self._modseq:
            yield self._found(f"{place}: MODSEQ {row.modseq} is above the account's {self._modseq}", mendable=True)
        seen: array[int] = array("I")
        counted: Counter[str] = Counter()
        keywords = len(row.keywords.split("\n")) if row.keywords else 0
        pages = self._rows(
            f"SELECT id, version, data FROM page WHERE id BETWEEN {page_id(row.id, 0)} AND {page_id(row.id + 1, 0) - 1}"
        )
        halves = {key: data for key, _, data in pages}
        if any(version > row.modseq for _, version, _ in pages):
            yield self._found(f"{place}: a page is newer than the mailbox", mendable=True)
        keys = sorted({key & ~1 for key in halves})
        if row.tail:
            keys.append(page_id(row.id, LAST))
        for key in keys:
            try:
                page = unpack_page(halves[key], halves[key | 1]) if key in halves else unpack_tail(row.tail)
            except (KeyError, ValueError, IndexError) as fault:
                yield self._found(f"{place}: page {key} cannot be read: {fault!r}")
                continue
            number = key >> 1 & 0x7FFFFFFF
            if not len(page) or (number >= row.next_page and number != LAST):
                yield self._found(f"{place}: page {key} is empty or not numbered yet")
                continue
            seen += page.uids
            counted.update(
                messages=len(page), unseen=unseen(page.flags), deleted=deleted(page.flags), size=sum(page.sizes)
            )
            if max(page.modseqs) > row.modseq:
                yield self._found(f"{place}: a message is newer than the mailbox", mendable=True)
            if max(page.keywords) >> keywords:
                yield self._found(f"{place}: a message has a keyword the mailbox does not know")
            self._references.update(page.messages)
            self._sizes.update(zip(page.messages, page.sizes, strict=True))
        yield from self._check_counters(row, place, seen, counted)

    def _check_counters(self, row: Counters, place: str, seen: array[int], counted: Counter[str]) -> Iterator[Finding]:
        self._uids[row.id] = set(seen)
        self._uidnext[row.id] = row.uidnext
        if len(self._uids[row.id]) != len(seen) or sorted(seen) != list(seen):
            yield self._found(f"{place}: UIDs are not strictly ascending")
        if seen and (seen[-1] >= row.uidnext or seen[0] < 1):
            yield self._found(f"{place}: UIDs lie outside 1..{row.uidnext - 1}", mendable=bool(seen[0]))
        says = {"messages": row.messages, "unseen": row.unseen, "deleted": row.deleted, "size": row.size}
        if any(counted[name] != value for name, value in says.items()):
            yield self._found(f"{place}: counters say {says}, pages hold {dict(counted)}", mendable=True)

    def _check_expunged(self) -> Iterator[Finding]:
        last = 0
        for modseq, mailbox, moved, number, uids, messages, back in self._rows(
            "SELECT modseq, mailbox, moved, number, uids, messages, back FROM expunged ORDER BY modseq"
        ):
            gone = unpack_uids(uids)
            if number < last:
                yield self._found(f"expunge record {modseq} has number {number} after {last}")
            last = number
            if back is not None and (messages is None or len(back) * 8 != len(messages)):
                yield self._found(f"expunge record {modseq} has marks of messages it has not")
            if modseq > self._modseq:
                yield self._found(f"expunge record {modseq} is above the account's MODSEQ", mendable=True)
            if mailbox in self._uids:
                if self._uids[mailbox].intersection(gone):
                    yield self._found(f"mailbox {mailbox}: expunged UIDs are there")
                if gone and gone[-1] >= self._uidnext[mailbox]:
                    yield self._found(f"mailbox {mailbox}: UIDs expunged that were never given")
            if messages is not None and not moved:
                self._references.update(unpack_ids(messages))

    def _check_lives(self) -> Iterator[Finding]:
        """Every mailbox has a life, and so has every one that mail can be brought back from."""
        alive = {mailbox for (mailbox,) in self._rows("SELECT mailbox FROM life WHERE deleted IS NULL")}
        if alive != self._uids.keys():
            yield self._found(
                f"lives of mailboxes differ from mailboxes: {sorted(alive ^ self._uids.keys())[:10]}", mendable=True
            )
        sql = "SELECT DISTINCT mailbox FROM expunged WHERE columns IS NOT NULL EXCEPT SELECT mailbox FROM life"
        for (mailbox,) in self._rows(sql):
            yield self._found(f"mail left mailbox {mailbox}, of which nothing is known", mendable=True)

    def _check_messages(self) -> Iterator[Finding]:
        extra: dict[int, int] = dict(self._rows("SELECT message, count FROM extra"))
        sizes: dict[int, int] = dict(self._rows("SELECT id, size FROM message"))
        for message, count in self._references.items():
            if message not in sizes:
                yield self._found(f"message {message} is in a mailbox but not kept")
            elif extra.pop(message, 0) != count - 1:
                yield self._found(f"message {message} has {count} references, its count differs", mendable=True)
            elif self._sizes.get(message, sizes[message]) != sizes[message]:
                yield self._found(f"message {message}: size differs between page and message")
        if extra:
            yield self._found(f"references counted for messages without any: {sorted(extra)[:10]}", mendable=True)
        lost = [message for message in sizes if message not in self._references]
        if lost:
            yield self._found(f"messages that nothing refers to: {lost[:10]}", mendable=True)

    def _check_bodies(self) -> Iterator[Finding]:
        files: set[str] = set()
        cursor: Any = self._reader.execute(
            "SELECT m.id, size, lower(hex(guid)), prefix, digest, b.data"
            " FROM message AS m LEFT JOIN body AS b USING (id)"
        )
        for message, size, guid, prefix, digest, data in cursor:
            if prefix is None:
                if data is None or len(data) != size or sha256(data).digest() != digest:
                    yield self._found(f"message {message}: its octets are missing or damaged")
                continue
            files.add(guid)
            what = check_file(self._layout.body(guid), size - len(prefix), digest)
            if what:
                yield self._found(f"message {message}: {what}")
        for (message,) in self._rows(
            "SELECT id FROM body WHERE id NOT IN (SELECT id FROM message WHERE prefix IS NULL)"
        ):
            missed = message in self._references  # then these may be the only octets of it
            yield self._found(f"octets of message {message} belong to no message", mendable=not missed)
        for path in stray_files(self._layout.bodies, files.__contains__, self._grace):
            yield self._found(f"file {os.path.basename(path)} belongs to no message", mendable=True)


def check_file(path: str, size: int, digest: bytes) -> str:
    """What is wrong with a body file, "" when nothing is."""
    try:
        with open(path, "rb", buffering=0) as file:
            hashed, octets = sha256(), 0
            while data := file.read(_READ_AT):
                hashed.update(data)
                octets += len(data)
    except OSError as fault:
        return f"its file cannot be read: {fault}"
    if octets != size:
        return f"its file has {octets} octets instead of {size}"
    return "its file is damaged" if digest and hashed.digest() != digest else ""
