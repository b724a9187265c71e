"""Sizes, spans, limits and points in time as people write them.

On failure: click.BadParameter, with the forms that will do.
"""

from __future__ import annotations

import re
from datetime import datetime

import click

_SCALES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)([smhdw])", re.IGNORECASE)
_LONGEST = 1e12
#: ages end here, so that a time never looks like "none given", which is 0
_BEGINNING = 1.0


def parse_size(text: str) -> int:
    """Octets of "500M", "2G" or a plain number; "0" or "none" is no limit."""
    if text.lower() in {"none", "unlimited"}:
        return 0
    scale = _SCALES.get(text[-1:].lower(), 1)
    number = text[:-1] if scale > 1 else text
    try:
        return int(float(number) * scale)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no size; write 500M, 2G, or none") from None


def parse_limit(text: str) -> int:
    """A number, "none" (0), or "default" (-1)."""
    words = {"none": 0, "unlimited": 0, "default": -1}
    if text.lower() in words:
        return words[text.lower()]
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 40):
        raise click.BadParameter(f"{text!r} is no limit; write a number, none, or default")
    return int(text)


def parse_span(text: str, option: str | None = None) -> float:
    """Seconds of "30m", "1h", "2d", "1w" or "0"."""
    seconds = 0.0 if text == "0" else _seconds(text)
    if seconds is None or seconds >= _LONGEST:
        raise click.BadParameter(f"{text!r} is no length of time; write 30m, 1h or 2d", param_hint=option)
    return seconds


def parse_when(text: str, now: float, option: str) -> float:
    """Unix seconds of 30m, 4h, 2d (before now) or a date, at least 1; 0 for ""."""
    if not text:
        return 0.0
    if (age := _seconds(text)) is not None:
        return max(now - age, _BEGINNING)
    try:
        return max(datetime.fromisoformat(text).timestamp(), _BEGINNING)
    except (ValueError, OverflowError):
        raise click.BadParameter("write 30m, 4h, 2d, or 2026-11-22 or 2026-11-22T14:30", param_hint=option) from None


def _seconds(text: str) -> float | None:
    found = _SPAN.fullmatch(text)
    return float(found[1]) * _UNITS[found[2].lower()] if found else None
