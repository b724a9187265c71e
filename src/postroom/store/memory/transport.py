"""The TransportStore in memory, for tests of other rooms."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from msgspec.structs import astuple, replace

from postroom.store.api.transport import KEEP_DAYS, MOST_ROWS, Demanded, StsPolicy, TlsCount


class MemoryTransport:
    """Nothing survives."""

    def __init__(self) -> None:
        self._policies: dict[str, StsPolicy] = {}
        self._counts: dict[str, dict[TlsCount, int]] = {}
        self._demanded: dict[str, Demanded] = {}

    def sts(self, domain: str) -> StsPolicy | None:
        return self._policies.get(domain)

    def all_sts(self) -> list[StsPolicy]:
        return [policy for _, policy in sorted(self._policies.items())]

    async def keep_sts(self, policy: StsPolicy) -> None:
        self._policies[policy.domain] = policy

    async def used_sts(self, domain: str, now: float) -> None:
        if domain in self._policies:
            self._policies[domain] = replace(self._policies[domain], used=now)

    def demanded(self, domain: str) -> Demanded | None:
        return self._demanded.get(domain)

    async def keep_demanded(self, demanded: Demanded) -> None:
        self._demanded[demanded.domain] = demanded

    async def forget_demanded(self, domain: str) -> None:
        self._demanded.pop(domain, None)

    async def count_tls(self, day: str, counts: Sequence[TlsCount]) -> None:
        rows = self._counts.setdefault(day, {})
        for each in counts:
            full = sum(row.domain == each.domain for row in rows) >= MOST_ROWS
            bare = {"host": "", "address": "", "source": "", "detail": ""} if full else {}
            row = replace(each, count=0, **bare)
            rows[row] = rows.get(row, 0) + each.count

    def tls_domains(self, day: str) -> list[str]:
        return sorted({row.domain for row in self._counts.get(day, {})})

    def tls_counts(self, day: str, domain: str) -> list[TlsCount]:
        found = [replace(row, count=count) for row, count in self._counts.get(day, {}).items() if row.domain == domain]
        return sorted(found, key=astuple)

    async def sweep(self, now: float) -> None:
        oldest = datetime.datetime.fromtimestamp(now - KEEP_DAYS * 86400.0, datetime.UTC).strftime("%Y-%m-%d")
        self._policies = {name: policy for name, policy in self._policies.items() if policy.until > now}
        self._demanded = {name: one for name, one in self._demanded.items() if one.until > now}
        self._counts = {day: rows for day, rows in self._counts.items() if day >= oldest}
