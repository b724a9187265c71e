"""One coarse wheel of deadlines per process, instead of a timer per connection and command.

Owns: which link is due in which second. Arming again is one store into the link while the new deadline is later
than the old one; the wheel looks at the link when the old slot comes up and moves it on.
Trusts: its links. On failure: a deadline is never early and at most one resolution late; when the loop was stalled,
every deadline moves by the stall, so that a peer does not pay for our delay.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Timed(Protocol):
    """What the wheel turns: `due` and `slot` belong to the wheel (0 = none)."""

    due: int
    slot: int

    def expire(self) -> None:
        """The deadline has passed."""
        ...


class Wheel:
    """Deadlines in steps of `resolution` seconds. Needs `start` once; tests call `turn` instead."""

    __slots__ = ("_handle", "_slots", "now", "resolution")

    def __init__(self, resolution: float = 1.0) -> None:
        self.now = 1
        self.resolution = resolution
        self._slots: dict[int, set[Timed]] = {}
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, timed: Timed, seconds: float) -> None:
        """(Re)arm: `timed.expire()` in `seconds` to `seconds` + resolution."""
        due = self.now + int(seconds / self.resolution) + 1
        timed.due = due
        slot = timed.slot
        if 0 < slot <= due:
            return  # looked at in time, and moved on then
        if slot:
            self._leave(timed, slot)
        self._place(timed, due)

    def disarm(self, timed: Timed) -> None:
        """Forget the deadline, and the link."""
        slot, timed.due, timed.slot = timed.slot, 0, 0
        self._leave(timed, slot)

    def _leave(self, timed: Timed, slot: int) -> None:
        links = self._slots.get(slot)
        if links is not None:  # else it is the slot that is being expired just now, or none
            links.discard(timed)

    def _place(self, timed: Timed, slot: int) -> None:
        timed.slot = slot
        links = self._slots.get(slot)
        if links is None:
            links = self._slots[slot] = set()
        links.add(timed)

    def turn(self, steps: int = 1) -> None:
        """Move on by `steps` and expire what is due."""
        for _ in range(steps):
            self.now += 1
            for timed in self._slots.pop(self.now, ()):
                if timed.slot != self.now:
                    continue  # disarmed or moved by the expiry of another
                timed.slot = 0
                if timed.due > self.now:
                    self._place(timed, timed.due)
                elif timed.due:
                    timed.due = 0
                    timed.expire()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Turn by the loop's clock from now on. Safe to call twice."""
        if self._handle is None:
            self._handle = loop.call_later(self.resolution, self._tick, loop)

    def stop(self) -> None:
        """No deadline passes any more until the next start."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        # scheduled first: a driver that raises in expired() must not stop the wheel
        self._handle = loop.call_later(self.resolution, self._tick, loop)
        self.turn()
