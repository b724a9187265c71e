"""`postroom check` for the events: every file is a sound database, every block can be read and holds what it says.

Damage here costs the story of some messages and no mail, so it is told and left as it is.
On failure: findings.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import apsw

from postroom.store.api.store import Finding
from postroom.store.embedded.checks.row_rules import check_file
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.events_block import Events
from postroom.store.embedded.layout import Layout


def check_events(layout: Layout, options: OpenOptions) -> list[Finding]:
    """What is wrong with the events of all days."""
    found: list[Finding] = []
    for paths in layout.events_days().values():
        for path in paths:
            place = path.removeprefix(f"{layout.data}/")
            try:
                found += check_file(path, place, options, partial(_blocks, place=place))
            except apsw.Error as fault:
                found.append(Finding(place, f"it cannot be read: {fault}"))
    return found


def _blocks(reader: apsw.Connection, place: str) -> Iterator[Finding]:
    for block, count, data in reader.execute("SELECT id, count, data FROM block"):
        try:
            there = sum(1 for _ in Events(bytes(data)).all())
        except ValueError as fault:
            yield Finding(place, f"block {block}: {fault}")
            continue
        if there != count:
            yield Finding(place, f"block {block} has {there} events and says {count}")
