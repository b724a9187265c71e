"""Who may do what with an account's mailboxes: reading ACLs, and the work that changes them.

Rows are few and read by key, a few microseconds each time, so that a right taken away by another process is gone at
the next look. They belong to the mailbox's id: renaming keeps them, deleting takes them away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from postroom.store.api.account import FlagOp, RightsChange
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_read import read_mailbox_by_id

_ONE: Final = "SELECT rights FROM acl WHERE mailbox = ? AND identifier = ?"


def read_acl(reader: apsw.Connection, mailbox: int) -> dict[str, int]:
    """Identifiers and rights of one mailbox, by identifier."""
    rows: Any = reader.execute("SELECT identifier, rights FROM acl WHERE mailbox = ?", (mailbox,)).fetchall()
    return dict(rows)


def read_acls(reader: apsw.Connection) -> dict[int, dict[str, int]]:
    """All of them."""
    found: dict[int, dict[str, int]] = {}
    rows: Any = reader.execute("SELECT mailbox, identifier, rights FROM acl").fetchall()
    for mailbox, identifier, rights in rows:
        found.setdefault(mailbox, {})[identifier] = rights
    return found


@dataclass(frozen=True, slots=True)
class Grant:
    """Change the rights of an identifier; true while it stands in any ACL."""

    mailboxes: Sequence[int]
    identifier: str
    change: RightsChange

    def __call__(self, unit: AccountUnit) -> Callable[[], bool]:
        execute = unit.connection.execute
        for mailbox in self.mailboxes:
            if mailbox:
                read_mailbox_by_id(unit.connection, mailbox)
        before = unit.connection.total_changes()
        for mailbox in self.mailboxes:
            row: Any = execute(_ONE, (mailbox, self.identifier)).fetchone()
            held = row[0] if row else 0
            rights = changed(held, self.change)
            if rights == held:
                continue
            if rights:
                execute("REPLACE INTO acl VALUES (?, ?, ?)", (mailbox, self.identifier, rights))
            else:
                execute("DELETE FROM acl WHERE mailbox = ? AND identifier = ?", (mailbox, self.identifier))
        if unit.connection.total_changes() != before:
            unit.list_changed()  # so that sessions look at their rights again
        left = execute("SELECT 1 FROM acl WHERE identifier = ? LIMIT 1", (self.identifier,)).fetchone() is not None
        return lambda: left


def changed(held: int, change: RightsChange) -> int:
    """Rights after a change."""
    if change.op is FlagOp.ADD:
        return held | change.rights
    return held & ~change.rights if change.op is FlagOp.REMOVE else change.rights


def inherit(unit: AccountUnit, name: str, mailbox: int) -> None:
    """A mailbox was made: it takes over the ACL of the one above it, or of the top level (RFC 4314 4, CREATE).

    And whose \\Seen is; that of the top level is INBOX's.
    """
    above = name.rpartition("/")[0]
    unit.connection.execute(
        "INSERT INTO acl SELECT ?1, identifier, rights FROM acl"
        " WHERE mailbox = coalesce((SELECT id FROM mailbox WHERE name = ?2), 0)",
        (mailbox, above),
    )
    unit.connection.execute(
        "UPDATE mailbox SET seen = coalesce((SELECT seen FROM mailbox WHERE name = ?), '') WHERE id = ?",
        (above or "INBOX", mailbox),
    )


def forget(unit: AccountUnit, mailbox: int) -> None:
    """A mailbox was removed, its ACL (RFC 4314 4, DELETE) and what readers have seen with it."""
    unit.connection.execute("DELETE FROM acl WHERE mailbox = ?", (mailbox,))
    unit.connection.execute("DELETE FROM mark WHERE mailbox = ?", (mailbox,))
