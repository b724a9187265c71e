"""Failed logins: answers slow down after a few, and a network that goes on is refused for a while.

Counted in a sliding minute per network (IPv4 /24, IPv6 /64), and per network and login. A success takes back the
failures of its own login only: who has one password cannot clear the way for guessing others.
A login that has succeeded from a network lately is not shut out by its neighbours' failures: one phone with last year's
password does not lock a whole office out. Guessing at one login from many networks slows that login down everywhere
but where it has succeeded lately; it is never locked.
Trusts: nobody; logins are hostile text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from postroom.config import Limits
from postroom.policy.conduct import Offence, knows, remember
from postroom.policy.networks import Networks, neighbourhood, unit
from postroom.policy.tables import Tables
from postroom.values.clock import Clock

_LONGEST_DELAY: Final = 8.0
_LOGIN_OCTETS: Final = 320

Note = Callable[[Offence, str], None]


class LoginThrottle:
    """Ask `before` each attempt; tell it `failed` or `succeeded` after."""

    __slots__ = ("_attack", "_clock", "_limit", "_note", "_slot", "_slow", "_tables", "_trusted")

    def __init__(
        self, limits: Limits, tables: Tables, slot: int, clock: Clock, note: Note = lambda _offence, _ip: None
    ) -> None:
        """note: told of each failure, for what it adds up to."""
        self._limit = limits.login_failures_per_minute
        self._slow = limits.login_slow_after
        self._attack = limits.login_attack_after
        self._trusted = Networks(limits.trusted_networks)
        self._tables = tables
        self._slot = slot
        self._clock = clock
        self._note = note

    def before(self, ip: str, login: str) -> float | None:
        """Seconds to wait before the attempt is looked at; None refuses it (see `text`)."""
        if self._trusted.contains(ip):
            return 0.0
        now = self._clock.monotonic()
        network = neighbourhood(ip)
        delay = self._attacked(network, login, now) if self._attack else 0.0
        cells = self._tables.few.of(network)
        if self._tables.failures.below(cells, min(self._slow, self._limit), now):
            return delay
        failures = self._tables.failures.estimate(cells, now)
        if failures >= self._limit:
            pair = _pair(network, login)
            own = self._tables.logins.estimate(self._tables.few.of(pair), now)
            if own >= self._limit or not knows(self._tables, pair, now):
                return None
            failures = own
        own_delay = min(2.0 ** (failures - self._slow), _LONGEST_DELAY) if failures >= self._slow else 0.0
        return max(delay, own_delay)

    def _attacked(self, network: str, login: str, now: float) -> float:
        """Seconds for a login that is guessed at from everywhere."""
        cells = self._tables.few.of(_name(login))
        if self._tables.targets.below(cells, self._attack, now) or knows(self._tables, _pair(network, login), now):
            return 0.0
        doublings = min(self._tables.targets.estimate(cells, now) / self._attack - 1.0, 9.0)
        return min(math.exp2(doublings), _LONGEST_DELAY)

    def text(self, ip: str) -> str:
        """Why attempts from this address are refused, and for how long, for the peer."""
        network = neighbourhood(ip)
        cells = self._tables.few.of(network)
        wait = math.ceil(self._tables.failures.wait(cells, self._limit, self._clock.monotonic())) or 1
        return f"Too many failed logins from {network}: {self._limit} a minute are allowed; try again in {wait} seconds"

    def failed(self, ip: str, login: str, password: str = "") -> None:
        """Wrong login or password. password: "" when it is not known; the same one again is hardly a guess."""
        if self._trusted.contains(ip):
            return
        self._add(neighbourhood(ip), login, 1)
        now = self._clock.monotonic()
        self._tables.targets.add(self._tables.few.of(_name(login)), self._slot, 1, now)
        again = bool(password) and self._again(f"{unit(ip)} {_name(login)} {password[:_LOGIN_OCTETS]}", now)
        self._note(Offence.SAME_PASSWORD if again else Offence.WRONG_PASSWORD, ip)

    def _again(self, attempt: str, now: float) -> bool:
        """Was just this tried before? Kept as counts under a secret key only."""
        cells = self._tables.cells.of(attempt)
        again = not self._tables.repeats.below(cells, 0.1, now)
        self._tables.repeats.add(cells, self._slot, 1, now)
        return again

    def succeeded(self, ip: str, login: str) -> None:
        """The right password: this login's own failures from this network are taken back."""
        if self._trusted.contains(ip):
            return
        network, now = neighbourhood(ip), self._clock.monotonic()
        pair = _pair(network, login)
        remember(self._tables, self._slot, pair, now)
        remember(self._tables, self._slot, f"ip {unit(ip)}", now)
        cells = self._tables.few.of(pair)
        if not self._tables.logins.below(cells, 1, now):
            self._add(network, login, -math.floor(self._tables.logins.estimate(cells, now)))

    def _add(self, network: str, login: str, amount: int) -> None:
        now = self._clock.monotonic()
        self._tables.failures.add(self._tables.few.of(network), self._slot, amount, now)
        self._tables.logins.add(self._tables.few.of(_pair(network, login)), self._slot, amount, now)


def _name(login: str) -> str:
    return login[:_LOGIN_OCTETS].casefold()


def _pair(network: str, login: str) -> str:
    return f"{network} {_name(login)}"
