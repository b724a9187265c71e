"""Accounts that were deleted and can be brought back: the SQL of that part of directory.db."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import apsw
import msgspec

from postroom.store.api.directory import DeletedAccount
from postroom.store.api.errors import NotFound
from postroom.store.embedded import directory_rows as rows
from postroom.store.embedded import directory_sharing as sharing

Rows = Callable[..., list[Any]]

_INSERT: Final = "REPLACE INTO deleted_account VALUES (?, ?, ?, ?, ?)"


def retire(db: apsw.Connection, gone: DeletedAccount) -> None:
    """The account's row goes, with what belongs to it. Raises NotFound."""
    row = gone.row
    sharing.forget_account(db, row.id)
    db.execute("DELETE FROM account WHERE id = ?", (row.id,))
    if not db.changes():
        raise NotFound(f"no account {row.id}")
    db.execute("DELETE FROM token WHERE account = ?", (row.id,))
    data = msgspec.msgpack.encode({field.name: getattr(gone, field.name) for field in fields(gone)})
    db.execute(_INSERT, (row.id, row.login, rows.domain_of(row.login), gone.deleted, data))


def load(query: Rows, domain: str) -> list[DeletedAccount]:
    """The last deleted first; damaged rows, of which `postroom check` tells, are passed over."""
    sql = "SELECT data FROM deleted_account WHERE ?1 IN ('', domain) ORDER BY deleted DESC, id"
    return [gone for (data,) in query(sql, domain) if (gone := read(data)) is not None]


def read(data: bytes) -> DeletedAccount | None:
    """The account of a row; None when it is damaged."""
    try:
        return msgspec.msgpack.decode(data, type=DeletedAccount)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return None


def load_login(query: Rows, login: str) -> bool:
    """Was there an account of this log-in?"""
    return bool(query("SELECT 1 FROM deleted_account WHERE login = ?", login))


def forget(db: apsw.Connection, account: str) -> None:
    """Raises NotFound."""
    db.execute("DELETE FROM deleted_account WHERE id = ?", (account,))
    if not db.changes():
        raise NotFound(f"no deleted account {account}")


def forget_for_good(db: apsw.Connection, account: str) -> None:
    """With what its owner wanted of the spam filter, unless somebody has the log-in again. Raises NotFound."""
    db.execute(
        "DELETE FROM filter WHERE owner = (SELECT login FROM deleted_account WHERE id = ?)"
        " AND owner NOT IN (SELECT login FROM account)",
        (account,),
    )
    forget(db, account)
