"""What domains and people want of the spam filter, and scripts of the site: the SQL of those parts of directory.db."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw
import msgspec

from postroom.store.api import NotFound
from postroom.store.api.directory import FilterRow, SiteScriptRow

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


def load_scripts(rows: Rows, owner: str) -> tuple[SiteScriptRow, ...]:
    """Of an owner, by name."""
    found = rows("SELECT name, data, changed FROM site_script WHERE owner = ? ORDER BY name", owner)
    return tuple([SiteScriptRow(owner=owner, name=name, text=data, changed=at) for name, data, at in found])


def put_script(db: apsw.Connection, row: SiteScriptRow) -> None:
    """Insert or replace."""
    db.execute("REPLACE INTO site_script VALUES (?, ?, ?, ?)", (row.owner, row.name, row.changed, row.text))


def remove_script(db: apsw.Connection, owner: str, name: str) -> None:
    """Raises NotFound."""
    db.execute("DELETE FROM site_script WHERE owner = ? AND name = ?", (owner, name))
    if not db.changes():
        raise NotFound(f'there is no script "{name}"')
