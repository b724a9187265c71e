"""How many connections one address may have open to one service, over all workers.

Owns: nothing; counts lie in the shared tables. The count may be one or two above the limit when workers accept at the
same instant; it is never off for longer, because every admission is released once.
"""

from __future__ import annotations

from functools import lru_cache

from postroom.config import Limits
from postroom.policy.decision import ADMITTED, Admission
from postroom.policy.networks import Networks, unit
from postroom.policy.rates import Rates
from postroom.policy.tables import Tables


class ConnectionGate:
    """admit a connection, release it when it is over: about 3 us together."""

    __slots__ = ("_cells", "_limit", "_rates", "_slot", "_table", "_trusted")

    def __init__(self, limits: Limits, tables: Tables, slot: int, rates: Rates | None = None) -> None:
        """slot: this worker's column; rates: also limits new connections a minute."""
        self._limit = limits.connections_per_ip
        self._trusted = Networks(limits.trusted_networks)
        self._rates = rates
        self._table = tables.connections
        self._slot = slot
        self._cells = lru_cache(maxsize=1024)(lambda service, ip: tables.cells.of(f"{service} {unit(ip)}"))

    def admit(self, service: str, ip: str) -> Admission:
        """Count a connection in, or say why not. Call `release` once for each that was ok."""
        if self._trusted.contains(ip):
            return ADMITTED
        cells = self._cells(service, ip)
        if not self._table.below(cells, self._limit):
            return Admission(
                False, f"Too many connections from {unit(ip)}: {self._limit} are allowed at once; close one first"
            )
        if self._rates is not None:
            decision = self._rates.connection(service, ip)
            if not decision.ok:
                return decision
        self._table.add(cells, self._slot, 1)
        return ADMITTED

    def release(self, service: str, ip: str) -> None:
        """A connection that was admitted is over."""
        if not self._trusted.contains(ip):
            self._table.add(self._cells(service, ip), self._slot, -1)
