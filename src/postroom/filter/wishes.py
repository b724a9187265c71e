"""What a domain or a person wants of the filter: thresholds of their own, senders they always or never want.

A person's wishes stand over those of the domain: when any pattern of the person's fits, the domain's are not asked.
A pattern is an address, "@example.org" for exactly that domain, a domain ("example.org", its subdomains too), or the IP
address or network that the mail comes from ("192.0.2.0/24"). Of the patterns of one owner that fit, the narrowest
counts, in the order they are named here; allowing counts when an allowed and a blocked one are as narrow.
Allowing believes only proven authors (and the network, which the connection proves); blocking believes what the message
and its envelope claim.
On failure: StoreError of the directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from postroom.filter.scoring import Reason, Thresholds
from postroom.store.api import DirectoryStore, FilterRow
from postroom.values.address import Address, BadAddress

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
            if row.quarantine >= 0:
                given = replace(given, quarantine=row.quarantine)
            if row.refuse >= 0:
                given = replace(given, refuse=row.refuse)
        return given

    def reasons(self, sender: Sender) -> list[Reason]:
        """The person's word counts before the domain's; of one owner's patterns the narrowest counts."""
        for row in self.rows:
            allowed = _narrowest(row.allow, sender.proven, sender.ip)
            blocked = _narrowest(row.block, sender.claimed, sender.ip)
            if allowed and (not blocked or allowed[0] >= blocked[0]):
                return [Reason("ALLOWED", ALLOWED, f"{row.owner} always wants mail from {allowed[1]}")]
            if blocked:
                return [Reason("BLOCKED", BLOCKED, f"{row.owner} never wants mail from {blocked[1]}")]
        return []


@dataclass(frozen=True, slots=True)
class Sender:
    """Who it is from. proven: the author's address, () when nothing proves it; claimed: addresses in From and that of
    the envelope; ip: the peer, whom the connection itself proves, "" for none.
    """

    proven: Sequence[str] = ()
    claimed: Sequence[str] = ()
    ip: str = ""


#: how narrow a pattern is, then the pattern; () is none
_Match = tuple[tuple[int, int], str] | tuple[()]
_NETWORK, _DOMAIN, _EXACTLY, _ADDRESS = range(4)


def _narrowest(patterns: Iterable[str], addresses: Sequence[str], ip: str) -> _Match:
    known = [_key(address) for address in addresses]
    best: _Match = ()
    for pattern in patterns:
        network = network_of(pattern)
        fits = any(matches(pattern, address) for address in known) if network is None else _inside(network, ip)
        if fits and (not best or _narrowness(pattern) > best[0]):
            best = _narrowness(pattern), pattern
    return best


def _narrowness(pattern: str) -> tuple[int, int]:
    network = network_of(pattern)
    if network is not None:
        return _NETWORK, network.prefixlen + (96 if network.version == 4 else 0)
    if pattern.startswith("@"):
        return _EXACTLY, 0
    return (_ADDRESS, 0) if "@" in pattern else (_DOMAIN, pattern.count("."))


def _key(address: str) -> str:
    try:
        return Address.parse(address).key
    except BadAddress:
        return address.lower()


@lru_cache(maxsize=4096)
def network_of(pattern: str) -> IPv4Network | IPv6Network | None:
    """The network that a pattern names, None when it names none."""
    if "@" in pattern or not (":" in pattern or pattern[-1:].isdigit()):
        return None
    try:
        return ip_network(pattern)
    except ValueError:
        return None


def _inside(network: IPv4Network | IPv6Network, ip: str) -> bool:
    try:
        return ip_address(ip) in network
    except ValueError:
        return False


def matches(pattern: str, address: str) -> bool:
    """Both lower case; no network."""
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
