"""Unknown servers have to wait (RFC 6647): mail programs of spam seldom try again, mail servers do.

The first mail for a recipient from a sender and a network is put off; once one such mail has come again in time, the
whole network is known, and known it stays while it sends. Trusted networks and this machine never wait.
Owns: nothing. On failure: StoreUnavailable.
"""

from __future__ import annotations

from math import ceil

from postroom.config import Config
from postroom.policy.networks import exempt, neighbourhood
from postroom.store.api import LimitsStore
from postroom.values.clock import Clock
from postroom.values.refusal import Refusal


class Greylist:
    """For one worker."""

    def __init__(self, limits: LimitsStore, config: Config, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._seconds = config.filter.greylist_seconds
        self._exempt = exempt(config.limits)

    @property
    def active(self) -> bool:
        """False when nobody waits."""
        return self._seconds > 0

    async def check(self, ip: str, sender: str, recipient: str) -> None:
        """sender, recipient: addresses. Raises Refusal 451 4.7.1 while it has to wait; StoreUnavailable."""
        if not self.active or self._exempt.contains(ip):
            return
        network = neighbourhood(ip)
        now = self._clock.now()
        if self._limits.waits(network) is not None:
            await self._limits.wait(network, now, now)
            return
        since = await self._limits.wait(f"{network} {sender.lower()} {recipient.lower()}", now, now)
        left = since + self._seconds - now
        if left > 0:
            minutes = ceil(left / 60)
            text = f"We do not know {ip} yet, so its first mail has to wait: try again in {minutes} min"
            raise Refusal(451, "4.7.1", text, reason="greylisted")
        await self._limits.wait(network, now, now)
