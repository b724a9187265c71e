"""Whether a program that is asked about each message can be asked now.

One that fails is told of once, and once more when it is well again; so is the first answer after a start, because an
alarm of the time before ends with it. After `_LATE` failures in a row it is left alone
for `_PAUSE` seconds, so that not every message waits for it in vain.
Owns: its own counts. Pure but for the clock. On failure: never.
"""

from __future__ import annotations

from typing import Final, Protocol

from postroom.values.clock import Clock

_LATE: Final = 3
_PAUSE: Final = 30.0


class Event(Protocol):
    """Where the log is told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


class ScannerFailed(Exception):
    """It has not looked at the message; the text says why."""


class Health:
    """Of one scanner."""

    def __init__(self, name: str, clock: Clock, event: Event) -> None:
        self.name = name
        self._clock = clock
        self._event = event
        self._failures = 0
        self._heard = False
        self._until = float("-inf")
        self._fault = ""

    @property
    def left_out(self) -> str:
        """Why it is left alone for now, "" when it can be asked."""
        return self._fault if self._clock.monotonic() < self._until else ""

    def failed(self, reason: str) -> None:
        """It could not be asked, or gave no answer."""
        if not self._failures:
            self._event("scanner.failed", scanner=self.name, reason=reason)
        self._failures += 1
        self._fault = reason
        if self._failures >= _LATE:
            self._until = self._clock.monotonic() + _PAUSE

    def well(self) -> None:
        """It has answered."""
        if self._failures or not self._heard:
            self._event("scanner.answers", scanner=self.name)
        self._heard = True
        self._failures, self._fault, self._until = 0, "", float("-inf")
