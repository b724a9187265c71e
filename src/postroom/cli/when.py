"""Points in time as people write them: an age, or a date."""

from __future__ import annotations

import re
from datetime import datetime

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)([smhdw])")
#: ages end here, so that a time never looks like "none given", which is 0
_BEGINNING = 1.0


def parse_when(text: str, now: float, option: str) -> float:
    """Unix seconds of 30m, 4h, 2d (before now) or a date, at least 1; 0 for "". Raises click.BadParameter."""
    if not text:
        return 0.0
    if age := _AGE.fullmatch(text):
        return max(now - float(age[1]) * _UNITS[age[2]], _BEGINNING)
    try:
        return max(datetime.fromisoformat(text).timestamp(), _BEGINNING)
    except (ValueError, OverflowError):
        raise click.BadParameter("write 30m, 4h, 2d, or 2026-11-22 or 2026-11-22T14:30", param_hint=option) from None
