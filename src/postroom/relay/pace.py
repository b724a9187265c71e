"""How many connections a destination gets, and when a dead one is tried again.

Owns: the numbers of one destination. No clock: times are passed in.
Standards: RFC 5321 4.5.4.1 (a host that cannot be reached is not tried for each message).
On failure: nothing raises.
"""

from __future__ import annotations

#: connections that a destination gets before anything is known about it
START = 5.0
#: seconds a destination is left alone after nothing could be reached, doubling up to the longest
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 900.0
_BOLDER, _MOST_TIMID = 1.01, 1 / 64


class Pace:
    """The window of one destination: it grows by one with every round of successes and shrinks with trouble."""

    __slots__ = ("_failures", "_interval", "_limit", "_step", "_turn", "_window", "until")

    def __init__(self, limit: int, per_minute: float = 0.0) -> None:
        """limit: connections at once, whatever happens; per_minute: messages, 0 is no limit."""
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._turn = 0.0  # when the next message may begin
        self._limit = float(limit)
        self._window = min(START, self._limit)
        self._failures = 0
        self._step = 1.0  # how boldly the window grows
        self.until = 0.0  # left alone until then (monotonic seconds)

    @property
    def window(self) -> int:
        """Connections allowed now, at least 1."""
        return int(self._window)

    def turn(self, now: float) -> float:
        """0.0: a message may begin, and is counted; else seconds until one may."""
        if not self._interval:
            return 0.0
        if now < self._turn:
            return self._turn - now
        self._turn = now + self._interval
        return 0.0

    def succeeded(self) -> None:
        """A message went through the dialog, whatever the answer to it was."""
        self._failures = 0
        self.until = 0.0
        if self._window < self._limit:
            self._window = min(self._window + self._step / self._window, self._limit)
            self._step = min(self._step * _BOLDER, 1.0)

    def hindered(self) -> None:
        """The peer ended a session before its time."""
        self._window = max(self._window / 2.0, 1.0)

    def crowded(self, standing: int) -> None:
        """The peer let no more in while so many connections stand: more are tried ever more rarely."""
        self._window = float(max(standing, 1))
        self._step = max(self._step / 2.0, _MOST_TIMID)

    def failed(self, now: float) -> float:
        """Nothing can be reached there; seconds until the next try."""
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 16), LONGEST_PAUSE)
        self._failures += 1
        self._window = 1.0
        self.until = now + pause
        return pause

    def forgive(self) -> None:
        """Somebody asked for a try now."""
        self.until = 0.0
