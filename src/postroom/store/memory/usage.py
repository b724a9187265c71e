"""The UsageStore in memory, for tests of other rooms."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.store.api.usage import Held, Seen, Together, held, passed


class MemoryUsage:
    """See postroom.store.api.UsageStore."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._domains: dict[str, int] = {}

    async def note(self, seen: Sequence[Seen], steps: Sequence[int], now: float) -> list[Held]:
        told = []
        for one in seen:
            before = self._held.get(one.account)
            after = self._held[one.account] = held(one, before, steps, now)
            if after.warned > (before.warned if before is not None else 0):
                told.append(after)
        return told

    async def note_domain(self, domain: str, percent: int, steps: Sequence[int]) -> int:
        before = self._domains.get(domain, 0)
        after = self._domains[domain] = passed(before, percent, steps)
        return after if after > before else 0

    def of(self, account: str) -> Held | None:
        return self._held.get(account)

    def all(self, domain: str = "") -> list[Held]:
        found = [one for one in self._held.values() if domain in ("", one.domain)]
        return sorted(found, key=lambda one: (-one.percent, -one.octets, one.account))

    def domain(self, domain: str) -> Together:
        found = self.all(domain) if domain else []
        return Together(sum(one.octets for one in found), sum(one.messages for one in found), len(found))

    def forget(self, name: str) -> None:
        """An account or a domain is gone."""
        self._held.pop(name, None)
        self._domains.pop(name, None)
