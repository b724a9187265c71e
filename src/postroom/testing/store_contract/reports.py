"""What every ReportStore must do."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from postroom.store.api import KeptReport, ReportQuery, SentReport, Store, TooMany
from postroom.store.api.reports import LARGEST, MOST_OF_SENDER

_DAY = 86400.0


def _report(**fields: Any) -> KeptReport:
    given: dict[str, Any] = {
        "kind": "dmarc",
        "domain": "here.test",
        "proven": "far.test",
        "org": "Far",
        "id": "r1",
        "begin": 10 * _DAY,
        "end": 11 * _DAY - 1,
        "received": 11 * _DAY + 60,
        "data": b"what it says",
    }
    return KeptReport(**(given | fields))


class ReportContract:
    """Reports received and sent."""

    async def test_a_report_counts_once(self, store: Store) -> None:
        assert await store.reports.keep(_report())
        assert not await store.reports.keep(_report(data=b"again"))
        assert await store.reports.find(ReportQuery(kind="dmarc")) == [_report()]

    async def test_nobody_takes_the_place_of_anothers_report(self, store: Store) -> None:
        forged = _report(proven="", data=b"forged")
        for report in (forged, _report(proven="evil.test", data=b"a lie"), _report()):
            assert await store.reports.keep(report)
        found = await store.reports.find(ReportQuery(kind="dmarc"))
        assert {one.proven: one.data for one in found} == {"far.test": b"what it says", "evil.test": b"a lie"}
        assert forged in await store.reports.find(ReportQuery(kind="dmarc", unproven=True))

    async def test_they_are_found_by_kind_domain_and_time(self, store: Store) -> None:
        first, second = _report(), _report(id="r2", begin=20 * _DAY, end=21 * _DAY - 1)
        other, tls = _report(domain="other.test"), _report(kind="tls")
        for report in (second, first, other, tls):
            await store.reports.keep(report)
        assert await store.reports.find(ReportQuery(kind="dmarc", domain="here.test")) == [first, second]
        assert await store.reports.find(ReportQuery(kind="dmarc", since=11 * _DAY)) == [second]
        assert await store.reports.find(ReportQuery(kind="dmarc", domain="here.test", until=15 * _DAY)) == [first]
        assert await store.reports.find(ReportQuery(kind="tls")) == [tls]
        assert len(await store.reports.find(ReportQuery(kind="dmarc", limit=1))) == 1

    async def test_a_sender_and_a_report_have_limits(self, store: Store) -> None:
        with pytest.raises(TooMany):
            await store.reports.keep(_report(data=b"x" * (LARGEST + 1)))
        for number in range(MOST_OF_SENDER):
            await store.reports.keep(_report(id=f"n{number}", data=b""))
        with pytest.raises(TooMany, match=r"far\.test"):
            await store.reports.keep(_report(id="more"))
        assert await store.reports.keep(_report(id="more", received=13 * _DAY))
        assert await store.reports.keep(_report(id="more", proven="other.test"))

    async def test_old_ones_go(self, store: Store) -> None:
        await store.reports.keep(_report())
        await store.reports.keep(_report(id="r2", received=40 * _DAY))
        assert await store.reports.sweep(30 * _DAY) == 1
        assert [one.id for one in await store.reports.find(ReportQuery(kind="dmarc"))] == ["r2"]

    async def test_what_is_sent_is_written_down_once(self, store: Store) -> None:
        report = SentReport(kind="dmarc", day="2026-01-02", name="far.test", entry="q1", at=5.0)
        assert await store.reports.reserve(report) is None
        assert await store.reports.reserve(replace(report, entry="q2")) == report
        await store.reports.queued(report)
        known = await store.reports.reserve(replace(report, entry="q3"))
        assert known == replace(report, queued=True)
        assert await store.reports.reserve(replace(report, kind="tls")) is None
        assert await store.reports.sent("dmarc", "2026-01-02") == [replace(report, queued=True)]
        await store.reports.release(report)
        assert await store.reports.reserve(replace(report, entry="q4")) is None

    async def test_a_day_is_finished_by_kind(self, store: Store) -> None:
        assert not await store.reports.finished("dmarc", "2026-01-02")
        await store.reports.finish("dmarc", "2026-01-02")
        await store.reports.finish("dmarc", "2026-01-02")
        assert await store.reports.finished("dmarc", "2026-01-02")
        assert not await store.reports.finished("tls", "2026-01-02")
        await store.reports.sweep(2_000_000_000.0)
        assert not await store.reports.finished("dmarc", "2026-01-02")
