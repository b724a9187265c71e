"""Whose envelope senders are tagged (identity.batv), and since when: the domains' wishes, at hand without waiting.

Owns: what it has read of the directory. A domain that stands for another does as that one does.
On failure: StoreError of the directory.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from postroom.identity.batv import Batv, fits
from postroom.identity.routing import real_domain
from postroom.store.api import DirectoryStore
from postroom.values.address import Address, BadAddress


class Wish(NamedTuple):
    """mode: "off", "tag" or "require"; since: Unix seconds from when on all mail of the domain has left with tags."""

    mode: str = "off"
    since: float = 0.0


OFF: Final = Wish()


class Tagging:
    """Of one worker."""

    __slots__ = ("_directory", "_generation", "_wishes", "batv")

    def __init__(self, directory: DirectoryStore, batv: Batv) -> None:
        self.batv = batv
        self._directory = directory
        self._generation = -1
        self._wishes: dict[str, Wish] = {}

    @property
    def stale(self) -> bool:
        """The directory has changed since `refresh`. Raises StoreUnavailable."""
        return self._directory.generation() != self._generation

    async def refresh(self) -> None:
        """Read it again."""
        generation = self._directory.generation()
        found = {}
        for row in await self._directory.domains():
            real = await real_domain(self._directory, row)
            if real is not None and real.batv != "off":
                found[row.name] = Wish(real.batv, real.batv_since)
        self._wishes, self._generation = found, generation

    async def of(self, domain: str) -> Wish:
        """What a domain wants; one that is not ours wants nothing."""
        if self.stale:
            await self.refresh()
        return self._wishes.get(domain, OFF)

    def leaving(self, sender: str, now: float) -> str:
        """What MAIL FROM says for mail of our own: with a tag where its domain wants that (as read last)."""
        if not self._wishes:
            return sender
        try:
            found = Address.parse(sender)
        except BadAddress:
            return sender
        return str(self.batv.tagged(found, now)) if found.domain in self._wishes else sender

    async def required(self, address: Address) -> Wish | None:
        """The wish of a domain where reports must come to a tagged address; None where this one need not."""
        wish = await self.of(address.domain)
        return wish if wish.mode == "require" and fits(address.local) else None
