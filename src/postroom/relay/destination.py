"""One destination: what waits for it, how many connections work on it, and how it fares.

Owns: values of one worker's relay, in memory only. On failure: nothing raises.
"""

from __future__ import annotations

import asyncio

from postroom.relay.attempt import Unopened
from postroom.relay.job import Job
from postroom.relay.lanes import Lanes
from postroom.relay.pace import Pace
from postroom.relay.routes import Nexthop
from postroom.relay.sources import Origin


def share(limit: int, workers: int) -> int:
    """What one of so many workers gets of a limit that is meant for all: at least one."""
    return -(-limit // workers)


class Destination:
    """Where some mail goes, from where, and under which demand of TLS ("", "required", "optional").

    couriers: tasks at work; standing: those of them that have a connection; failure: why it is left alone;
    timer: wakes it when its next message may begin.
    """

    __slots__ = ("couriers", "failure", "hop", "key", "lanes", "listed", "need", "origin", "pace", "standing", "timer")

    def __init__(self, key: str, hop: Nexthop, origin: Origin, need: str, workers: int = 1) -> None:
        """workers: that share what the destination is given."""
        self.key = key
        self.hop = hop
        self.origin = origin
        self.need = need
        self.lanes: Lanes[Job] = Lanes()
        self.pace = Pace(share(hop.limit, workers), hop.per_minute / workers)
        self.couriers = 0
        self.standing = 0
        self.listed = False
        self.failure: Unopened | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def wants_courier(self) -> bool:
        """True when there is work for one more."""
        return bool(self.lanes) and self.couriers < self.pace.window

    @property
    def busy(self) -> bool:
        """True while something waits or is sent."""
        return bool(self.lanes or self.couriers)
