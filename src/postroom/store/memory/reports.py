"""Reports in memory, for tests."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

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

_DAY = 86400.0


class MemoryReports:
    """See postroom.store.api.ReportStore."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str, str, str], KeptReport] = {}
        self._sent: dict[tuple[str, str, str], SentReport] = {}
        self._finished: set[tuple[str, str]] = set()

    async def keep(self, report: KeptReport) -> bool:
        if report.key in self._kept:
            return False
        if len(report.data) > LARGEST:
            raise TooMany(f"it has {len(report.data)} octets, {LARGEST} are kept")
        same = [one for one in self._kept.values() if one.domain == report.domain]
        day = report.received // _DAY
        recent = [one for one in same if one.proven == report.proven and one.received // _DAY == day]
        if len(recent) >= MOST_OF_SENDER:
            raise TooMany(f"{report.proven or 'unproven senders'} sent {MOST_OF_SENDER} reports today")
        if len(same) >= MOST_OF_DOMAIN or sum(len(one.data) for one in same) + len(report.data) > MOST_OCTETS:
            raise TooMany(f"there are too many reports about {report.domain}")
        self._kept[report.key] = report
        return True

    async def find(self, query: ReportQuery) -> list[KeptReport]:
        found = [
            one
            for one in self._kept.values()
            if one.kind == query.kind
            and query.domain in ("", one.domain)
            and one.end >= query.since
            and one.begin <= query.until
            and (query.unproven or one.proven)
        ]
        return sorted(found, key=lambda one: (one.begin, one.key))[: query.limit]

    async def reserve(self, report: SentReport) -> SentReport | None:
        place = report.kind, report.day, report.name
        known = self._sent.get(place)
        if known is None:
            self._sent[place] = report
        return known

    async def queued(self, report: SentReport) -> None:
        place = report.kind, report.day, report.name
        if place in self._sent:
            self._sent[place] = replace(self._sent[place], queued=True)

    async def release(self, report: SentReport) -> None:
        self._sent.pop((report.kind, report.day, report.name), None)

    async def sent(self, kind: str, day: str) -> list[SentReport]:
        found = [one for one in self._sent.values() if (one.kind, one.day) == (kind, day)]
        return sorted(found, key=lambda one: one.name)

    async def finish(self, kind: str, day: str) -> None:
        self._finished.add((kind, day))

    async def finished(self, kind: str, day: str) -> bool:
        return (kind, day) in self._finished

    async def sweep(self, before: float) -> int:
        day = datetime.fromtimestamp(max(before, 0.0), UTC).strftime("%Y-%m-%d")
        gone = [key for key, one in self._kept.items() if one.received < before]
        for key in gone:
            del self._kept[key]
        self._sent = {place: one for place, one in self._sent.items() if one.day >= day}
        self._finished = {one for one in self._finished if one[1] >= day}
        return len(gone)
