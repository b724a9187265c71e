"""From which addresses of this machine mail leaves, by the sender's domain.

Owns: whose turn it is when a domain has several. Trusts: the configuration.
Standards: RFC 5321 4.1.1.1 (the name in EHLO belongs to the address).
On failure: nothing raises; an address that is not ours fails when it is used, and the mail waits.
"""

from __future__ import annotations

from itertools import cycle, zip_longest

from msgspec import Struct

from postroom.config import Config


class Origin(Struct, frozen=True):
    """Our end. Addresses: "" is any; with one family given, the other one is not used at all."""

    hostname: str
    ipv4: str = ""
    ipv6: str = ""

    def address_for(self, address: str) -> str | None:
        """Our address towards that one: "" for any, None when it cannot be reached from here."""
        if not (self.ipv4 or self.ipv6):
            return ""
        return (self.ipv6 if ":" in address else self.ipv4) or None


class Sources:
    """Origins by the sender's domain."""

    def __init__(self, config: Config) -> None:
        self._plain = Origin(config.server.hostname)
        self._turns = {}
        for source in config.source:
            sixes = [address for address in source.addresses if ":" in address]
            fours = [address for address in source.addresses if ":" not in address]
            hostname = source.hostname or config.server.hostname
            pairs = zip_longest(fours, sixes, fillvalue="")
            origins = [Origin(hostname, four, six) for four, six in pairs] or [Origin(hostname)]
            if fours and sixes:  # the shorter list goes round, so that every pair has both
                origins = [
                    Origin(hostname, one.ipv4 or fours[index % len(fours)], one.ipv6 or sixes[index % len(sixes)])
                    for index, one in enumerate(origins)
                ]
            self._turns[source.domain.lower()] = cycle(origins)

    def of(self, sender: str) -> Origin:
        """Our end for mail from this address ("" for reports)."""
        if not self._turns:
            return self._plain
        domain = sender.rpartition("@")[2].lower()
        turn = self._turns.get(domain) or self._turns.get("")
        return next(turn) if turn is not None else self._plain
