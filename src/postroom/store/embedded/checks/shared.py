"""`postroom check` for the files that all share: the directory, reports, webhooks, limits, alarms, what was learned.

Each small one is made at first use, so one that is not there is no fault. What a rule can set right is mended when it
is asked for; what is damaged otherwise is told and left as it is.
On failure: findings.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any, Final

import apsw

from postroom.store.api.store import Finding
from postroom.store.embedded.checks.row_rules import Rule, broken, check_file, check_integrity, is_sound, mend
from postroom.store.embedded.checks.shared_rules import DIRECTORY, FILES
from postroom.store.embedded.database import OpenOptions, open_database, rollback
from postroom.store.embedded.directory_deleted import read as read_deleted
from postroom.store.embedded.layout import Layout

#: the accounts there are, for rules of policy.db
_KNOWN: Final = "CREATE TEMP TABLE known(id TEXT PRIMARY KEY) WITHOUT ROWID"


def check_shared_files(layout: Layout, options: OpenOptions, accounts: Collection[str]) -> list[Finding]:
    """What is wrong with the small files. accounts: ids, also of deleted ones that can be brought back."""
    found: list[Finding] = []
    for path in _small(layout):
        place = os.path.basename(path)
        try:
            found += check_file_rows(path, place, options, accounts)
        except apsw.Error as fault:
            found.append(Finding(place, f"it cannot be read: {fault}"))
    return found


def _small(layout: Layout) -> list[str]:
    paths = (layout.policy, layout.reports, layout.webhooks, layout.alarms, layout.training, layout.quarantine)
    return [path for path in paths if os.path.exists(path)]


def check_directory(layout: Layout, options: OpenOptions) -> list[Finding]:
    """What is wrong with directory.db. Raises apsw.Error."""
    reader = open_database(layout.directory, options, cache_kib=options.reader_cache_kib)
    try:
        unsound = list(check_integrity(reader, "directory.db"))
        return unsound or [*broken(reader, "directory.db", DIRECTORY), *_lost_accounts(reader)]
    finally:
        reader.close()


def _lost_accounts(reader: apsw.Connection) -> Iterator[Finding]:
    for login, data in reader.execute("SELECT login, data FROM deleted_account"):
        if read_deleted(bytes(data)) is None:
            yield Finding("directory.db", f"the account {login} cannot be brought back: its row is damaged")


def check_file_rows(path: str, place: str, options: OpenOptions, accounts: Collection[str] = ()) -> Iterator[Finding]:
    """One of FILES, by the name it ends in. Raises apsw.Error."""

    def look(reader: apsw.Connection) -> Iterator[Finding]:
        _tell_accounts(reader, accounts)
        return broken(reader, place, _rules_of(path))

    yield from check_file(path, place, options, look)


def mend_shared_files(layout: Layout, options: OpenOptions, accounts: Collection[str]) -> None:
    """Set right what rules can. Raises apsw.Error."""
    for path in _small(layout):
        mend_file_rows(path, options, accounts)


def mend_file_rows(path: str, options: OpenOptions, accounts: Collection[str] = ()) -> None:
    """The same for one of FILES. Raises apsw.Error."""
    _mend(path, options, _rules_of(path), accounts)


def mend_directory(layout: Layout, options: OpenOptions) -> None:
    """The same for directory.db. Raises apsw.Error."""
    _mend(layout.directory, options, DIRECTORY, ())


def _mend(path: str, options: OpenOptions, rules: tuple[Rule, ...], accounts: Collection[str]) -> None:
    connection = open_database(path, options, cache_kib=options.writer_cache_kib)
    try:
        if not connection.pragma("user_version") or not is_sound(connection):
            return
        _tell_accounts(connection, accounts)
        connection.execute("BEGIN IMMEDIATE")
        if mend(connection, rules) and _has_version(connection):
            connection.execute("UPDATE version SET number = number + 1")  # every process looks again
        connection.execute("COMMIT")
    finally:
        rollback(connection)
        connection.close()


def _rules_of(path: str) -> tuple[Rule, ...]:
    return FILES[os.path.basename(path)]


def _tell_accounts(connection: apsw.Connection, accounts: Collection[str]) -> None:
    connection.execute(_KNOWN)
    connection.executemany("INSERT INTO known VALUES (?)", [(account,) for account in set(accounts)])


def _has_version(connection: apsw.Connection) -> bool:
    rows: list[Any] = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'version'").fetchall()
    return bool(rows)
