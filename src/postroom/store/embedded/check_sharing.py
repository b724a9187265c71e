"""The invariants of sharing: ACLs and marks of mailboxes that are there, and an index that names nobody too few."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw

from postroom.store.api.marks import CHUNK_BITS
from postroom.store.api.store import Finding
from postroom.store.embedded.account_sharing import read_acls
from postroom.store.embedded.database import OpenOptions, open_database
from postroom.store.embedded.layout import AccountLayout
from postroom.store.embedded.marks import unpack
from postroom.values.rights import ALL


def check_sharing(reader: apsw.Connection, place: str) -> Iterator[Finding]:
    """Rows of one account's file, within its read transaction."""
    boxes: dict[int, tuple[int, int]] = {
        box: (uidnext, modseq) for box, uidnext, modseq in _rows(reader, "SELECT id, uidnext, modseq FROM mailbox")
    }
    for mailbox, acl in read_acls(reader).items():
        if mailbox and mailbox not in boxes:
            yield Finding(place, f"an ACL is of mailbox {mailbox}, which is not there", mendable=True)
        if any(not 0 < rights <= ALL for rights in acl.values()):
            yield Finding(place, f"the ACL of mailbox {mailbox} has rights there are not")
    for mailbox, reads, chunk, data in _rows(reader, "SELECT mailbox, reader, chunk, data FROM mark"):
        if mailbox not in boxes:
            yield Finding(place, f"marks are of mailbox {mailbox}, which is not there", mendable=True)
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


def check_index(account: str, layout: AccountLayout, options: OpenOptions, indexed: frozenset[str]) -> list[Finding]:
    """Everybody named in an ACL is in the directory's index, or he would not find what is shared with him."""
    reader = open_database(layout.database, options, cache_kib=options.reader_cache_kib)
    try:
        named = {identifier for acl in read_acls(reader).values() for identifier in acl}
    finally:
        reader.close()
    return [
        Finding(
            "directory.db", f"{identifier} has rights on mailboxes of {account} that no index tells of", mendable=True
        )
        for identifier in sorted(named - indexed)
    ]


def _rows(reader: apsw.Connection, sql: str) -> list[Any]:
    return reader.execute(sql).fetchall()
