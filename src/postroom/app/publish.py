"""What each process tells the others of itself, once a second (observe.meters).

Owns: this process's place. Counts go on where the process that had the place before left off, so that they only grow
while the server runs.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from postroom.observe.meters import Meters, Reading
from postroom.store.api import StoreError

if TYPE_CHECKING:
    from postroom.app.rooms import Core
    from postroom.app.services import Services
    from postroom.app.supervisor import Role

TURN_SECONDS = 1.0
#: turns between two looks at what costs more: the queue's depth, the memory
_RARELY = 10
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Publisher:
    """A worker's. services: those in force now."""

    def __init__(self, core: Core, services: Callable[[], Services], started: float) -> None:
        self._core = core
        self._services = services
        self._started = started
        before = core.plan.meters.read(core.slot)
        self._before = before.counts if before else {}
        self._gauges: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        turn, lag = 0, 0.0
        while True:
            if turn % _RARELY == 0:
                self._gauges = await self._rarely()
            self._write(lag)
            turn += 1
            due = loop.time() + TURN_SECONDS
            await asyncio.sleep(TURN_SECONDS)
            lag = max(0.0, loop.time() - due)

    def _write(self, lag: float) -> None:
        core = self._core
        gauges = {**self._gauges, "loop_lag": lag}
        for name, count in self._services().sessions().items():
            gauges[f"sessions/{name}"] = count
        reading = Reading(
            time=time.time(),
            started=self._started,
            pid=os.getpid(),
            counts=_sum(self._before, {**core.events.counts, **_dns(core)}),
            gauges=gauges,
            histograms=core.store.commit_times(),
        )
        core.plan.meters.write(core.slot, reading)

    async def _rarely(self) -> dict[str, float]:
        gauges = {"resident": float(_resident())}
        try:
            depth = await self._core.store.queue.depth()
        except StoreError:
            gauges["queue_unreadable"] = 1
        else:
            gauges["queue"] = depth.entries
            gauges["queue_oldest"] = depth.oldest
        return gauges


def publish_roles(meters: Meters, roles: Sequence[Role], counts: Mapping[str, int], started: float) -> None:
    """The supervisor's: which processes run."""
    gauges = {f"pid/{role.name}": float(role.pid) for role in roles}
    reading = Reading(time=time.time(), started=started, pid=os.getpid(), counts=dict(counts), gauges=gauges)
    meters.write(meters.places - 1, reading)


def _dns(core: Core) -> dict[str, int]:
    return {f"dns/{source}": count for source, count in core.resolver.counts.items()}


def _sum(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    total = dict(before)
    for name, count in now.items():
        total[name] = total.get(name, 0) + count
    return total


def _resident() -> int:
    """Octets of memory of this process, what it shares with others included."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
