"""Addresses as policies count them, and sets of networks.

Trusts: addresses come from the socket or a believed proxy, networks from a checked configuration.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

from postroom.config import Limits

_THIS_MACHINE: Final = ("127.0.0.1/32", "::1/128")


@lru_cache(maxsize=1024)
def unit(ip: str) -> str:
    """What is one peer for limits on connections and rates: an IPv4 address, or a /64 of IPv6.

    A site is given at least a /64 (RFC 6177), and each of its machines may use any address of it.
    """
    return _prefix6(ip) if ":" in ip else ip


@lru_cache(maxsize=1024)
def neighbourhood(ip: str) -> str:
    """What is one guesser of passwords: an IPv4 /24, or a /64 of IPv6."""
    return _prefix6(ip) if ":" in ip else f"{ip.rpartition('.')[0]}.0/24"


def reversed_labels(ip: str) -> str:
    """An address as labels of the DNS, without the domain they stand under: octets, or nibbles of IPv6 (RFC 3596 2.5).

    Empty when it is no address.
    """
    try:
        if ":" in ip:
            return ".".join(reversed(socket.inet_pton(socket.AF_INET6, ip).hex()))
        return ".".join(str(octet) for octet in reversed(socket.inet_pton(socket.AF_INET, ip)))
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=1024)
def wider(ip: str) -> str:
    """The network that a peer is one of many of: an IPv4 /24, or a /56 of IPv6, which one site may have.

    Loopback is no network of many: there everybody is this machine.
    """
    if ip.startswith("127."):
        return ip
    return _prefix6(ip, 7) if ":" in ip else neighbourhood(ip)


@lru_cache(maxsize=4096)
def region(ip: str) -> str:
    """Roughly where somebody is, as far as an address tells without a register: an IPv4 /16, or a /32 of IPv6.

    That is about one provider's pool in one area, or one organisation.
    """
    return _prefix6(ip, 4) if ":" in ip else f"{'.'.join(ip.split('.')[:2])}.0.0/16"


def _prefix6(ip: str, octets: int = 8) -> str:
    try:
        packed = socket.inet_pton(socket.AF_INET6, ip)
    except OSError:
        return ip
    return f"{socket.inet_ntop(socket.AF_INET6, packed[:octets] + bytes(16 - octets))}/{octets * 8}"


Prefix = tuple[int, int, int]  # version, length, first address as a number


def prefix_of(text: str) -> tuple[Prefix, str]:
    """A network as a number, and as it is printed: 192.0.2.1, 192.0.2.0/24, 2001:db8::/64.

    One address of IPv6 is taken for its /64, because a site has all of that. Raises ValueError.
    """
    network = ip_network(text.strip(), strict=False)
    if network.version == 6 and network.prefixlen > 64:
        network = network.supernet(new_prefix=64)
    printed = str(network.network_address) if network.prefixlen == 32 and network.version == 4 else str(network)
    return (network.version, network.prefixlen, int(network.network_address)), printed


@lru_cache(maxsize=4096)
def number_of(ip: str) -> tuple[int, int]:
    """(version, address as a number); (0, 0) for what is no address."""
    six = ":" in ip
    try:
        packed = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, ip)
    except OSError:
        return 0, 0
    return (6 if six else 4), int.from_bytes(packed, "big")


class Networks:
    """Is an address in one of these networks? About 1 us the first time, less afterwards."""

    __slots__ = ("_four", "_six", "contains")

    def __init__(self, networks: Iterable[str]) -> None:
        """networks: such as 192.0.2.0/24 or 2001:db8::/32. Raises ValueError."""
        parsed = [ip_network(network, strict=False) for network in networks]
        pairs = [(network.version, int(network.netmask), int(network.network_address)) for network in parsed]
        self._four = [(mask, start) for version, mask, start in pairs if version == 4]
        self._six = [(mask, start) for version, mask, start in pairs if version == 6]
        self.contains = lru_cache(maxsize=1024)(self._contains) if pairs else _never

    def _contains(self, ip: str) -> bool:
        six = ":" in ip
        try:
            number = int.from_bytes(socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, ip), "big")
        except OSError:
            return False
        return any(number & mask == start for mask, start in (self._six if six else self._four))


def exempt(limits: Limits) -> Networks:
    """Peers that no stranger's check is for: this machine, trusted networks, and those that may relay."""
    return Networks((*_THIS_MACHINE, *limits.trusted_networks, *limits.relay_networks))


def _never(_ip: str) -> bool:
    return False
