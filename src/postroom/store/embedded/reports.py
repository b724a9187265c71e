"""The ReportStore: data/reports.db, made at first use.

Few and rare, so there is no committer and no connection that stays: each call opens the file in a thread, does its
work in one synced transaction, and closes it.
On failure: StoreUnavailable. A file that is no database is an error until somebody moves it away: it holds what was
sent, and nothing may be sent twice.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

import apsw

from postroom.store.api.reports import (
    LARGEST,
    MOST_OCTETS,
    MOST_OF_DOMAIN,
    MOST_OF_SENDER,
    KeptReport,
    ReportQuery,
    SentReport,
    TooMany,
)
from postroom.store.embedded import schema
from postroom.store.embedded.brief import BriefFile
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.layout import Layout

T = TypeVar("T")

_DAY = 86400.0
_FIELDS = "kind, domain, proven, org, id, begin, until, received, data"


class EmbeddedReports:
    """See postroom.store.api.ReportStore."""

    def __init__(self, layout: Layout, options: OpenOptions) -> None:
        self._file = BriefFile(layout.reports, options, (schema.REPORTS, schema.REPORTS_VERSION))

    # received

    async def keep(self, report: KeptReport) -> bool:
        return await self._file.do(lambda db: _keep(db, report))

    async def find(self, query: ReportQuery) -> list[KeptReport]:
        def work(db: apsw.Connection) -> list[KeptReport]:
            proven = "" if query.unproven else "AND proven != ''"
            rows: list[Any] = db.execute(
                f"SELECT {_FIELDS} FROM received WHERE kind = ?1 AND (?2 = '' OR domain = ?2) AND until >= ?3"
                f" AND begin <= ?4 {proven} ORDER BY begin, domain, proven, org, id LIMIT ?5",
                (query.kind, query.domain, query.since, query.until, query.limit),
            ).fetchall()
            return [_report(row) for row in rows]

        return await self._file.do(work)

    # sent

    async def reserve(self, report: SentReport) -> SentReport | None:
        def work(db: apsw.Connection) -> SentReport | None:
            known = _sent(db, "kind = ? AND day = ? AND name = ?", report.kind, report.day, report.name)
            if known:
                return known[0]
            values = (report.kind, report.day, report.name, report.entry, report.at, int(report.queued))
            db.execute("INSERT INTO sent(kind, day, name, entry, at, queued) VALUES (?, ?, ?, ?, ?, ?)", values)
            return None

        return await self._file.do(work)

    async def queued(self, report: SentReport) -> None:
        place = report.kind, report.day, report.name
        await self._file.do(
            lambda db: db.execute("UPDATE sent SET queued = 1 WHERE kind = ? AND day = ? AND name = ?", place)
        )

    async def release(self, report: SentReport) -> None:
        place = report.kind, report.day, report.name
        await self._file.do(lambda db: db.execute("DELETE FROM sent WHERE kind = ? AND day = ? AND name = ?", place))

    async def sent(self, kind: str, day: str) -> list[SentReport]:
        return await self._file.do(lambda db: _sent(db, "kind = ? AND day = ?", kind, day))

    async def finish(self, kind: str, day: str) -> None:
        await self._file.do(
            lambda db: db.execute("INSERT OR IGNORE INTO finished(kind, day) VALUES (?, ?)", (kind, day))
        )

    async def finished(self, kind: str, day: str) -> bool:
        sql = "SELECT count(*) FROM finished WHERE kind = ? AND day = ?"
        return bool(await self._file.do(lambda db: db.execute(sql, (kind, day)).get))

    async def sweep(self, before: float) -> int:
        day = datetime.fromtimestamp(max(before, 0.0), UTC).strftime("%Y-%m-%d")

        def work(db: apsw.Connection) -> int:
            db.execute("DELETE FROM sent WHERE day < ?", (day,))
            db.execute("DELETE FROM finished WHERE day < ?", (day,))
            db.execute("DELETE FROM received WHERE received < ?", (before,))
            return db.changes()

        return await self._file.do(work)


def _keep(db: apsw.Connection, report: KeptReport) -> bool:
    """See ReportStore.keep."""
    if db.execute(
        "SELECT count(*) FROM received WHERE kind = ? AND domain = ? AND proven = ? AND org = ? AND id = ?", report.key
    ).get:
        return False
    if len(report.data) > LARGEST:
        raise TooMany(f"it has {len(report.data)} octets, {LARGEST} are kept")
    start = report.received // _DAY * _DAY
    recent = db.execute(
        "SELECT count(*) FROM received WHERE domain = ? AND proven = ? AND received >= ? AND received < ?",
        (report.domain, report.proven, start, start + _DAY),
    ).get
    if recent >= MOST_OF_SENDER:
        raise TooMany(f"{report.proven or 'unproven senders'} sent {MOST_OF_SENDER} reports today")
    sums = "SELECT count(*), coalesce(sum(length(data)), 0) FROM received WHERE domain = ?"
    count, octets = db.execute(sums, (report.domain,)).get
    if count >= MOST_OF_DOMAIN or octets + len(report.data) > MOST_OCTETS:
        raise TooMany(f"there are too many reports about {report.domain}")
    values = (*report.key, report.begin, report.end, report.received, report.data)
    db.execute(f"INSERT INTO received({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    return True


def _report(row: Any) -> KeptReport:
    kind, domain, proven, org, name, begin, end, received, data = row
    return KeptReport(
        kind=kind, domain=domain, proven=proven, org=org, id=name, begin=begin, end=end, received=received, data=data
    )


def _sent(db: apsw.Connection, where: str, *values: str) -> list[SentReport]:
    rows: list[Any] = db.execute(
        f"SELECT kind, day, name, entry, at, queued FROM sent WHERE {where} ORDER BY name", values
    ).fetchall()
    return [
        SentReport(kind=kind, day=day, name=name, entry=entry, at=at, queued=bool(queued))
        for kind, day, name, entry, at, queued in rows
    ]
