"""Whether an account in memory has room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from postroom.store.api import OverQuota
from postroom.store.memory.boxes import Box, Item


def check_quota(boxes: Iterable[Box], quota: tuple[int, int], sizes: list[int], freed: Sequence[Item]) -> None:
    """Raises OverQuota when so much more does not fit; freed: what goes at the same moment."""
    held = [item.size for box in boxes for item in box.items]
    there = sum(held) - sum(item.size for item in freed), len(held) - len(freed)
    for most, now, more in zip(quota, there, (sum(sizes), len(sizes)), strict=True):
        if most and now + more > most:
            raise OverQuota(f"the account holds {now} of {most} octets or messages")
