"""The invariants of sharing beside those of its rows (account_rules.py): marks in order, and an index that names
nobody too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import apsw

from postroom.store.api.directory import AccountRow, DirectoryStore
from postroom.store.api.marks import CHUNK_BITS
from postroom.store.api.store import Finding
from postroom.store.embedded.account_sharing import read_acls
from postroom.store.embedded.database import OpenOptions, open_database
from postroom.store.embedded.layout import AccountLayout
from postroom.store.embedded.marks import unpack


def check_sharing(reader: apsw.Connection, place: str) -> Iterator[Finding]:
    """What readers have seen, within the read transaction of one account's file."""
    boxes: dict[int, tuple[int, int]] = {
        box: (uidnext, modseq) for box, uidnext, modseq in _rows(reader, "SELECT id, uidnext, modseq FROM mailbox")
    }
    for mailbox, reads, chunk, data in _rows(reader, "SELECT mailbox, reader, chunk, data FROM mark"):
        if mailbox not in boxes:
            continue
        uidnext, modseq = boxes[mailbox]
        try:
            marks = unpack(data)
        except ValueError as fault:
            yield Finding(place, f"marks of {reads} in mailbox {mailbox} cannot be read: {fault}")
            continue
        uids = list(marks.uids)
        sound = len(uids) == len(marks.values) and uids == sorted(set(uids))
        if not sound or any(uid >> CHUNK_BITS != chunk or uid >= uidnext for uid in uids):
            yield Finding(place, f"marks of {reads} in mailbox {mailbox} are not in order")
        if any(value >> 1 > modseq for value in marks.values):
            yield Finding(place, f"a mark of {reads} is newer than mailbox {mailbox}")


def check_index(row: AccountRow, layout: AccountLayout, options: OpenOptions, indexed: frozenset[str]) -> list[Finding]:
    """What the directory says of an account's file and nobody would find without.

    Everybody named in an ACL is in its index, and whoever has a script or a contact is known to have one. An account
    that is being made has no row yet; one with a row has an INBOX.
    """
    named, filtered, contacts = what_is_kept(layout, options)
    found = [
        Finding("directory.db", f"{identifier} has rights on mailboxes of {row.id} that no index tells of", True)
        for identifier in sorted(named - indexed)
    ]
    if filtered and not row.filtered:
        found.append(Finding("directory.db", f"nobody looks for the scripts of {row.login}", True))
    if contacts and not row.contacts:
        found.append(Finding("directory.db", f"nobody looks into the address book of {row.login}", True))
    if not _has_inbox(layout, options):
        found.append(Finding(f"accounts/{row.id}", "there is no INBOX", True))
    return found


def _has_inbox(layout: AccountLayout, options: OpenOptions) -> bool:
    reader = open_database(layout.database, options, cache_kib=options.reader_cache_kib)
    try:
        return bool(_rows(reader, "SELECT 1 FROM mailbox WHERE name = 'INBOX'"))
    finally:
        reader.close()


def what_is_kept(layout: AccountLayout, options: OpenOptions) -> tuple[frozenset[str], bool, bool]:
    """Everybody named in an ACL of the account, whether it has scripts, and contacts. Raises apsw.Error."""
    reader = open_database(layout.database, options, cache_kib=options.reader_cache_kib)
    try:
        named = frozenset(identifier for acl in read_acls(reader).values() for identifier in acl)
        scripts, contacts = (_rows(reader, f"SELECT 1 FROM {table} LIMIT 1") for table in ("script", "contact"))
        return named, bool(scripts), bool(contacts)
    finally:
        reader.close()


async def mend_index(directory: DirectoryStore, row: AccountRow, kept: tuple[frozenset[str], bool, bool]) -> None:
    """Have the directory say it. kept: what_is_kept. Raises StoreUnavailable."""
    named, filtered, contacts = kept
    for identifier in sorted(named - frozenset(await directory.shares(row.id))):
        await directory.put_share(row.id, identifier)
    there = replace(row, filtered=row.filtered or filtered, contacts=row.contacts or contacts)
    if there != row:
        await directory.put_account(there)


def _rows(reader: apsw.Connection, sql: str) -> list[Any]:
    return reader.execute(sql).fetchall()
