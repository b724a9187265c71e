"""How much one address may do in a minute: messages, and new connections to a service.

Owns: nothing; counts lie in the shared tables. A limit of 0 is off and costs nothing.
"""

from __future__ import annotations

import math

from postroom.config import Limits
from postroom.policy.decision import ADMITTED, Admission
from postroom.policy.networks import Networks, unit
from postroom.policy.tables import Tables
from postroom.values.clock import Clock


class Rates:
    """Sliding minutes per address (IPv6: per /64), over all workers."""

    __slots__ = ("_clock", "_connections", "_messages", "_slot", "_tables", "_trusted")

    def __init__(self, limits: Limits, tables: Tables, slot: int, clock: Clock) -> None:
        self._messages = limits.ip_messages_per_minute
        self._connections = limits.ip_connections_per_minute
        self._trusted = Networks(limits.trusted_networks)
        self._tables = tables
        self._slot = slot
        self._clock = clock

    def message(self, ip: str) -> Admission:
        """Count one message, or say why not."""
        return self._count("message", ip, self._messages, "messages") if self._messages else ADMITTED

    def connection(self, service: str, ip: str) -> Admission:
        """Count one new connection to a service, or say why not."""
        return self._count(service, ip, self._connections, "connections") if self._connections else ADMITTED

    def _count(self, kind: str, ip: str, limit: int, what: str) -> Admission:
        if self._trusted.contains(ip):
            return ADMITTED
        peer = unit(ip)
        now = self._clock.monotonic()
        cells = self._tables.cells.of(f"{kind} {peer}")
        if not self._tables.rates.below(cells, limit, now):
            wait = math.ceil(self._tables.rates.wait(cells, limit, now)) or 1
            return Admission(
                False, f"Too many {what} from {peer}: {limit} a minute are allowed; try again in {wait} seconds"
            )
        self._tables.rates.add(cells, self._slot, 1, now)
        return ADMITTED
