"""Reports: those that others sent us about our domains, and which of ours have left.

What is received is kept once, whoever sends it again: a report is known by its kind, the domain it is about, who is
proven to have sent it, the name its writer gives himself, and its id. So nobody can take the place of another's
report by guessing its id. What is sent is written down before it goes, so that no report leaves twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Struct

#: reports about one domain that are kept; and of one sender a day (received), proven or not
MOST_OF_DOMAIN: Final = 20_000
MOST_OF_SENDER: Final = 200
#: octets of one report as it is kept, and of all about one domain
LARGEST: Final = 4 * 1024 * 1024
MOST_OCTETS: Final = 256 * 1024 * 1024


class KeptReport(Struct, frozen=True, kw_only=True):
    """A report that was received. kind: "dmarc", "tls" or "feedback"; domain: of ours, that it is about.

    proven: the domain that DMARC proved to have sent it, "" when nothing did; org: what its writer calls himself;
    begin, end: Unix seconds of what it tells of; data: what it says, in the form that `kind` has (opaque here).
    """

    kind: str
    domain: str
    proven: str
    org: str
    id: str
    begin: float
    end: float
    received: float
    data: bytes

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What it is known by."""
        return self.kind, self.domain, self.proven, self.org, self.id


class TooMany(Exception):
    """The report is not kept: its domain or its sender has as many as is good for us. The text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuery:
    """Which reports: those whose time ends after `since` and begins before `until`. unproven: these too."""

    kind: str
    domain: str = ""
    since: float = 0.0
    until: float = 1e18
    unproven: bool = False
    limit: int = 100_000


class SentReport(Struct, frozen=True, kw_only=True):
    """A report of ours for a day (UTC, YYYY-MM-DD). name: whom it is for, one of its kind and day; entry: the queue
    id it leaves under; at: Unix seconds before which it does not leave; queued: it is known to be in the queue.
    """

    kind: str
    day: str
    name: str
    entry: str
    at: float
    queued: bool = False


class ReportStore(Protocol):
    """All processes share it. Every method raises StoreUnavailable when the disk will not do it."""

    async def keep(self, report: KeptReport) -> bool:
        """Keep a report, durable when this returns; False when it was there already. Raises TooMany."""
        ...

    async def find(self, query: ReportQuery) -> list[KeptReport]:
        """Reports in the order of their times."""
        ...

    async def reserve(self, report: SentReport) -> SentReport | None:
        """Write down that a report is about to be queued. When it was before: what was written then."""
        ...

    async def queued(self, report: SentReport) -> None:
        """It is in the queue."""
        ...

    async def release(self, report: SentReport) -> None:
        """It never came into the queue: forget the reservation."""
        ...

    async def sent(self, kind: str, day: str) -> list[SentReport]:
        """What was written down for a day, by name."""
        ...

    async def finish(self, kind: str, day: str) -> None:
        """All reports of this kind and day are in the queue, or cannot be."""
        ...

    async def finished(self, kind: str, day: str) -> bool:
        """Was `finish` called?"""
        ...

    async def sweep(self, before: float) -> int:
        """Forget what was received, and sent, before this time; how many received reports went."""
        ...
