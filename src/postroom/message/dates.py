"""The date of a Date field, in its many spellings.

Trusts nothing: comments, missing weekdays and seconds, two-digit years, named zones and ctime order are read.
Standards: RFC 5322 3.3 and 4.3 (obsolete years and zones), RFC 850 dates seen in the wild.
On failure: None.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

from postroom.message.parameters import strip_comments

#: seconds since the Unix epoch, and the day as written in the date's own zone
ParsedDate = tuple[int, tuple[int, int, int]]

_MONTH_NAMES: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = {name.lower(): number for number, name in enumerate(_MONTH_NAMES, 1)}
# RFC 5322 4.3: hours east of Greenwich; military and unknown zones count as -0000
_ZONES: Final = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}

_TIME = r"(?P<hour>\d{1,2})\s*[:.]\s*(?P<minute>\d{1,2})(?:\s*[:.]\s*(?P<second>\d{1,2})(?:\.\d+)?)?"
_ZONE = r"(?:\s*(?P<sign>[+-])(?P<offset>\d{4}|\d\d:\d\d)|\s+(?P<zone>[A-Za-z]{1,5})\b)?"
_USUAL = re.compile(
    rf"\s*(?:[A-Za-z]+\.?\s*,?)?\s*(?P<day>\d{{1,2}})[\s-]+(?P<month>[A-Za-z]{{3}})[A-Za-z]*\.?[\s,-]+"
    rf"(?P<year>\d{{2,4}})(?:,?\s+{_TIME}{_ZONE})?"
)
_CTIME = re.compile(
    rf"\s*[A-Za-z]+,?\s+(?P<month>[A-Za-z]{{3}})[a-z]*\.?\s+(?P<day>\d{{1,2}}),?\s+{_TIME}"
    rf"(?P<sign>)(?P<offset>)(?:\s+(?P<zone>[A-Za-z]{{3,5}}))?\s+(?P<year>\d{{4}})"
)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def parse_date(raw: bytes) -> ParsedDate | None:
    """(Unix seconds, (year, month, day)) of a Date value; the day is that of its own zone, as SENTON wants it."""
    parsed = _parse(raw)
    return None if parsed is None else (parsed[0] - parsed[1], parsed[2])


def parse_moment(raw: bytes) -> tuple[int, int] | None:
    """(Unix seconds, seconds east of Greenwich of its own zone) of a Date value."""
    parsed = _parse(raw)
    return None if parsed is None else (parsed[0] - parsed[1], parsed[1])


def _parse(raw: bytes) -> tuple[int, int, tuple[int, int, int]] | None:
    """Seconds as if it were in Greenwich, its offset in seconds, and its day."""
    text = strip_comments(raw[:200]).decode("latin-1")
    found = _USUAL.match(text) or _CTIME.match(text)
    if found is None:
        return None
    month = _MONTHS.get(found["month"].lower())
    if month is None:
        return None
    year = _year(found["year"])
    hour, minute, second = int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0)
    if hour > 24 or minute > 59 or second > 60:
        hour = minute = second = 0  # RFC 5256 2.2: the day is known
    try:
        day = date(year, month, int(found["day"]))
    except ValueError:
        return None
    seconds = (day.toordinal() - _EPOCH_DAY) * 86400 + hour * 3600 + minute * 60 + second
    return seconds, _offset(found), (day.year, day.month, day.day)


def _year(text: str) -> int:
    """RFC 5322 4.3: two digits 00 to 49 are 20yy, 50 to 99 and three digits count from 1900."""
    year = int(text)
    if len(text) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(text) == 3 else year


def _offset(found: re.Match[str]) -> int:
    """Seconds east of Greenwich."""
    if found["sign"]:
        digits = found["offset"].replace(":", "")
        seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        return -seconds if found["sign"] == "-" else seconds
    return _ZONES.get((found["zone"] or "").lower(), 0) * 3600


def format_date(when: float) -> str:
    """RFC 5322 3.3 date-time of Unix seconds, in UTC: "Sun, 22 Nov 2026 05:02:36 +0000"."""
    return format_date_in(datetime.fromtimestamp(when, UTC))


def format_date_in(moment: datetime) -> str:
    """RFC 5322 3.3 date-time of a moment, in its own zone."""
    offset = moment.utcoffset()
    minutes = 0 if offset is None else round(offset.total_seconds() / 60)
    # strftime would follow the locale
    return (
        f"{_DAY_NAMES[moment.weekday()]}, {moment.day:02d} {_MONTH_NAMES[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} "
        f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"
    )
