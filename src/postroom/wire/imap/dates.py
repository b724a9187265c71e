"""Dates of IMAP: INTERNALDATE and the days of SEARCH (RFC 9051 9: date-time, date).

Purpose: text to Unix seconds and back, fast for whole pages.
Standards: RFC 9051 2.3.3 and 9. Days count from 1970-01-01.
On failure: BadSyntax.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Final

from postroom.wire.imap.errors import BadSyntax

_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_NUMBER_OF: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_EPOCH: Final = date(1970, 1, 1).toordinal()
_FIRST: Final = (date(1, 1, 1).toordinal() - _EPOCH) * 86400
_LAST: Final = (date(9999, 12, 31).toordinal() - _EPOCH + 1) * 86400 - 1
_DATE: Final = re.compile(rb"(\d{1,2})-([A-Za-z]{3})-(\d{4})")
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE; without the quotes
_DATE_TIME: Final = re.compile(
    rb"([ \d]?\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)",
)


def parse_day(text: bytes) -> int:
    """A SEARCH date such as 1-Feb-1994, as days since 1970-01-01. Raises BadSyntax."""
    found = _DATE.fullmatch(text)
    if not found:
        raise BadSyntax("date such as 1-Feb-1994 expected")
    return _day(found[1], found[2], found[3])


def parse_date_time(text: bytes) -> int:
    """An INTERNALDATE without quotes such as 17-Jul-1996 02:44:25 -0700, as Unix seconds. Raises BadSyntax."""
    found = _DATE_TIME.fullmatch(text)
    if not found:
        raise BadSyntax("date such as 17-Jul-1996 02:44:25 -0700 expected")
    hour, minute, second = int(found[4]), int(found[5]), int(found[6])
    east, west = int(found[8]), int(found[9])
    if hour > 23 or minute > 59 or second > 60 or east > 23 or west > 59:
        raise BadSyntax("time of day expected")
    zone = (east * 60 + west) * 60
    if found[7] == b"-":
        zone = -zone
    return _day(found[1], found[2], found[3]) * 86400 + hour * 3600 + minute * 60 + second - zone


def _day(day: bytes, month: bytes, year: bytes) -> int:
    number = _NUMBER_OF.get(month.lower())
    if number is None:
        raise BadSyntax("month expected")
    try:
        return date(int(year), number, int(day)).toordinal() - _EPOCH
    except ValueError as fault:
        raise BadSyntax("day that exists expected") from fault


@lru_cache(maxsize=4096)
def _print_day(day: int) -> bytes:
    when = date.fromordinal(day + _EPOCH)
    return b'"%2d-%b-%04d ' % (when.day, _MONTHS[when.month - 1], when.year)


_MINUTES: Final = tuple(b"%02d:%02d:" % divmod(minute, 60) for minute in range(1440))
_SECONDS: Final = tuple(b'%02d +0000"' % second for second in range(60))


def print_date_time(seconds: int) -> bytes:
    """Unix seconds as a quoted date-time, always in UTC. What no date can hold is moved to the nearest end."""
    return print_date_times((seconds,))[0]


def print_date_times(seconds: Sequence[int]) -> list[bytes]:
    """The same for a run of messages."""
    if seconds and (min(seconds) < _FIRST or max(seconds) > _LAST):
        seconds = [min(max(value, _FIRST), _LAST) for value in seconds]
    return [_print_day(s // 86400) + _MINUTES[s % 86400 // 60] + _SECONDS[s % 60] for s in seconds]
