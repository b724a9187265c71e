"""What MAIL FROM says: the sender, or an address of ours that leads back to it.

Mail from outside that an address of ours passes on leaves under a return address (identity.srs); mail of our own people
with a tag, where their domain wants that (identity.batv). Mail that strangers have sent under an address of ours is
neither: its reports are nothing that we have made.
Owns: nothing. Trusts: the queue.
On failure: StoreError of the directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from postroom.identity.srs import Srs
from postroom.identity.tagging import Tagging
from postroom.store.api import Entry
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock


class Senders:
    """Of one worker. networks: those whose mail is passed on without a log-in."""

    def __init__(self, srs: Srs | None, tags: Tagging | None, networks: Sequence[str], clock: Clock) -> None:
        self._srs = srs
        self._tags = tags
        self._networks = tuple(ip_network(text, strict=False) for text in networks)
        self._clock = clock

    @property
    def stale(self) -> bool:
        """`refresh` first. Raises StoreUnavailable."""
        return self._tags is not None and self._tags.stale

    async def refresh(self) -> None:
        """Look what domains want now."""
        if self._tags is not None:
            await self._tags.refresh()

    def of(self, entry: Entry, forwarder: str) -> str:
        """forwarder: the address of ours that passes it on, "" for none."""
        if not entry.sender:
            return ""
        if not forwarder:
            tags = self._tags if self._own(entry) else None
            return entry.sender if tags is None else tags.leaving(entry.sender, self._clock.now())
        if self._srs is None:
            return entry.sender
        try:
            found = Address.parse(entry.sender)
        except BadAddress:
            return entry.sender
        return str(self._srs.forward(found, forwarder.rpartition("@")[2], self._clock.now()))

    def _own(self, entry: Entry) -> bool:
        """Somebody who logged in, a machine that may send without, or the server itself."""
        if entry.account or not entry.peer:
            return True
        try:
            peer = ip_address(entry.peer)
        except ValueError:
            return False
        return any(peer in network for network in self._networks)
