"""The DNS servers that are asked: where they are, whether they are well, and whether their word on DNSSEC counts.

Owns: the health of each. A server that leaves several questions in a row without an answer is passed over for a while.
Trusts: the AD bit only of servers that the administrator configured or that run on this machine; on the way to any
other one it could be set by anybody (RFC 6840 5.7, RFC 8461 and RFC 7672 rest on this).
On failure: an unreadable /etc/resolv.conf means a server on this machine, as for the C library.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from postroom.config import parse_dns_server
from postroom.values.clock import Clock

RESOLV_CONF: Final = "/etc/resolv.conf"
_FAILURES: Final = 3  # unanswered tries in a row until a server is passed over
_REST: Final = 30.0  # seconds it is passed over
_LOOK: Final = 5.0  # seconds between two looks at the file
_MOST: Final = 8  # servers of the file that are used


class Server:
    """One DNS server."""

    __slots__ = ("address", "family", "rests_until", "text", "trusted", "unanswered")

    def __init__(self, address: tuple[str, int], *, configured: bool) -> None:
        host, port = address
        parsed = ip_address(host)
        self.text = f"[{host}]:{port}" if parsed.version == 6 else f"{host}:{port}"
        self.family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
        self.address: tuple[str, int] | tuple[str, int, int, int] = (host, port)
        if parsed.version == 6:  # a zone (fe80::1%eth0) becomes a number
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
            self.address = found[0][4]  # type: ignore[assignment]
        self.trusted = configured or parsed.is_loopback
        self.unanswered = 0
        self.rests_until = 0.0

    def answered(self) -> None:
        """It is there."""
        self.unanswered = 0
        self.rests_until = 0.0

    def silent(self, now: float) -> None:
        """A try got no answer in time."""
        self.unanswered += 1
        if self.unanswered >= _FAILURES:
            self.rests_until = now + _REST

    def unreachable(self, now: float) -> None:
        """It cannot be reached at all."""
        self.unanswered = _FAILURES
        self.rests_until = now + _REST


class Servers:
    """Those to ask, in their order."""

    __slots__ = ("_clock", "_file", "_looked", "_servers", "_stamp")

    def __init__(self, configured: Sequence[str], clock: Clock, file: str = RESOLV_CONF) -> None:
        """configured: as `server.dns` has them; empty: the name servers of the file. Raises ValueError."""
        self._clock = clock
        self._file = "" if configured else file
        self._looked = -_LOOK
        self._stamp = (-1, -1)
        self._servers = [Server(parse_dns_server(text), configured=True) for text in configured]

    def order(self) -> list[Server]:
        """The servers to try one after the other; those that rest only when no other is left."""
        now = self._clock.monotonic()
        if self._file and now - self._looked >= _LOOK:
            self._looked = now
            self._look()
        servers = self._servers
        if all(server.rests_until <= now for server in servers):
            return servers
        return [server for server in servers if server.rests_until <= now] or servers

    def _look(self) -> None:
        """Read the file if it changed: machines move, and a server may start before its network."""
        try:
            status = os.stat(self._file)
            stamp = (status.st_mtime_ns, status.st_ino)
        except OSError:
            stamp = (0, 0)
        if stamp != self._stamp:
            self._stamp = stamp
            self._servers = [Server((host, 53), configured=False) for host in _name_servers(self._file)]


def _name_servers(path: str) -> list[str]:
    """The addresses of `nameserver` lines (resolv.conf(5)); this machine's when there are none."""
    found = []
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if len(words) >= 2 and words[0] == "nameserver" and _is_address(words[1]):
                    found.append(words[1])
    except OSError:
        pass
    return found[:_MOST] or ["127.0.0.1"]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
