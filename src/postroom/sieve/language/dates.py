"""date, currentdate.

Standards: RFC 5260 4, 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from postroom.message.dates import format_date_in, parse_moment
from postroom.sieve.language.headers import check_names, index_of
from postroom.sieve.matching import matcher
from postroom.sieve.texts import Text, get
from postroom.sieve.words import INDEX, MATCH, Call, Kind, Question, TagWord, Word

if TYPE_CHECKING:
    from postroom.sieve.run import Run

_ZONE: Final = re.compile(r"([+-])([0-9]{2})([0-5][0-9])")
#: the day before the first of the Modified Julian Day count, as an ordinal
_MJD_ZERO: Final = datetime(1858, 11, 17).toordinal()


def _zone(when: datetime) -> str:
    seconds = int((when.utcoffset() or timedelta()).total_seconds())
    return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02d}{abs(seconds) // 60 % 60:02d}"


def _iso8601(when: datetime) -> str:
    zone = _zone(when)
    return when.strftime("%Y-%m-%dT%H:%M:%S").zfill(19) + ("Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}")


#: RFC 5260 4.2
_PARTS: Final[dict[str, Callable[[datetime], str]]] = {
    "year": lambda when: f"{when.year:04d}",
    "month": lambda when: f"{when.month:02d}",
    "day": lambda when: f"{when.day:02d}",
    "date": lambda when: f"{when.year:04d}-{when.month:02d}-{when.day:02d}",
    "julian": lambda when: str(when.toordinal() - _MJD_ZERO),
    "hour": lambda when: f"{when.hour:02d}",
    "minute": lambda when: f"{when.minute:02d}",
    "second": lambda when: f"{when.second:02d}",
    "time": lambda when: f"{when.hour:02d}:{when.minute:02d}:{when.second:02d}",
    "iso8601": _iso8601,
    "std11": format_date_in,
    "zone": _zone,
    "weekday": lambda when: str(when.isoweekday() % 7),
}


def _offset(text: str) -> int | None:
    """Seconds east of Greenwich of "+hhmm"; None when it is no such thing."""
    found = _ZONE.fullmatch(text)
    if found is None:
        return None
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds


def _check(call: Call, zone: Text | None, part: Text, number: int) -> None:
    if isinstance(zone, str) and _offset(zone) is None:
        call.fault(f'"{zone[:20]}" is no time zone', 'such as "+0100"', call.place_of("zone"))
    if isinstance(part, str) and part.lower() not in _PARTS:
        call.fault(f'"{part[:20]}" is no part of a date', f"one of {', '.join(_PARTS)}", call.place(number))


def _moment(epoch: float, zone: int) -> datetime | None:
    if abs(zone) >= 86400:
        return None
    try:
        return datetime.fromtimestamp(epoch, timezone(timedelta(seconds=zone)))
    except (ValueError, OverflowError, OSError):
        return None


def _zone_of(zone: Text | None, run: Run) -> int | None:
    return run.env.zone if zone is None else _offset(get(zone, run))


def _value(when: datetime | None, part: str) -> tuple[str, ...]:
    printer = _PARTS.get(part.lower())
    return () if when is None or printer is None else (printer(when),)


def _date(call: Call) -> Question:
    check_names(call, 0)
    name, part, zone = call.text(0), call.text(1), call.tag_text("zone")
    original, index = call.has("originalzone"), index_of(call) or 1
    _check(call, zone, part, 1)
    match = matcher(call, 2)

    def date(run: Run) -> bool:
        raws = run.header.raw(get(name, run).lower())
        place = index - 1 if index > 0 else len(raws) + index
        parsed = parse_moment(raws[place].rpartition(b";")[2]) if 0 <= place < len(raws) else None
        to = None if parsed is None else parsed[1] if original else _zone_of(zone, run)
        when = None if parsed is None or to is None else _moment(parsed[0], to)
        return match(run, _value(when, get(part, run)))

    return date


def _currentdate(call: Call) -> Question:
    part, zone = call.text(0), call.tag_text("zone")
    _check(call, zone, part, 0)
    match = matcher(call, 1)

    def currentdate(run: Run) -> bool:
        to = _zone_of(zone, run)
        return match(run, _value(None if to is None else _moment(run.env.now, to), get(part, run)))

    return currentdate


_ZONE_TAG: Final = TagWord(name="zone", value=Kind.STRING, group="zone")
TESTS: Final = (
    Word(
        name="date",
        build=_date,
        usage='date "received" "hour" "09"',
        takes=(Kind.STRING, Kind.STRING, Kind.STRINGS),
        needs=("date",),
        tags=(*MATCH, *INDEX, _ZONE_TAG, TagWord(name="originalzone", group="zone")),
    ),
    Word(
        name="currentdate",
        build=_currentdate,
        usage='currentdate "weekday" "0"',
        takes=(Kind.STRING, Kind.STRINGS),
        needs=("date",),
        tags=(*MATCH, _ZONE_TAG),
    ),
)
