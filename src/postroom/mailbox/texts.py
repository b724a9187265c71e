"""Whether a message's text holds what a search looks for (RFC 9051 6.4.4): envelope fields, headers, dates, bodies.

Matching is by substring without regard to case, on decoded text. An ENVELOPE that cannot match is dismissed by a
search in its octets, without decoding anything.
Trusts nothing in messages. On failure: OSError when a content cannot be read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate
from typing import Final

from postroom.mailbox import envelope
from postroom.message.dates import parse_date
from postroom.message.parts import Parts
from postroom.message.search import Needle, body_contains, fold, header_matches, text_contains
from postroom.values.content import Content
from postroom.wire.imap.commands import Key

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

#: octets that stand in an ENVELOPE as they stand in the text a reader sees
_PLAIN = re.compile(rb"[a-z0-9._+-]+")


#: ENVELOPEs to whether each matches
EnvelopeTest = Callable[[Sequence[bytes]], Sequence[bool]]


def envelope_matcher(place: int, wanted: str) -> EnvelopeTest:
    """Does the field at `place` (see envelope) hold the text? "" asks only if it is there."""
    needle = fold(wanted)
    runs = _PLAIN.findall(needle.encode("utf-8", "replace"))
    probe: bytes = max(runs, key=len, default=b"")

    def matches(found: bytes) -> bool:
        text = envelope.text(found, place)
        return text is not None and needle in fold(text)

    def test(envelopes: Sequence[bytes]) -> Sequence[bool]:
        if not probe:
            return list(map(matches, envelopes))
        # text that is neither 8-bit nor an encoded word holds the needle's plain octets, or not the needle
        together = b"\n".join(envelopes)
        lower = together.lower()
        candidates: set[int] = set()
        if probe in lower or b"=?" in lower:
            ends = list(accumulate(len(each) + 1 for each in envelopes))
            candidates.update(_rows_with(probe, lower, ends), _rows_with(b"=?", lower, ends))
        if not together.isascii():
            candidates.update(row for row, each in enumerate(envelopes) if not each.isascii())
        found = [False] * len(envelopes)
        for row in candidates:
            found[row] = matches(envelopes[row])
        return found

    return test


def _rows_with(octets: bytes, lines: bytes, ends: Sequence[int]) -> Iterator[int]:
    """Which of the lines, that end at `ends`, hold these octets."""
    at = lines.find(octets)
    while at >= 0:
        row = bisect_right(ends, at)
        yield row
        at = lines.find(octets, ends[row])


def holds_day(key: Key, day: int) -> Callable[[int], bool]:
    """Is a day before, on or since `day` (RFC 9051 6.4.4, SENTBEFORE, SENTON, SENTSINCE)?"""
    tests: dict[Key, Callable[[int], bool]] = {
        Key.SENTBEFORE: day.__gt__,
        Key.SENTON: day.__eq__,
        Key.SENTSINCE: day.__le__,
    }
    return tests[key]


def sent_matcher(key: Key, day: int) -> EnvelopeTest:
    """Is the day of the Date field, in its own zone, before, on or since `day` (counted from 1970-01-01)?

    RFC 9051 6.4.4, SENTBEFORE, SENTON, SENTSINCE. Without a date that can be read nothing matches.
    """
    holds = holds_day(key, day)

    def matches(found: bytes) -> bool:
        raw = envelope.field(found, envelope.DATE)
        if not isinstance(raw, bytes):
            return False
        usual = _USUAL_DATE.match(raw)
        sent = _day(usual[1] if usual else raw)
        return sent is not None and holds(sent)

    return lambda envelopes: list(map(matches, envelopes))


# RFC 5322 3.3; what stands before the time decides the day
_USUAL_DATE = re.compile(rb"(?:[A-Za-z]{3}, )?(\d{1,2} [A-Za-z]{3} \d{4}) \d\d:\d\d:\d\d [+-]\d{4}\b")


@lru_cache(maxsize=4096)
def _day(raw: bytes) -> int | None:
    """Days since 1970-01-01 of a Date value, None when it cannot be read."""
    sent = parse_date(raw)
    return None if sent is None else date(*sent[1]).toordinal() - _EPOCH_DAY


def header_matcher(name: str, wanted: str) -> Callable[[Content, bytes], bool]:
    """A test of contents and their packed parts: does a header field `name` hold the text, or with "" exist?"""
    needle, octets = Needle.of(wanted), name.encode("utf-8", "replace")

    def matches(content: Content, parts: bytes) -> bool:
        return header_matches(content.read(0, Parts.unpack(parts).root.body_start), octets, needle)

    return matches


def body_matcher(wanted: str, *, headers: bool) -> Callable[[Content, bytes], bool]:
    """A test of contents and their packed parts: BODY, or with headers TEXT."""
    needle = Needle.of(wanted)
    contains = text_contains if headers else body_contains

    def matches(content: Content, parts: bytes) -> bool:
        return contains(content.read, Parts.unpack(parts), needle)

    return matches
