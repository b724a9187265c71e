"""What domains and people want of the spam filter: the SQL of that part of directory.db."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
import msgspec

from postroom.store.api.directory import FilterRow

#: rows of a statement
Rows = Callable[..., list[Any]]


def load_filter(rows: Rows, owner: str) -> FilterRow | None:
    """One, or None."""
    found = rows("SELECT data FROM filter WHERE owner = ?", owner)
    return msgspec.json.decode(found[0][0], type=FilterRow) if found else None


def load_filters(rows: Rows) -> list[FilterRow]:
    """All, by owner."""
    return [msgspec.json.decode(data, type=FilterRow) for (data,) in rows("SELECT data FROM filter ORDER BY owner")]


def put_filter(db: apsw.Connection, row: FilterRow) -> None:
    """Insert or replace; one that says nothing is removed."""
    db.execute("DELETE FROM filter WHERE owner = ?", (row.owner,))
    if row != FilterRow(owner=row.owner):
        db.execute("INSERT INTO filter VALUES (?, ?)", (row.owner, msgspec.json.encode(row).decode()))
