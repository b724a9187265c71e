"""Annotations of mailboxes and of the account (METADATA, RFC 5464): reads, and work for the committer.

An entry that was removed stays as a row without a value, so that sessions that are open can be told; the oldest of
these go when there are many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import apsw

from postroom.store.api.account import Annotation, AnnotationLimits, NewAnnotation
from postroom.store.api.errors import OverQuota, TooManyAnnotations
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_read import read_modseq

_COLUMNS: Final = "mailbox, login, name, value, modseq"
_PUT: Final = (
    "INSERT INTO annotation VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (mailbox, login, entry)"
    " DO UPDATE SET value = excluded.value, modseq = excluded.modseq"
)
#: rows of removed entries that are kept
MOST_REMOVED: Final = 256


def read_annotations(reader: apsw.Connection, mailbox: int, login: str) -> list[Annotation]:
    """Those of a mailbox that a log-in sees, by login and entry."""
    sql = (
        f"SELECT {_COLUMNS} FROM annotation WHERE mailbox = ? AND login IN ('', ?) AND value IS NOT NULL"
        " ORDER BY login, entry"
    )
    return [Annotation(*row) for row in _rows(reader, sql, (mailbox, login))]


def read_changed(reader: apsw.Connection, login: str, since: int) -> list[Annotation]:
    """Those that a log-in sees and that changed after a MODSEQ."""
    sql = (
        f"SELECT {_COLUMNS} FROM annotation WHERE modseq > ? AND login IN ('', ?)"
        " ORDER BY modseq, mailbox, entry, login"
    )
    return [Annotation(*row) for row in _rows(reader, sql, (since, login))]


def read_octets(reader: apsw.Connection) -> int:
    """Octets of names and values."""
    sql = "SELECT coalesce(sum(length(name) + length(value)), 0) FROM annotation WHERE value IS NOT NULL"
    octets: int = _rows(reader, sql, ())[0][0]
    return octets


@dataclass(frozen=True, slots=True)
class Annotate:
    """Set and remove entries of a mailbox, or of the account."""

    mailbox: int
    changes: tuple[NewAnnotation, ...]
    limits: AnnotationLimits

    def __call__(self, unit: AccountUnit) -> Callable[[], int]:
        if self.mailbox:
            read_modseq(unit.connection, self.mailbox)
        self._check(unit.connection)
        unit.list_changed()
        modseq = unit.totals.modseq
        for change in self.changes:
            row = (self.mailbox, change.login, change.name.lower(), change.name, change.value, modseq)
            unit.connection.execute(_PUT, row)
        _drop_removed(unit.connection)
        return lambda: modseq

    def _check(self, connection: apsw.Connection) -> None:
        """Nothing has been changed yet: the limits hold for what will be."""
        octets, most = read_octets(connection), self.limits.octets
        grows = False
        for login in {change.login for change in self.changes}:
            held = {
                name.lower(): len(name) + len(value)
                for _, whose, name, value, _ in _rows(
                    connection,
                    f"SELECT {_COLUMNS} FROM annotation WHERE mailbox = ? AND login = ? AND value IS NOT NULL",
                    (self.mailbox, login),
                )
            }
            before = sum(held.values())
            count = len(held)
            for change in self.changes:
                if change.login == login:
                    held.pop(change.name.lower(), None)
                    if change.value is not None:
                        held[change.name.lower()] = len(change.name) + len(change.value)
            octets += sum(held.values()) - before
            grows |= sum(held.values()) > before
            if len(held) > max(count, self.limits.count):
                raise TooManyAnnotations(f"there are {count} of {self.limits.count} annotations")
        if grows and octets > most:
            raise OverQuota(f"annotations would have {octets} of {most} octets")


@dataclass(frozen=True, slots=True)
class CopyAnnotations:
    """Give a mailbox the entries of another one."""

    source: int
    target: int

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        for mailbox in (self.source, self.target):
            read_modseq(unit.connection, mailbox)
        unit.list_changed()
        unit.connection.execute(
            "INSERT OR IGNORE INTO annotation SELECT ?, login, entry, name, value, ? FROM annotation"
            " WHERE mailbox = ? AND value IS NOT NULL",
            (self.target, unit.totals.modseq, self.source),
        )
        return lambda: None


def _drop_removed(connection: apsw.Connection) -> None:
    connection.execute(
        "DELETE FROM annotation WHERE value IS NULL AND modseq <= (SELECT modseq FROM annotation"
        " WHERE value IS NULL ORDER BY modseq DESC LIMIT 1 OFFSET ?)",
        (MOST_REMOVED,),
    )


def _rows(reader: apsw.Connection, sql: str, bindings: tuple[Any, ...]) -> list[Any]:
    return reader.execute(sql, bindings).fetchall()
