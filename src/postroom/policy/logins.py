"""Failed logins: answers slow down after a few, and a network that goes on is refused for a while.

Counted in a sliding minute per network (IPv4 /24, IPv6 /64), and per network and login. A success takes back the
failures of its own login only: who has one password cannot clear the way for guessing others.
A login that has succeeded from a network before is not shut out by its neighbours' failures: one phone with last year's
password does not lock a whole office out.
Trusts: nobody; logins are hostile text.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from postroom.config import Limits
from postroom.policy.networks import Networks, neighbourhood
from postroom.policy.tables import Tables
from postroom.values.clock import Clock

_LONGEST_DELAY = 8.0
_REMEMBERED = 10_000
_LOGIN_OCTETS = 320


class LoginThrottle:
    """Ask `before` each attempt; tell it `failed` or `succeeded` after."""

    __slots__ = ("_clock", "_known", "_limit", "_slot", "_slow", "_tables", "_trusted")

    def __init__(self, limits: Limits, tables: Tables, slot: int, clock: Clock) -> None:
        self._limit = limits.login_failures_per_minute
        self._slow = limits.login_slow_after
        self._trusted = Networks(limits.trusted_networks)
        self._tables = tables
        self._slot = slot
        self._clock = clock
        self._known: OrderedDict[str, None] = OrderedDict()

    def before(self, ip: str, login: str) -> float | None:
        """Seconds to wait before the attempt is looked at; None refuses it (see `text`)."""
        if self._trusted.contains(ip):
            return 0.0
        now = self._clock.monotonic()
        network = neighbourhood(ip)
        cells = self._tables.few.of(network)
        if self._tables.failures.below(cells, min(self._slow, self._limit), now):
            return 0.0
        failures = self._tables.failures.estimate(cells, now)
        pair = _pair(network, login)
        if failures >= self._limit:
            own = self._tables.logins.estimate(self._tables.few.of(pair), now)
            if own >= self._limit or pair not in self._known:
                return None
            failures = own
        return min(2.0 ** (failures - self._slow), _LONGEST_DELAY) if failures >= self._slow else 0.0

    def text(self, ip: str) -> str:
        """Why attempts from this address are refused, and for how long, for the peer."""
        network = neighbourhood(ip)
        cells = self._tables.few.of(network)
        wait = math.ceil(self._tables.failures.wait(cells, self._limit, self._clock.monotonic())) or 1
        return f"Too many failed logins from {network}: {self._limit} a minute are allowed; try again in {wait} seconds"

    def failed(self, ip: str, login: str) -> None:
        """Wrong login or password."""
        if not self._trusted.contains(ip):
            self._add(neighbourhood(ip), login, 1)

    def succeeded(self, ip: str, login: str) -> None:
        """The right password: this login's own failures from this network are taken back."""
        if self._trusted.contains(ip):
            return
        network = neighbourhood(ip)
        pair = _pair(network, login)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        cells, now = self._tables.few.of(pair), self._clock.monotonic()
        if not self._tables.logins.below(cells, 1, now):
            self._add(network, login, -math.floor(self._tables.logins.estimate(cells, now)))

    def _add(self, network: str, login: str, amount: int) -> None:
        now = self._clock.monotonic()
        self._tables.failures.add(self._tables.few.of(network), self._slot, amount, now)
        self._tables.logins.add(self._tables.few.of(_pair(network, login)), self._slot, amount, now)


def _pair(network: str, login: str) -> str:
    return f"{network} {login[:_LOGIN_OCTETS].casefold()}"
