"""Queue ids: short, sortable by time, and never the same twice among all workers.

Owns: the shape of ids. Standards: RFC 5321 4.4 wants an Atom.
Layout of the 65 bits, as 13 digits of base 32: 42 bits of milliseconds since 2020, 8 bits of worker slot, 15 bits that
begin at random in each millisecond and count up. Within a worker ids only grow, also when the clock is set back.
On failure: nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from postroom.values.clock import Clock

_EPOCH: Final = 1_577_836_800_000  # 2020-01-01T00:00:00Z in milliseconds
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford: no i, l, o, u to misread
_PAIRS: Final = tuple(a + b for a in _DIGITS for b in _DIGITS)


def moment(entry: str) -> float:
    """When the id was given, Unix seconds; 0 for what is no id of ours."""
    if len(entry) != 13 or not set(entry) <= set(_DIGITS):
        return 0.0
    value = 0
    for digit in entry:
        value = value << 5 | _DIGITS.index(digit)
    return ((value >> 23) + _EPOCH) / 1000


class Ids:
    """The ids of one worker. random_bits: gives an integer of as many random bits as asked (random.getrandbits)."""

    __slots__ = ("_clock", "_last", "_random_bits", "_slot")

    def __init__(self, clock: Clock, random_bits: Callable[[int], int], slot: int = 0) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._slot = (slot & 0xFF) << 15
        self._last = 0

    def __call__(self) -> str:
        """The next id: 13 lower-case letters and digits."""
        moment = (int(self._clock.now() * 1000) - _EPOCH) & 0x3FF_FFFF_FFFF
        value = moment << 23 | self._slot | self._random_bits(14)
        if value <= self._last or value >> 23 == self._last >> 23:
            value = self._after(self._last)
        self._last = value
        return (
            _DIGITS[value >> 60]
            + _PAIRS[value >> 50 & 1023]
            + _PAIRS[value >> 40 & 1023]
            + _PAIRS[value >> 30 & 1023]
            + _PAIRS[value >> 20 & 1023]
            + _PAIRS[value >> 10 & 1023]
            + _PAIRS[value & 1023]
        )

    def _after(self, last: int) -> int:
        """The same millisecond again, or the clock went back: count on from the last id."""
        if last & 0x7FFF == 0x7FFF:  # 2**14 or more in one millisecond: borrow from the next
            return (last >> 23) + 1 << 23 | self._slot
        return last + 1
