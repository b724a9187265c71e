"""The invariants of the queue: every entry readable, its octets there and right, nothing without an entry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import apsw

from postroom.store.api.store import Finding
from postroom.store.embedded.checks.account import check_file
from postroom.store.embedded.checks.row_rules import broken, check_integrity, is_sound, mend
from postroom.store.embedded.checks.shared_rules import QUEUE
from postroom.store.embedded.database import OpenOptions, rollback
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.queue_file import open_slot, select
from postroom.store.embedded.queue_rows import is_over, next_try
from postroom.store.embedded.sweep import stray_files


def check_queue(layout: Layout, options: OpenOptions, grace: float) -> list[Finding]:
    """Every broken invariant of all slots. Raises apsw.Error when a file cannot be read at all."""
    found: list[Finding] = []
    for slot in layout.slots():
        reader = open_slot(layout.slot(slot), options)
        try:
            reader.execute("BEGIN")
            found += check_integrity(reader, f"queue/{slot}.db")
            found += broken(reader, f"queue/{slot}.db", QUEUE)
            found += _check_slot(reader, layout, slot)
        finally:
            reader.close()
    named = queue_files(layout, options)
    for path in stray_files(layout.queue_bodies, named.__contains__, grace):
        found.append(Finding(f"queue/bodies/{os.path.basename(path)}", "the file belongs to no entry", True))
    return found


def mend_queue(layout: Layout, options: OpenOptions) -> None:
    """Set right what `check_queue` finds and can be, but for files. Raises apsw.Error."""
    for slot in layout.slots():
        connection = open_slot(layout.slot(slot), options)
        try:
            if not is_sound(connection):
                continue
            connection.execute("BEGIN IMMEDIATE")
            mend(connection, QUEUE)
            _mend_slot(connection, layout, slot)
            connection.execute("COMMIT")
        finally:
            rollback(connection)
            connection.close()


def _mend_slot(connection: apsw.Connection, layout: Layout, slot: int) -> None:
    bodies: set[int] = set()
    for body, entry in list(select(connection, layout, slot)):
        if is_over(entry):
            connection.execute("DELETE FROM entry WHERE id = ?", (entry.id,))
            continue
        bodies.add(body)
        connection.execute("UPDATE entry SET next = ?1 WHERE id = ?2 AND next IS NOT ?1", (next_try(entry), entry.id))
    for (body,) in _rows(connection, "SELECT id FROM body"):
        if body not in bodies:
            connection.execute("DELETE FROM body WHERE id = ?", (body,))


def queue_files(layout: Layout, options: OpenOptions) -> set[str]:
    """Names of the body files that entries of any slot have."""
    names: set[str] = set()
    for slot in layout.slots():
        reader = open_slot(layout.slot(slot), options)
        try:
            rows: list[Any] = reader.execute("SELECT id FROM entry WHERE body = 0").fetchall()
            names.update(number for (number,) in rows)
        finally:
            reader.close()
    return names


def _check_slot(reader: apsw.Connection, layout: Layout, slot: int) -> Iterator[Finding]:
    place = f"queue/{slot}.db"
    times: dict[str, float | None] = dict(_rows(reader, "SELECT id, next FROM entry"))
    sizes: dict[int, int] = dict(_rows(reader, "SELECT id, length(data) FROM body"))
    for body, entry in select(reader, layout, slot):
        if is_over(entry):
            yield Finding(place, f"entry {entry.id} is over and still there", True)
        if times[entry.id] != next_try(entry):
            yield Finding(place, f"entry {entry.id}: its next try is wrong", True)
        if body:
            if sizes.pop(body, -1) != entry.size:
                yield Finding(place, f"entry {entry.id}: its octets are missing or damaged")
            continue
        content = entry.content
        what = check_file(content.path, content.size - len(content.prefix), content.digest)
        if what:
            yield Finding(place, f"entry {entry.id}: {what}")
    for body in sizes:
        yield Finding(place, f"octets {body} belong to no entry", True)


def _rows(reader: apsw.Connection, sql: str) -> list[Any]:
    return reader.execute(sql).fetchall()
