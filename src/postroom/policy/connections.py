"""Who may connect: nobody who is banned, and of everybody else so many at once, over all workers.

Owns: nothing; counts lie in the shared tables. The count may be one or two above the limit when workers accept at the
same instant; it is never off for longer, because every admission is released once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from postroom.config import Limits
from postroom.policy.decision import ADMITTED, Admission
from postroom.policy.networks import Networks, unit, wider
from postroom.policy.rates import Rates
from postroom.policy.sketch import Spot
from postroom.policy.tables import Tables


class Barred(Protocol):
    """Who is banned (policy.bans)."""

    def refusal(self, ip: str) -> Admission | None:
        """Why the address is turned away; None when it is not."""
        ...


class ConnectionGate:
    """admit a connection, release it when it is over: a few us together."""

    __slots__ = ("_bans", "_cells", "_limit", "_network_limit", "_rates", "_slot", "_table", "_trusted")

    def __init__(
        self,
        limits: Limits,
        tables: Tables,
        slot: int,
        rates: Rates | None = None,
        bans: Barred | None = None,
    ) -> None:
        """slot: this worker's column; rates: also limits new connections a minute."""
        self._limit = limits.connections_per_ip
        self._network_limit = limits.connections_per_ip * limits.network_multiple
        self._trusted = Networks(limits.trusted_networks)
        self._rates = rates
        self._bans = bans
        self._table = tables.connections
        self._slot = slot

        def cells(service: str, ip: str) -> tuple[Spot, Spot]:
            return tables.cells.of(f"{service} {unit(ip)}"), tables.cells.of(f"{service} net {wider(ip)}")

        self._cells = lru_cache(maxsize=1024)(cells)

    def admit(self, service: str, ip: str) -> Admission:
        """Count a connection in, or say why not. Call `release` once for each that was ok."""
        if self._trusted.contains(ip):
            return ADMITTED
        if self._bans is not None:
            banned = self._bans.refusal(ip)
            if banned is not None:
                return banned
        one, network = self._cells(service, ip)
        table = self._table
        if not table.below(one, self._limit):
            return _too_many(unit(ip), self._limit)
        if self._network_limit and not table.below(network, self._network_limit):
            return _too_many(wider(ip), self._network_limit)
        if self._rates is not None:
            decision = self._rates.connection(service, ip)
            if not decision.ok:
                return decision
        table.add(one, self._slot, 1)
        if self._network_limit:
            table.add(network, self._slot, 1)
        return ADMITTED

    def release(self, service: str, ip: str) -> None:
        """A connection that was admitted is over."""
        if not self._trusted.contains(ip):
            one, network = self._cells(service, ip)
            self._table.add(one, self._slot, -1)
            if self._network_limit:
                self._table.add(network, self._slot, -1)


def _too_many(peer: str, limit: int) -> Admission:
    return Admission(False, f"Too many connections from {peer}: {limit} are allowed at once; close one first")
