"""The UsageStore: two tables of policy.db, read and written with the means of the limits.

Owns: sums of domains that were looked up within the last seconds. On failure: StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import apsw
from msgspec.structs import astuple

from postroom.store.api.usage import Held, Seen, Together, held, passed
from postroom.store.embedded.limits import EmbeddedLimits
from postroom.values.clock import Clock

_COLUMNS: Final = "account, domain, octets, messages, percent, at, full_since, warned"
_GET: Final = f"SELECT {_COLUMNS} FROM held WHERE account = ?"
_SUM: Final = "SELECT coalesce(sum(octets), 0), coalesce(sum(messages), 0), count(*) FROM held WHERE domain = ?"
#: how long a sum is believed
_SECONDS: Final = 5.0
_MOST_SUMS: Final = 10_000


class EmbeddedUsage:
    """See postroom.store.api.UsageStore."""

    def __init__(self, limits: EmbeddedLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._sums: dict[str, tuple[float, Together]] = {}

    async def note(self, seen: Sequence[Seen], steps: Sequence[int], now: float) -> list[Held]:
        self._sums.clear()
        return await self._limits.do(lambda db: _note(db, seen, steps, now))

    async def note_domain(self, domain: str, percent: int, steps: Sequence[int]) -> int:
        return await self._limits.do(lambda db: _note_domain(db, domain, percent, steps))

    def of(self, account: str) -> Held | None:
        rows = self._limits.rows(_GET, account)
        return _held(rows[0]) if rows else None

    def all(self, domain: str = "") -> list[Held]:
        sql = f"SELECT {_COLUMNS} FROM held WHERE ?1 IN ('', domain) ORDER BY percent DESC, octets DESC, account"
        return [_held(row) for row in self._limits.rows(sql, domain)]

    def domain(self, domain: str) -> Together:
        now = self._clock.monotonic()
        known = self._sums.get(domain)
        if known is None or not 0 <= now - known[0] < _SECONDS:
            if len(self._sums) >= _MOST_SUMS:
                self._sums.clear()
            known = self._sums[domain] = now, Together(*self._limits.rows(_SUM, domain)[0])
        return known[1]


def _note(db: apsw.Connection, seen: Sequence[Seen], steps: Sequence[int], now: float) -> list[Held]:
    told = []
    for one in seen:
        row: Any = db.execute(_GET, (one.account,)).fetchone()
        before = _held(row) if row else None
        after = held(one, before, steps, now)
        db.execute(f"REPLACE INTO held ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _values(after))
        if after.warned > (before.warned if before is not None else 0):
            told.append(after)
    return told


def _note_domain(db: apsw.Connection, domain: str, percent: int, steps: Sequence[int]) -> int:
    before: int = db.execute("SELECT warned FROM held_domain WHERE domain = ?", (domain,)).get or 0
    after = passed(before, percent, steps)
    if after != before:
        db.execute("REPLACE INTO held_domain VALUES (?, ?)", (domain, after))
    return after if after > before else 0


def _values(one: Held) -> tuple[Any, ...]:
    account, domain, octets, messages, percent, at, full_since, warned = astuple(one)
    return account, domain, octets, messages, percent, at, full_since, warned


def _held(row: Any) -> Held:
    account, domain, octets, messages, percent, at, full_since, warned = row
    return Held(
        account=account,
        domain=domain,
        octets=octets,
        messages=messages,
        percent=percent,
        at=at,
        full_since=full_since,
        warned=warned,
    )
