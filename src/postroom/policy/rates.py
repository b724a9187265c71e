"""How much one address, and one network, may do in a minute: messages, octets, and new connections to a service.

Owns: nothing; counts lie in the shared tables. A limit of 0 is off and costs nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache

from postroom.config import Limits
from postroom.policy.decision import ADMITTED, Admission
from postroom.policy.networks import Networks, unit, wider
from postroom.policy.sketch import Spot, WindowSketch
from postroom.policy.tables import Tables
from postroom.values.clock import Clock

_KIB = 1024


class Rates:
    """Sliding minutes per address (IPv6: per /64) and per network (/24, /56), over all workers."""

    __slots__ = ("_clock", "_connections", "_kib", "_messages", "_multiple", "_peers", "_slot", "_tables", "_trusted")

    def __init__(self, limits: Limits, tables: Tables, slot: int, clock: Clock) -> None:
        self._messages = limits.ip_messages_per_minute
        self._connections = limits.ip_connections_per_minute
        self._kib = math.ceil(limits.ip_bytes_per_minute / _KIB)  # a cell holds 31 bits
        self._multiple = limits.network_multiple
        self._trusted = Networks(limits.trusted_networks)
        self._tables = tables
        self._slot = slot
        self._clock = clock
        self._peers = lru_cache(maxsize=1024)(self._find_peers)

    def message(self, ip: str) -> Admission:
        """Count one message, or say why not. One of more octets than there is room for is let in; it is the last."""
        if self._kib:
            decision = self._look(self._tables.octets, "octets", ip, self._kib, "KiB of mail")
            if not decision.ok:
                return decision
        return self._count("message", ip, self._messages, "messages") if self._messages else ADMITTED

    def octets(self, ip: str, size: int) -> None:
        """A message of so many octets has come."""
        if self._kib and not self._trusted.contains(ip):
            self._add(self._tables.octets, "octets", ip, math.ceil(size / _KIB))

    def connection(self, service: str, ip: str) -> Admission:
        """Count one new connection to a service, or say why not."""
        return self._count(service, ip, self._connections, "connections") if self._connections else ADMITTED

    def _count(self, kind: str, ip: str, limit: int, what: str) -> Admission:
        decision = self._look(self._tables.rates, kind, ip, limit, what)
        if decision.ok and not self._trusted.contains(ip):
            self._add(self._tables.rates, kind, ip, 1)
        return decision

    def _look(self, table: WindowSketch, kind: str, ip: str, limit: int, what: str) -> Admission:
        if self._trusted.contains(ip):
            return ADMITTED
        now = self._clock.monotonic()
        for cells, peer, multiple in self._peers(kind, ip):
            most = limit * multiple
            if not table.below(cells, most, now):
                wait = math.ceil(table.wait(cells, most, now)) or 1
                return Admission(
                    False, f"Too many {what} from {peer}: {most} a minute are allowed; try again in {wait} seconds"
                )
        return ADMITTED

    def _add(self, table: WindowSketch, kind: str, ip: str, amount: int) -> None:
        now = self._clock.monotonic()
        for cells, _, _ in self._peers(kind, ip):
            table.add(cells, self._slot, amount, now)

    def _find_peers(self, kind: str, ip: str) -> tuple[tuple[Spot, str, int], ...]:
        """Where the address and its network are counted, their names, and how much of the limit they have."""
        cells, one, many = self._tables.cells, unit(ip), wider(ip)
        alone = (cells.of(f"{kind} {one}"), one, 1)
        return (alone, (cells.of(f"{kind} net {many}"), many, self._multiple)) if self._multiple else (alone,)
