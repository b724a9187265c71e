"""Points in time as people write them: an age, or a date."""

from __future__ import annotations

import re
from datetime import datetime

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def parse_when(text: str, now: float, option: str) -> float:
    """Unix seconds of 30m, 4h, 2d (before now) or a date; 0 for "". Raises click.BadParameter."""
    if not text:
        return 0.0
    if age := _AGE.fullmatch(text):
        return now - float(age[1]) * _UNITS[age[2]]
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise click.BadParameter("write 30m, 4h, 2d, or 2026-11-22 or 2026-11-22T14:30", param_hint=option) from None
