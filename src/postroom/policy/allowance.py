"""How much an account may hold: what it says itself, else its domain, else the configuration.

Owns: nothing but answers of the directory's present generation. 0 is no limit everywhere.
On failure: StoreUnavailable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from postroom.config import Mailboxes
from postroom.store.api import AccountRow, DirectoryStore, DomainRow, Together

_MOST_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What is configured. octets, messages: of all mailboxes; annotations: octets of METADATA."""

    octets: int = 0
    messages: int = 0
    mailboxes: int = 10_000
    annotations: int = 1024 * 1024
    grace: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one account may hold, and all accounts of its domain together (domain_*).

    grace: percent by which mail that comes in may go beyond octets.
    """

    octets: int
    messages: int
    mailboxes: int
    annotations: int
    domain: str = ""
    domain_octets: int = 0
    domain_messages: int = 0
    grace: int = 0

    @property
    def incoming(self) -> int:
        """Octets up to which mail that comes in is taken."""
        return self.octets + self.octets * self.grace // 100

    @property
    def limited(self) -> bool:
        """Is there a limit to its mail?"""
        return bool(self.octets or self.messages)

    @property
    def domain_limited(self) -> bool:
        """Is there a limit to the mail of its domain?"""
        return bool(self.domain_octets or self.domain_messages)

    def is_full(self, octets: int, messages: int, more: int = 0) -> bool:
        """Is there no room for another message of `more` octets in an account that holds so much?"""
        full = bool(self.messages) and messages >= self.messages
        return full or (bool(self.octets) and octets + more >= self.incoming)

    def domain_is_full(self, held: Together) -> bool:
        """Do all accounts of the domain hold as much as they may?"""
        full = bool(self.domain_octets) and held.octets >= self.domain_octets
        return full or (bool(self.domain_messages) and held.messages >= self.domain_messages)


class Allowances:
    """Looks them up; a change in the directory acts at once."""

    __slots__ = ("_defaults", "_directory", "_generation", "_known")

    def __init__(self, directory: DirectoryStore, defaults: Defaults | None = None) -> None:
        self._directory = directory
        self._defaults = defaults or Defaults()
        self._generation = -1
        self._known: dict[str, Allowance] = {}

    def follow(self, defaults: Defaults) -> None:
        """Another configuration."""
        self._defaults = defaults
        self._known.clear()

    async def of(self, account: AccountRow) -> Allowance:
        """account: as somebody knew it; what counts is what the directory has now."""
        generation = self._directory.generation()
        if generation != self._generation:
            self._known.clear()
            self._generation = generation
        found = self._known.get(account.id)
        if found is None:
            row = await self._directory.account(account.id) or account
            domain = await self._directory.domain(row.login.rpartition("@")[2])
            found = resolve(row, domain, self._defaults)
            if self._directory.generation() == generation:
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[account.id] = found
        return found


def resolve(row: AccountRow, domain: DomainRow | None, defaults: Defaults) -> Allowance:
    """The limits of an account."""
    of_domain = (domain.account_quota, domain.account_messages) if domain is not None else (-1, -1)
    return Allowance(
        octets=_first(row.quota, of_domain[0], defaults.octets),
        messages=_first(row.quota_messages, of_domain[1], defaults.messages),
        mailboxes=_first(row.quota_mailboxes, defaults.mailboxes),
        annotations=_first(row.quota_annotations, defaults.annotations),
        domain=domain.name if domain is not None else "",
        domain_octets=domain.quota if domain is not None else 0,
        domain_messages=domain.quota_messages if domain is not None else 0,
        grace=defaults.grace,
    )


def configured(boxes: Mailboxes) -> Defaults:
    """What the configuration says."""
    return Defaults(
        octets=boxes.quota,
        messages=boxes.quota_messages,
        mailboxes=boxes.most,
        annotations=boxes.annotation_storage,
        grace=boxes.grace_percent,
    )


def _first(*limits: int) -> int:
    """The first that says something."""
    return next((limit for limit in limits if limit >= 0), 0)
