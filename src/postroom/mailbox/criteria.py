"""Search keys that the columns of a page answer: flags, sizes, dates, numbers (RFC 9051 6.4.4, RFC 5032, RFC 7162,
RFC 8514).

A mask is an int whose octet i (little-endian) is 1 when row i of the page matches, so that AND, OR and NOT are one
operation on a whole page, and each column is looked at once in C.
Owns nothing. Trusts: the parsed key; numbers in it may be anything.
On failure: BadSequence for sequence numbers that are not there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from postroom.mailbox.recent import Recent
from postroom.mailbox.selection import resolve
from postroom.store.api import Page, Snapshot
from postroom.values.flags import SEEN
from postroom.wire.imap.commands import Key, SearchKey

#: a page and the sequence number of its first row to a mask
Test = Callable[[Page, int], int]

_DAY: Final = 86_400
_UNSEEN: Final = bytes(not octet & SEEN for octet in range(256))


@dataclass(frozen=True, slots=True)
class Scene:
    """What keys are about: the mailbox, the UIDs of "$", the time now in Unix seconds, and what is \\Recent."""

    snapshot: Snapshot
    saved: Sequence[int]
    now: float
    recent: Recent = field(default_factory=Recent)


@lru_cache(maxsize=4096)
def ones(count: int) -> int:
    """The mask of all rows of a page with `count` rows."""
    return int.from_bytes(b"\1" * count, "little")


def mask_of(octets: Iterable[int]) -> int:
    """A mask of 0 and 1 (or False and True), one for each row."""
    return int.from_bytes(bytes(octets), "little")


def mask_octets(mask: int, count: int) -> bytes:
    """The mask as octets 0 and 1."""
    return mask.to_bytes(count, "little")


def everything(page: Page, _start: int) -> int:
    """ALL."""
    return ones(len(page))


def nothing(_page: Page, _start: int) -> int:
    """A key nothing matches."""
    return 0


def column_test(key: SearchKey, scene: Scene) -> Test | None:
    """The test for a key that needs nothing but columns; None for all other keys. Raises BadSequence."""
    make = _MAKERS.get(key.key)
    return None if make is None else make(key, scene)


def _flags(key: SearchKey, _scene: Scene) -> Test:
    table = bytes(octet & key.bits == key.bits for octet in range(256))
    return lambda page, start: int.from_bytes(page.flags.translate(table), "little")


def _unflags(key: SearchKey, _scene: Scene) -> Test:
    table = bytes(not octet & key.bits for octet in range(256))
    return lambda page, start: int.from_bytes(page.flags.translate(table), "little")


def _recent(_key: SearchKey, scene: Scene) -> Test:
    recent = scene.recent
    if not recent:
        return nothing

    def test(page: Page, _start: int) -> int:
        found = bytearray(len(page))
        for begin, end in recent.places(page.uids):
            found[begin:end] = b"\1" * (end - begin)
        return int.from_bytes(found, "little")

    return test


def _new(key: SearchKey, scene: Scene) -> Test:
    # RFC 3501 6.4.4: RECENT UNSEEN
    recent = _recent(key, scene)
    return lambda page, start: recent(page, start) & int.from_bytes(page.flags.translate(_UNSEEN), "little")


def _old(key: SearchKey, scene: Scene) -> Test:
    # RFC 3501 6.4.4: NOT RECENT
    recent = _recent(key, scene)
    return lambda page, start: ones(len(page)) ^ recent(page, start)


def _keyword(key: SearchKey, scene: Scene) -> Test:
    wanted = key.text.lower()
    bits = sum(1 << place for place, name in enumerate(scene.snapshot.keywords) if name.lower() == wanted)
    if not bits:
        return nothing
    return lambda page, start: mask_of([value & bits != 0 for value in page.keywords])


def _unkeyword(key: SearchKey, scene: Scene) -> Test:
    test = _keyword(key, scene)
    return lambda page, start: ones(len(page)) ^ test(page, start)


def _before(key: SearchKey, _scene: Scene) -> Test:
    return _dates((key.number * _DAY).__gt__)


def _since(key: SearchKey, _scene: Scene) -> Test:
    return _dates((key.number * _DAY).__le__)


def _on(key: SearchKey, _scene: Scene) -> Test:
    first = key.number * _DAY
    return _dates(range(first, first + _DAY).__contains__)


def _older(key: SearchKey, scene: Scene) -> Test:
    # RFC 5032 2: less recent than or equal to the target time
    return _dates((int(scene.now) - key.number).__ge__)


def _younger(key: SearchKey, scene: Scene) -> Test:
    return _dates((int(scene.now) - key.number).__le__)


def _savedbefore(key: SearchKey, _scene: Scene) -> Test:
    return _save_dates((key.number * _DAY).__gt__)


def _savedsince(key: SearchKey, _scene: Scene) -> Test:
    return _save_dates((key.number * _DAY).__le__)


def _savedon(key: SearchKey, _scene: Scene) -> Test:
    first = key.number * _DAY
    return _save_dates(range(first, first + _DAY).__contains__)


def _save_dates(holds: Callable[[int], bool]) -> Test:
    return lambda page, start: mask_of(map(holds, page.saved))


def _dates(holds: Callable[[int], bool]) -> Test:
    return lambda page, start: mask_of(map(holds, page.dates))


def _larger(key: SearchKey, _scene: Scene) -> Test:
    holds = key.number.__lt__
    return lambda page, start: mask_of(map(holds, page.sizes))


def _smaller(key: SearchKey, _scene: Scene) -> Test:
    holds = key.number.__gt__
    return lambda page, start: mask_of(map(holds, page.sizes))


def _modseq(key: SearchKey, _scene: Scene) -> Test:
    # RFC 7162 3.1.5: equal to or greater than
    holds = key.number.__le__
    return lambda page, start: mask_of(map(holds, page.modseqs))


def _sequence(key: SearchKey, scene: Scene) -> Test:
    return in_ranges(resolve(scene.snapshot, key.set, uid=False, saved=scene.saved).ranges)


def _uid(key: SearchKey, scene: Scene) -> Test:
    return in_ranges(resolve(scene.snapshot, key.set, uid=True, saved=scene.saved).ranges)


def in_ranges(ranges: Sequence[tuple[int, int]]) -> Test:
    """Rows whose sequence numbers lie in ascending, disjoint ranges."""
    lasts = [last for _, last in ranges]

    def test(page: Page, start: int) -> int:
        count = len(page)
        found = bytearray(count)
        for first, last in ranges[bisect_left(lasts, start) :]:
            if first >= start + count:
                break
            begin, end = max(first - start, 0), min(last - start + 1, count)
            found[begin:end] = b"\1" * (end - begin)
        return int.from_bytes(found, "little")

    return test


_MAKERS: Final[dict[Key, Callable[[SearchKey, Scene], Test]]] = {
    Key.ALL: lambda key, scene: everything,
    Key.SEQ: _sequence,
    Key.UID: _uid,
    Key.FLAGS: _flags,
    Key.UNFLAGS: _unflags,
    Key.KEYWORD: _keyword,
    Key.UNKEYWORD: _unkeyword,
    Key.RECENT: _recent,
    Key.NEW: _new,
    Key.OLD: _old,
    Key.BEFORE: _before,
    Key.SINCE: _since,
    Key.ON: _on,
    Key.SAVEDBEFORE: _savedbefore,
    Key.SAVEDSINCE: _savedsince,
    Key.SAVEDON: _savedon,
    Key.OLDER: _older,
    Key.YOUNGER: _younger,
    Key.LARGER: _larger,
    Key.SMALLER: _smaller,
    Key.MODSEQ: _modseq,
}
