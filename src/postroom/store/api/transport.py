"""What is kept of other domains' TLS: their MTA-STS policies, and counts of what came of connections to them.

A change is seen by all processes at once. Power loss may take back the last second: a policy is then fetched again, a
count is a little low.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

#: rows of one domain and day that tell failures apart; what comes beyond is counted in one row without details
MOST_ROWS: Final = 100
#: days whose counts are kept
KEEP_DAYS: Final = 8


class StsPolicy(Struct, frozen=True, kw_only=True):
    """A domain's policy (RFC 8461 3.2) as it was fetched.

    id: of the DNS record then; mode: enforce, testing or none; mx: patterns; fetched, until: Unix seconds from and to
    when it holds; used: when mail last asked for it, give or take a day.
    """

    domain: str
    id: str
    mode: str
    mx: tuple[str, ...]
    max_age: int
    fetched: float
    until: float
    used: float


class TlsCount(Struct, frozen=True, kw_only=True):
    """So many connections with this result. policy: what was applied, in a form of the writer's; failure: "" for
    success, else a result type of RFC 8460 4.3; host, address: of the server; source: our address; detail: in words.
    """

    domain: str
    policy: str
    failure: str = ""
    host: str = ""
    address: str = ""
    source: str = ""
    detail: str = ""
    count: int = 1


class Demanded(Struct, frozen=True, kw_only=True):
    """A domain that has demanded TLS. why: in words; until: Unix seconds up to which that counts."""

    domain: str
    why: str
    until: float


class TransportStore(Protocol):
    """Raises StoreUnavailable everywhere."""

    def sts(self, domain: str) -> StsPolicy | None:
        """The policy, also one that has run out. Answers at once."""
        ...

    def all_sts(self) -> list[StsPolicy]:
        """All policies, by domain."""
        ...

    async def keep_sts(self, policy: StsPolicy) -> None:
        """Insert or replace."""
        ...

    async def used_sts(self, domain: str, now: float) -> None:
        """Mail asked for it."""
        ...

    def demanded(self, domain: str) -> Demanded | None:
        """That it has demanded TLS, also when that counts no more. Answers at once."""
        ...

    async def keep_demanded(self, demanded: Demanded) -> None:
        """Insert or replace."""
        ...

    async def forget_demanded(self, domain: str) -> None:
        """It demands nothing any more."""
        ...

    async def count_tls(self, day: str, counts: Sequence[TlsCount]) -> None:
        """Add to what there is of the day (UTC, YYYY-MM-DD)."""
        ...

    def tls_domains(self, day: str) -> list[str]:
        """Domains with counts of that day, by name."""
        ...

    def tls_counts(self, day: str, domain: str) -> list[TlsCount]:
        """The day's counts of a domain, in a fixed order."""
        ...

    async def sweep(self, now: float) -> None:
        """Forget policies and demands that ran out, and counts of days long past."""
        ...
