"""The TransportStore: three tables of policy.db, read and written with the means of the limits.

Owns: nothing. On failure: StoreUnavailable.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

import apsw

from postroom.store.api.transport import KEEP_DAYS, MOST_ROWS, Demanded, StsPolicy, TlsCount
from postroom.store.embedded.limits import EmbeddedLimits

_ADD = """
INSERT INTO tls_count VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (day, domain, policy, failure, host, address, source, detail) DO UPDATE SET count = count + excluded.count
"""
_COUNTS = """
SELECT domain, policy, failure, host, address, source, detail, count FROM tls_count WHERE day = ? AND domain = ?
ORDER BY policy, failure, host, address, source, detail
"""
_ROWS = "SELECT count(*) FROM tls_count WHERE day = ? AND domain = ?"


class EmbeddedTransport:
    """See postroom.store.api.TransportStore."""

    def __init__(self, limits: EmbeddedLimits) -> None:
        self._limits = limits

    def sts(self, domain: str) -> StsPolicy | None:
        rows = self._limits.rows("SELECT * FROM sts WHERE domain = ?", domain)
        return _policy(rows[0]) if rows else None

    def all_sts(self) -> list[StsPolicy]:
        return [_policy(row) for row in self._limits.rows("SELECT * FROM sts ORDER BY domain")]

    async def keep_sts(self, policy: StsPolicy) -> None:
        row = (policy.domain, policy.id, policy.mode, json.dumps(policy.mx), policy.max_age)
        times = (policy.fetched, policy.until, policy.used)
        await self._limits.do(lambda db: _run(db, "REPLACE INTO sts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *row, *times))

    async def used_sts(self, domain: str, now: float) -> None:
        await self._limits.do(lambda db: _run(db, "UPDATE sts SET used = ? WHERE domain = ?", now, domain))

    def demanded(self, domain: str) -> Demanded | None:
        rows = self._limits.rows("SELECT domain, why, until FROM demanded WHERE domain = ?", domain)
        return Demanded(domain=rows[0][0], why=rows[0][1], until=rows[0][2]) if rows else None

    async def keep_demanded(self, demanded: Demanded) -> None:
        row = (demanded.domain, demanded.why, demanded.until)
        await self._limits.do(lambda db: _run(db, "REPLACE INTO demanded VALUES (?, ?, ?)", *row))

    async def forget_demanded(self, domain: str) -> None:
        await self._limits.do(lambda db: _run(db, "DELETE FROM demanded WHERE domain = ?", domain))

    async def count_tls(self, day: str, counts: Sequence[TlsCount]) -> None:
        await self._limits.do(lambda db: _count(db, day, counts))

    def tls_domains(self, day: str) -> list[str]:
        rows = self._limits.rows("SELECT DISTINCT domain FROM tls_count WHERE day = ? ORDER BY domain", day)
        return [row[0] for row in rows]

    def tls_counts(self, day: str, domain: str) -> list[TlsCount]:
        names = ("domain", "policy", "failure", "host", "address", "source", "detail", "count")
        return [TlsCount(**dict(zip(names, row, strict=True))) for row in self._limits.rows(_COUNTS, day, domain)]

    async def sweep(self, now: float) -> None:
        oldest = datetime.datetime.fromtimestamp(now - KEEP_DAYS * 86400.0, datetime.UTC).strftime("%Y-%m-%d")

        def work(db: apsw.Connection) -> None:
            _run(db, "DELETE FROM sts WHERE until <= ?", now)
            _run(db, "DELETE FROM demanded WHERE until <= ?", now)
            _run(db, "DELETE FROM tls_count WHERE day < ?", oldest)

        await self._limits.do(work)


def _run(db: apsw.Connection, sql: str, *bindings: Any) -> None:
    db.execute(sql, bindings)


def _count(db: apsw.Connection, day: str, counts: Sequence[TlsCount]) -> None:
    for each in counts:
        details = (each.host, each.address, each.source, each.detail)
        rows: int = db.execute(_ROWS, (day, each.domain)).get
        if rows >= MOST_ROWS:
            details = ("", "", "", "")
        db.execute(_ADD, (day, each.domain, each.policy, each.failure, *details, each.count))


def _policy(row: Any) -> StsPolicy:
    domain, number, mode, mx, max_age, fetched, until, used = row
    return StsPolicy(
        domain=domain,
        id=number,
        mode=mode,
        mx=tuple(json.loads(mx)),
        max_age=max_age,
        fetched=fetched,
        until=until,
        used=used,
    )
