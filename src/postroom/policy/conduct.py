"""Bad conduct adds up to a ban: points for each offence, by address and by network, within ten minutes.

What every offence costs stands in `PRICES`. An address somebody has logged in from lately is let off ten times as
much: behind it are our own people. Nobody pays for single mistakes. Unwelcome mail is made up for by mail that
is: a large provider's server brings both. Guessing passwords is made up for by nothing.
Owns: nothing; points lie in the shared tables. Trusts: the servers, who saw it happen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from postroom.config import Config
from postroom.policy.bans import Bans
from postroom.policy.networks import Networks, unit, wider
from postroom.policy.sketch import Spot
from postroom.policy.tables import Tables
from postroom.values.clock import Clock

#: how much more an address with a recent login may do
KNOWN_FACTOR: Final = 10
#: a count fades at the end of its time, but is not nothing
_ANY: Final = 1e-9


class Offence(Enum):
    """What a peer should not do."""

    WRONG_PASSWORD = auto()
    SAME_PASSWORD = auto()  # the same wrong one again: a forgotten device, no guesser
    UNKNOWN_RECIPIENT = auto()
    RELAYING = auto()
    REFUSED_MESSAGE = auto()
    NONSENSE = auto()
    EARLY = auto()
    NO_TLS = auto()
    NOTHING = auto()


#: points of an offence, and the reason of a ban
PRICES: Final = {
    Offence.WRONG_PASSWORD: (10, "too many failed log-ins"),
    Offence.SAME_PASSWORD: (1, "too many failed log-ins"),
    Offence.UNKNOWN_RECIPIENT: (5, "too much mail to unknown recipients"),
    Offence.RELAYING: (10, "attempts to send through this server to other domains"),
    Offence.REFUSED_MESSAGE: (10, "too many messages that had to be refused"),
    Offence.NONSENSE: (20, "commands that make no sense"),
    Offence.EARLY: (10, "speaking before the greeting"),
    Offence.NO_TLS: (1, "failed TLS handshakes"),
    Offence.NOTHING: (1, "connections that want nothing"),
}
#: what welcome mail makes up for, and the points it makes up for each message
_MAIL: Final = frozenset((Offence.UNKNOWN_RECIPIENT, Offence.REFUSED_MESSAGE))
_CREDIT: Final = 10


@dataclass(slots=True)
class Tally:
    """What a peer did in one connection. wanted: it tried to log in, or began a mail transaction."""

    wanted: bool = False
    welcome: int = 0  # recipients that were accepted
    unknown: int = 0
    relaying: int = 0
    kept: int = 0  # messages that were accepted
    refused: int = 0
    nonsense: bool = False


class Conduct:
    """Add up offences of one worker's peers; the points are everybody's. 0 points ban nobody and cost nothing."""

    __slots__ = ("_bans", "_clock", "_exempt", "_limit", "_mail_cells", "_multiple", "_slot", "_tables")

    def __init__(self, config: Config, tables: Tables, slot: int, clock: Clock, bans: Bans) -> None:
        limits = config.limits
        self._limit = config.bans.points
        self._multiple = limits.network_multiple
        self._exempt = Networks((*limits.trusted_networks, *limits.relay_networks, *config.bans.exempt_networks))
        self._tables = tables
        self._slot = slot
        self._clock = clock
        self._bans = bans

        def mail_cells(ip: str) -> tuple[Spot, Spot]:
            return tables.cells.of(f"mail {unit(ip)}"), tables.cells.of(f"mail {wider(ip)}")

        self._mail_cells = lru_cache(maxsize=1024)(mail_cells)

    def note(self, offence: Offence, ip: str, times: int = 1) -> None:
        """The address did that."""
        if not self._limit or not ip or self._exempt.contains(ip):
            return
        now = self._clock.monotonic()
        one, many = unit(ip), wider(ip)
        factor = KNOWN_FACTOR if knows(self._tables, f"ip {one}", now) else 1
        self._count(one, offence, times, self._limit * factor, now)
        if self._multiple and many != one:
            self._count(many, offence, times, self._limit * self._multiple * factor, now)

    def _welcome(self, ip: str, messages: int) -> None:
        """Mail that was accepted: takes back points for mail that was not, never more than there are."""
        table, now = self._tables.abuse, self._clock.monotonic()
        one, many = self._mail_cells(ip)
        for cells in (one, many):
            if not table.below(cells, 1, now):
                table.add(cells, self._slot, -min(_CREDIT * messages, math.floor(table.estimate(cells, now))), now)

    def _count(self, network: str, offence: Offence, times: int, limit: int, now: float) -> None:
        table, (points, reason) = self._tables.abuse, PRICES[offence]
        cells = self._tables.cells.of(f"mail {network}" if offence in _MAIL else network)
        table.add(cells, self._slot, points * times, now)
        if not table.below(cells, limit, now):
            self._bans.impose(network, reason)

    def session(self, ip: str, tally: Tally) -> None:
        """A connection has ended."""
        if not self._limit:
            return
        if tally.kept:
            self._welcome(ip, tally.kept)
        if tally.nonsense:
            self.note(Offence.NONSENSE, ip)
        if tally.unknown > tally.welcome:
            self.note(Offence.UNKNOWN_RECIPIENT, ip, tally.unknown)
        if tally.relaying:
            self.note(Offence.RELAYING, ip, tally.relaying)
        if tally.refused > tally.kept:
            self.note(Offence.REFUSED_MESSAGE, ip, tally.refused)
        if not tally.wanted and not tally.nonsense:
            self.note(Offence.NOTHING, ip)


def knows(tables: Tables, what: str, now: float) -> bool:
    """Has there been a successful login of this kind lately?"""
    return not tables.known.below(tables.cells.of(what), _ANY, now)


def remember(tables: Tables, slot: int, what: str, now: float) -> None:
    """There was one now. Known for 12 to 24 hours."""
    cells = tables.cells.of(what)
    if tables.known.below(cells, 1, now):
        tables.known.add(cells, slot, 1, now)
