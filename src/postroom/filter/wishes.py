"""What a domain or a person wants of the filter: thresholds of their own, senders they always or never want.

A person's wishes stand over those of the domain; lists are added up, and a person's allow beats a domain's block.
A pattern is an address, a domain ("example.org", its subdomains too), or "@example.org" for exactly that domain.
Allowing believes only proven authors; blocking believes what the message claims.
On failure: StoreError of the directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from postroom.filter.scoring import Reason, Thresholds
from postroom.store.api import DirectoryStore, FilterRow

ALLOWED: Final = -100.0
BLOCKED: Final = 100.0
#: names of the reasons that say so
LISTED: Final = frozenset(("ALLOWED", "BLOCKED"))


@dataclass(frozen=True, slots=True)
class Wishes:
    """rows: the person's, then the domain's, as far as there are any."""

    rows: tuple[FilterRow, ...] = ()

    @property
    def off(self) -> bool:
        """No filter at all."""
        return any(row.off for row in self.rows[:1]) or (len(self.rows) > 1 and self.rows[1].off)

    def thresholds(self, given: Thresholds) -> Thresholds:
        """Those of the configuration, with the domain's and then the person's over them."""
        for row in reversed(self.rows):
            if row.junk >= 0:
                given = replace(given, junk=row.junk)
            if row.refuse >= 0:
                given = replace(given, refuse=row.refuse)
        return given

    def reasons(self, proven: str, claimed: Sequence[str]) -> list[Reason]:
        """proven: the author's address, "" when nothing proves it; claimed: addresses in From."""
        for row in self.rows:
            pattern = _first(row.allow, [proven] if proven else [])
            if pattern:
                return [Reason("ALLOWED", ALLOWED, f"{row.owner} always wants mail from {pattern}")]
            pattern = _first(row.block, claimed)
            if pattern:
                return [Reason("BLOCKED", BLOCKED, f"{row.owner} never wants mail from {pattern}")]
        return []


def _first(patterns: Iterable[str], addresses: Sequence[str]) -> str:
    for pattern in patterns:
        if any(matches(pattern, address.lower()) for address in addresses):
            return pattern
    return ""


def matches(pattern: str, address: str) -> bool:
    """Both lower case."""
    domain = address.rpartition("@")[2]
    if pattern.startswith("@"):
        return domain == pattern[1:]
    if "@" in pattern:
        return address == pattern
    return domain == pattern or domain.endswith(f".{pattern}")


async def wishes_of(directory: DirectoryStore, login: str) -> Wishes:
    """Of an address of ours. Raises StoreError."""
    own = await directory.wishes(login)
    domain = await directory.wishes(login.rpartition("@")[2])
    return Wishes(tuple(row for row in (own, domain) if row is not None))
