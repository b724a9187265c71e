"""What accounts held when somebody last looked: for the sum of a domain, for warnings, for lists.

The truth is each account's own (AccountStore.usage); this is some seconds behind it, and right again after a look at
every account. So it decides only what may be decided some seconds late.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

#: a use that sank so many points below a threshold may be warned of again
SLACK: Final = 5
FULL: Final = 100


class Seen(Struct, frozen=True, kw_only=True):
    """A look at an account. percent: of its limits the one that is used most, 0 without any; 100 and more is full."""

    account: str
    domain: str
    octets: int
    messages: int
    percent: int = 0


class Held(Seen, frozen=True, kw_only=True):
    """What is kept of it. at: when somebody looked; full_since: 0 while there is room; warned: the threshold that was
    passed last, 0 below all.
    """

    at: float
    full_since: float = 0.0
    warned: int = 0


class Together(Struct, frozen=True):
    """What all accounts of a domain hold."""

    octets: int = 0
    messages: int = 0
    accounts: int = 0


class UsageStore(Protocol):
    """Uses of accounts. Reads are a few us, sums of a domain may be some seconds old. Raises StoreUnavailable."""

    async def note(self, seen: Sequence[Seen], steps: Sequence[int], now: float) -> list[Held]:
        """Keep these looks; gives those that passed one of the thresholds `steps` upwards since the last one."""
        ...

    async def note_domain(self, domain: str, percent: int, steps: Sequence[int]) -> int:
        """The same for a domain: the threshold that was passed now, 0 when none was."""
        ...

    def of(self, account: str) -> Held | None:
        """What is known of an account."""
        ...

    def all(self, domain: str = "") -> list[Held]:
        """Of every account, or those of a domain, the fullest first."""
        ...

    def domain(self, domain: str) -> Together:
        """The sum of a domain's accounts."""
        ...


def passed(before: int, percent: int, steps: Sequence[int]) -> int:
    """The threshold that counts as passed now. before: the one that did until now."""
    reached = max((step for step in steps if step <= percent), default=0)
    if reached < before and percent > before - SLACK:
        return before
    return reached


def held(seen: Seen, before: Held | None, steps: Sequence[int], now: float) -> Held:
    """What is kept after a look."""
    full_since = 0.0
    if seen.percent >= FULL:
        full_since = before.full_since if before is not None and before.full_since else now
    return Held(
        account=seen.account,
        domain=seen.domain,
        octets=seen.octets,
        messages=seen.messages,
        percent=seen.percent,
        at=now,
        full_since=full_since,
        warned=passed(before.warned if before is not None else 0, seen.percent, steps),
    )
