"""`postroom check` for the events: every file is a sound database, every block can be read and holds what it says.

Damage here costs the story of some messages and no mail, so it is told and left as it is.
On failure: findings.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from postroom.store.api.store import Finding
from postroom.store.embedded.database import OpenOptions, open_database
from postroom.store.embedded.events_block import Events
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.row_rules import check_integrity


def check_events(layout: Layout, options: OpenOptions) -> list[Finding]:
    """What is wrong with the events of all days."""
    found = []
    for paths in layout.events_days().values():
        for path in paths:
            place = path.removeprefix(f"{layout.data}/")
            try:
                found += list(_faults(path, place, options))
            except apsw.Error as fault:
                found.append(Finding(place, f"it cannot be read: {fault}"))
    return found


def _faults(path: str, place: str, options: OpenOptions) -> Iterator[Finding]:
    reader = open_database(path, options, cache_kib=options.reader_cache_kib)
    try:
        if not reader.pragma("user_version"):
            return  # it is just being made
        unsound = list(check_integrity(reader, place))
        if unsound:
            yield from unsound
            return
        for block, count, data in reader.execute("SELECT id, count, data FROM block"):
            try:
                there = sum(1 for _ in Events(bytes(data)).all())
            except ValueError as fault:
                yield Finding(place, f"block {block}: {fault}")
                continue
            if there != count:
                yield Finding(place, f"block {block} has {there} events and says {count}")
    finally:
        reader.close()
