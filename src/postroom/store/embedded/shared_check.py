"""`postroom check` for the small files that all share: reports, webhooks, limits, alarms, what the filter has learned.

Each is made at first use, so one that is not there is no fault. What is damaged is told and left as it is.
On failure: findings.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import apsw

from postroom.store.api.reports import LARGEST
from postroom.store.api.store import Finding
from postroom.store.embedded.check import check_integrity
from postroom.store.embedded.database import OpenOptions, open_database
from postroom.store.embedded.layout import Layout

#: file: (what must have no rows, what it means when there are some)
_FAULTS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "reports.db": (
        ("SELECT domain FROM received WHERE begin > until", "reports about {} end before they begin"),
        (f"SELECT domain FROM received WHERE length(data) > {LARGEST}", "reports about {} are larger than is kept"),
        (
            "SELECT name FROM sent WHERE length(day) != 10 OR entry = ''",
            "reports to {} were written down without a day",
        ),
        ("SELECT kind || ' ' || day FROM finished WHERE length(day) != 10", "days that are done are no days: {}"),
    ),
    "webhooks.db": (
        ("SELECT hook FROM call WHERE json_valid(CAST(body AS TEXT)) = 0", "calls of {} have no JSON"),
        ("SELECT hook FROM call WHERE attempts < 0 OR id = '' OR hook = ''", "calls of {} cannot be made"),
        ("SELECT id FROM context WHERE length(data) = 0", "whose the messages {} are is lost"),
    ),
    "policy.db": (
        ("SELECT name FROM used WHERE count < 0", "less than nothing was counted for {}"),
        ("SELECT domain FROM sts WHERE json_valid(mx) = 0", "policies of {} name no servers"),
    ),
    "alarms.db": (),
    "training.db": (("SELECT id FROM token WHERE spam < 0 OR ham < 0", "words {} were learned less often than never"),),
}
_SHOWN: Final = 5


def check_shared_files(layout: Layout, options: OpenOptions) -> list[Finding]:
    """What is wrong with the files that all share."""
    found: list[Finding] = []
    for path in (layout.policy, layout.reports, layout.webhooks, layout.alarms, layout.training):
        place = os.path.basename(path)
        if not os.path.exists(path):
            continue
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
        for sql, words in _FAULTS[place]:
            rows: list[Any] = reader.execute(f"SELECT DISTINCT * FROM ({sql}) LIMIT {_SHOWN + 1}").fetchall()
            if rows:
                names = ", ".join(str(row[0]) for row in rows[:_SHOWN]) + (" and others" if len(rows) > _SHOWN else "")
                yield Finding(place, words.format(names))
    finally:
        reader.close()
