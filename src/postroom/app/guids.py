"""GUIDs of messages, from the system's randomness."""

from __future__ import annotations

import os


class Guids:
    """GUIDs of messages: 32 random hex digits at each call, drawn from the system many at a time."""

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def __call__(self) -> str:
        at = self._at
        if at >= len(self._digits):
            self._digits, at = os.urandom(4096).hex(), 0
        self._at = at + 32
        return self._digits[at : at + 32]
