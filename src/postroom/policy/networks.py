"""Addresses as policies count them, and sets of networks.

Trusts: addresses come from the socket or a believed proxy, networks from a checked configuration.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_network


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


def _prefix6(ip: str) -> str:
    try:
        packed = socket.inet_pton(socket.AF_INET6, ip)
    except OSError:
        return ip
    return f"{socket.inet_ntop(socket.AF_INET6, packed[:8] + bytes(8))}/64"


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


def _never(_ip: str) -> bool:
    return False
