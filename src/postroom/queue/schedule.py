"""When a recipient is tried again, and when that ends.

Owns: the retry rule. Standards: RFC 5321 4.5.4.1 (retries, give-up time of 4 to 5 days), RFC 3461 5.2.5 (delays).
On failure: nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_JITTER = 0.2  # a retry comes up to this part of its interval earlier, so that a burst spreads out


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Seconds, all of them. jitter: gives a number from 0 up to 1 (random.random).

    first, local_first: until the first retry of a remote or local recipient; it doubles up to longest.
    lifetime: after which mail bounces; warn_after: after which the sender is told of the delay.
    """

    jitter: Callable[[], float]
    first: float = 300.0
    longest: float = 14_400.0
    lifetime: float = 432_000.0
    warn_after: float = 14_400.0
    local_first: float = 30.0

    def interval(self, attempts: int, *, local: bool) -> float:
        """Seconds to wait after `attempts` tries (1 or more)."""
        first = min(self.local_first, self.first) if local else self.first
        step = min(first * 2.0 ** min(attempts - 1, 64), self.longest)
        return step * (1.0 - _JITTER * self.jitter())

    def next_try(self, now: float, received: float, attempts: int, *, local: bool) -> float:
        """When to try again. The moments of the delay notice and of the end are never slept through."""
        at = now + self.interval(attempts, local=local)
        for moment in (received + self.warn_after, received + self.lifetime):
            if now < moment < at:
                return moment
        return at

    def expired(self, now: float, received: float) -> bool:
        """True when the mail has been tried for long enough."""
        return now - received >= self.lifetime

    def late(self, now: float, received: float) -> bool:
        """True when the sender should hear of the delay."""
        return now - received >= self.warn_after
