"""Bad conduct adds up to a ban: points for each offence, by address and by network, within ten minutes.

What every offence costs stands in `Offence`. An address somebody has logged in from lately is let off ten times as
much: behind it are our own people. Nobody pays for single mistakes.
Owns: nothing; points lie in the shared tables. Trusts: the servers, who saw it happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from postroom.config import Config
from postroom.policy.bans import Bans
from postroom.policy.networks import Networks, unit, wider
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
    Offence.NO_TLS: (2, "failed TLS handshakes"),
    Offence.NOTHING: (2, "connections that want nothing"),
}


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

    __slots__ = ("_bans", "_clock", "_exempt", "_limit", "_multiple", "_slot", "_tables")

    def __init__(self, config: Config, tables: Tables, slot: int, clock: Clock, bans: Bans) -> None:
        limits = config.limits
        self._limit = config.bans.points
        self._multiple = limits.network_multiple
        self._exempt = Networks((*limits.trusted_networks, *limits.relay_networks, *config.bans.exempt_networks))
        self._tables = tables
        self._slot = slot
        self._clock = clock
        self._bans = bans

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

    def _count(self, network: str, offence: Offence, times: int, limit: int, now: float) -> None:
        table, (points, reason) = self._tables.abuse, PRICES[offence]
        cells = self._tables.cells.of(network)
        table.add(cells, self._slot, points * times, now)
        if not table.below(cells, limit, now):
            self._bans.impose(network, reason)

    def session(self, ip: str, tally: Tally) -> None:
        """A connection has ended."""
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
