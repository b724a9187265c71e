"""What becomes of mail that finds no room: it is deferred, or rejected, or first one and then the other.

Owns: nothing. Standards: RFC 5321 4.2.3 (452 and 552), RFC 3463 3.3 (X.2.2).
On failure: deferred, when it is not known since when an account is full.
"""

from __future__ import annotations

from typing import Final

from postroom.config import Mailboxes, WhenFull
from postroom.store.api import StoreError, UsageStore
from postroom.values.clock import Clock

_DAY: Final = 86400.0


class Fullness:
    """Asked where mail comes in and where it is delivered."""

    __slots__ = ("_boxes", "_clock", "_usage")

    def __init__(self, usage: UsageStore, boxes: Mailboxes, clock: Clock) -> None:
        self._usage = usage
        self._boxes = boxes
        self._clock = clock

    def rejects(self, account: str) -> bool:
        """Is mail for an account that is full refused for good?"""
        if self._boxes.when_full is WhenFull.REJECT:
            return True
        if not self._boxes.full_days:
            return False
        try:
            held = self._usage.of(account)
        except StoreError:
            return False
        if held is None or not held.full_since:
            return False
        return self._clock.now() - held.full_since > self._boxes.full_days * _DAY
