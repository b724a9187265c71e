"""Counts what came of connections, for the daily reports about TLS.

Owns: the counts of this process of the last minute; the rest is in the store. What dies with the process is missing
from a report, and no mail depends on it.
Standards: RFC 8460 4.1 (what is told apart), 5.3 (reports about TLS are not counted themselves).
On failure: an event; those counts are lost.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from postroom.relay.tls_policy import NO_TLS_REQUIRED, NOTHING_APPLIED, Applied, TlsResult
from postroom.store.api import StoreError, TlsCount, TransportStore
from postroom.values.clock import Clock

#: different results held at the most; beyond, details are left out
_MOST: Final = 5_000
_SECONDS: Final = 60.0
_DETAIL: Final = 200  # characters of a fault in words, which the server may have had a part in


class Event(Protocol):
    """Where faults are told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


class TlsResults:
    """Give `told` to the relay's protection."""

    def __init__(self, store: TransportStore, clock: Clock, event: Event) -> None:
        self._store = store
        self._clock = clock
        self._event = event
        self._counts: dict[tuple[str, TlsCount], int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def told(self, result: TlsResult) -> None:
        """Count one connection."""
        if result.requirement.reason == NO_TLS_REQUIRED or result.domain.startswith("["):
            return
        day = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%d")
        count = counted(result)
        if len(self._counts) >= _MOST and (day, count) not in self._counts:
            count = TlsCount(domain=count.domain, policy=count.policy, failure=count.failure, count=0)
        if (day, count) in self._counts or len(self._counts) < 2 * _MOST:
            self._counts[day, count] = self._counts.get((day, count), 0) + 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._begin)

    def _begin(self) -> None:
        self._writing = asyncio.get_running_loop().create_task(self.flush())

    async def flush(self) -> None:
        """Write down what was counted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counts, self._counts = self._counts, {}
        days: dict[str, list[TlsCount]] = {}
        for (day, count), number in counts.items():
            days.setdefault(day, []).append(replace(count, count=number))
        try:
            for day, some in days.items():
                await self._store.count_tls(day, some)
        except StoreError as fault:
            self._event("tls.uncounted", count=sum(counts.values()), reason=str(fault))


def counted(result: TlsResult) -> TlsCount:
    """The row it is counted in, with a count of 0. Who goes on without a policy that could not be had, has failed."""
    requirement = result.requirement
    failure, detail, applied = result.failure, result.detail, requirement.applied
    if not failure and requirement.troubles:
        failure, detail = requirement.troubles[0]
    if not failure:
        return TlsCount(domain=result.domain, policy=packed(applied), count=0)
    return TlsCount(
        domain=result.domain,
        policy=packed(applied),
        failure=failure,
        host=result.host,
        address=result.address,
        source=result.source,
        detail="".join(each for each in detail if each.isprintable())[:_DETAIL],
        count=0,
    )


def packed(applied: Applied) -> str:
    """What was applied, as it is kept."""
    return "" if applied == NOTHING_APPLIED else msgspec.json.encode(applied).decode()


def unpacked(text: str) -> Applied:
    """The same back."""
    return msgspec.json.decode(text, type=Applied) if text else NOTHING_APPLIED
