"""A limit on TLS handshakes that come before anything else is known of a peer.

Owns: counts of one process. Trusts: nobody; a peer that connects and says nothing costs 19 KiB until its deadline.
"""

from __future__ import annotations

from collections.abc import Callable


class Handshakes:
    """How many implicit TLS handshakes are under way, by peer and in all.

    A peer is counted by its protocol only once it speaks; until then each silent connection would cost 19 KiB.
    """

    __slots__ = ("_barred", "_by_peer", "_exempt", "_per_peer", "_total", "_unit", "under_way")

    def __init__(
        self,
        per_peer: int,
        total: int,
        unit: Callable[[str], str] = str,
        exempt: Callable[[str], bool] = lambda host: False,
        barred: Callable[[str], bool] = lambda host: False,
    ) -> None:
        """unit: what addresses count as one peer; exempt: addresses that only `total` holds for; barred: never."""
        self._per_peer = per_peer
        self._total = total
        self._unit = unit
        self._exempt = exempt
        self._barred = barred
        self._by_peer: dict[str, int] = {}
        self.under_way = 0

    def limit(self, per_peer: int, exempt: Callable[[str], bool]) -> None:
        """Other limits from now on; what is under way goes on."""
        self._per_peer, self._exempt = per_peer, exempt

    def enter(self, host: str) -> bool:
        """Count one in; False when there are too many."""
        peer = self._unit(host)
        count = self._by_peer.get(peer, 0)
        if self.under_way >= self._total:
            return False
        if not self._exempt(host) and (count >= self._per_peer or self._barred(host)):
            return False
        self._by_peer[peer] = count + 1
        self.under_way += 1
        return True

    def leave(self, host: str) -> None:
        """One that was counted in is over."""
        peer = self._unit(host)
        count = self._by_peer.pop(peer) - 1
        if count:
            self._by_peer[peer] = count
        self.under_way -= 1
