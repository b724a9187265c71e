"""Logins verified a short while ago, so that a client that connects every minute does not cost a hash each time.

Owns: keyed digests (a key per process, never written down), no passwords and no logins.
A digest includes the stored hash, so that a changed password finds nothing here.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict

from postroom.values.clock import Clock


class VerdictCache:
    """Digest -> when it was found right (or wrong), for `seconds`; the oldest go first when it is full."""

    __slots__ = ("_capacity", "_clock", "_key", "_right", "_wrong", "seconds")

    def __init__(self, key: bytes, seconds: float, clock: Clock, capacity: int = 20_000) -> None:
        self._key = key
        self.seconds = seconds  # may be changed at any time
        self._clock = clock
        self._capacity = capacity
        self._right: OrderedDict[bytes, float] = OrderedDict()
        # apart, so that somebody who tries many passwords does not push out those who know theirs
        self._wrong: OrderedDict[bytes, float] = OrderedDict()

    def digest(self, *texts: str) -> bytes:
        """The key for these texts, told apart from any other split of them."""
        octets = [text.encode("utf-8", "surrogatepass") for text in texts]
        lead = b",".join(b"%d" % len(part) for part in octets)
        return hmac.digest(self._key, b"\0".join([lead, *octets]), "sha256")

    def get(self, digest: bytes) -> bool | None:
        """What was found, None when it is not known or too long ago."""
        earliest = self._clock.monotonic() - self.seconds
        if self._right.get(digest, -1.0) > earliest:
            return True
        if self._wrong.get(digest, -1.0) > earliest:
            return False
        return None

    def put(self, digest: bytes, right: bool) -> None:
        """Remember a finding."""
        if self.seconds <= 0:
            return
        table = self._right if right else self._wrong
        table.pop(digest, None)
        table[digest] = self._clock.monotonic()
        if len(table) > self._capacity:
            table.popitem(last=False)
