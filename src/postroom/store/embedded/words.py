"""The counts of everybody's learned tokens as a table in one file, which all workers map and none has for itself.

training.db is what counts: the table is made of it, and made again whenever it does not fit. Who learns writes both
within one transaction of the database, whose lock keeps writers apart; readers look into the mapping without any lock,
so they may see a lesson half done, which is as good as seeing it a moment earlier or later.
Layout: numbers of 64 bits in the order of this machine. First the header (Head), then the slots, 0 when empty: the
token in the upper half, in the lower a 1, an exponent and two counts, as exact as 14 bits are. A token stands in its
slot or one of the next _PROBES; one for which there is no room there counts as never seen.
Bounded: at most _MOST_SLOTS slots (64 MiB); with more tokens there is no table, and the database is asked.
On failure: there is no table, and the database is asked; a full disk (OSError) as well.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any, Final

import apsw

from postroom.store.api.training import Learned

Pair = tuple[int, int]
_NONE: Final = (0, 0)
_MAGIC: Final = 0x506F7374_57000001
_NUMBER: Final = struct.Struct("=Q")
_LEAST_SLOTS: Final = 1 << 12
_MOST_SLOTS: Final = 1 << 23
_PROBES: Final = 64
_LOW: Final = 0xFFFF_FFFF
_BITS: Final = 14
_MOST_EXPONENT: Final = 7
#: different pairs of counts that are kept decoded
_PAIRS: Final = 20_000
_COUNTS: Final = "SELECT id, spam, ham FROM carray(?) AS wanted CROSS JOIN token ON token.id = wanted.value"


class Head(IntEnum):
    """Numbers before the slots. SERIAL: total.serial of the database it fits, 0 while it is written; REPLACED: another
    file has taken its place.
    """

    MAGIC, SLOTS, USED, SPAM, HAM, SERIAL, REPLACED, SPARE = range(8)


def read_learned(db: apsw.Connection, tokens: Sequence[int]) -> Learned:
    """What a database has of these tokens."""
    spam, ham, _ = totals(db)
    if not (spam or ham):
        return Learned(counts=(_NONE,) * len(tokens))
    found = {token: (bad, good) for token, bad, good in _counts(db, tokens)}
    return Learned(spam=spam, ham=ham, counts=tuple([found.get(token, _NONE) for token in tokens]))


def totals(db: apsw.Connection) -> tuple[int, int, int]:
    """Messages unwanted and wanted, and the serial."""
    row: Any = db.execute("SELECT spam, ham, serial FROM total").fetchone()
    return row[0], row[1], row[2]


def _counts(db: apsw.Connection, tokens: Iterable[int]) -> list[tuple[int, int, int]]:
    """In the order of the file, so that each of its pages is looked at once."""
    wanted = array("q", sorted(tokens))
    rows: Any = db.execute(_COUNTS, (apsw.carray(wanted),)).fetchall() if wanted else []
    return list(rows)


class WordTable:
    """For one reader, the loop's thread."""

    __slots__ = ("_map", "_pairs", "_path", "_view")

    def __init__(self, path: str) -> None:
        self._path = path
        self._map: mmap.mmap | None = None
        self._view: memoryview | None = None
        self._pairs: dict[int, Pair] = {0: _NONE}

    def learned(self, db: apsw.Connection, tokens: Sequence[int]) -> Learned:
        """From the table when there is one that fits, else from the database."""
        view = self._view
        if view is None or view[Head.REPLACED]:
            view = self._open(db)
        if view is None:
            return read_learned(db, tokens)
        found = _looked_up(view, tokens)
        pairs = self._pairs
        counts: list[Any] = list(map(pairs.get, found))
        if None in counts:
            if len(pairs) > _PAIRS:
                self._pairs = pairs = {0: _NONE}
            pairs.update({low: _decoded(low) for low in set(found)})
            counts = list(map(pairs.get, found))
        return Learned(spam=view[Head.SPAM], ham=view[Head.HAM], counts=tuple(counts))

    def _open(self, db: apsw.Connection) -> memoryview | None:
        self.close()
        try:
            with open(self._path, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            view = memoryview(mapped).cast("Q")
        except (OSError, ValueError, TypeError):  # none, empty, or no whole numbers
            return None
        if _fits(view, len(view), totals(db)):
            self._map, self._view = mapped, view
            return view
        view.release()
        mapped.close()
        return None

    def close(self) -> None:
        """Let the file go."""
        if self._view is not None and self._map is not None:
            self._view.release()
            self._map.close()
        self._view = self._map = None


def _looked_up(view: memoryview, tokens: Sequence[int]) -> list[int]:
    """The lower half of each token's slot, 0 for none."""
    first, mask = len(Head), view[Head.SLOTS] - 1
    found: list[int] = []
    for token in tokens:
        slot = view[first + (token & mask)]
        if slot >> 32 != token and slot:
            slot = _further(view, token, mask)
        found.append(slot & _LOW)
    return found


def _further(view: memoryview, token: int, mask: int) -> int:
    first = len(Head)
    for step in range(1, _PROBES):
        slot: int = view[first + (token + step & mask)]
        if slot >> 32 == token or not slot:
            return slot
    return 0


def _fits(head: Sequence[int] | memoryview, size: int, known: tuple[int, int, int]) -> bool:
    """Is it a table of the database with these totals? size: numbers in the file."""
    return (
        size > len(Head)
        and head[Head.MAGIC] == _MAGIC
        and head[Head.SLOTS] == size - len(Head)
        and head[Head.SERIAL] > 0
        and not head[Head.REPLACED]
        and (head[Head.SPAM], head[Head.HAM], head[Head.SERIAL]) == known
    )


def _encoded(token: int, spam: int, ham: int) -> int:
    exponent = min(max(max(spam, ham).bit_length() - _BITS, 0), _MOST_EXPONENT)
    most = (1 << _BITS) - 1
    bad, good = (min(max(count >> exponent, int(count > 0)), most) for count in (spam, ham))
    return token << 32 | 1 << 31 | exponent << 2 * _BITS | bad << _BITS | good


def _decoded(low: int) -> Pair:
    exponent, most = low >> 2 * _BITS & _MOST_EXPONENT, (1 << _BITS) - 1
    return (low >> _BITS & most) << exponent, (low & most) << exponent


def write(path: str, db: apsw.Connection, tokens: Sequence[int] | None) -> None:
    """Within a transaction that has changed tokens: give it a serial, and bring the table there.

    tokens: those that may have changed, None for any. Raises apsw.Error; of the table it does what it can.
    """
    db.execute("UPDATE total SET serial = serial + 1")
    spam, ham, serial = totals(db)
    now = spam, ham, serial
    try:
        if tokens is None or not _mapped(path, lambda handle, view: _changed(handle, view, db, tokens, now)):
            _made(path, db, now)
    except OSError:
        give_up(path)


def _mapped(path: str, work: Callable[[int, memoryview], bool]) -> bool:
    """Do it with the table; False when there is none. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        with (
            mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as octets,
            octets.cast("Q") as view,
        ):
            return work(handle, view)
    except (ValueError, TypeError):  # empty, or no whole numbers
        return False
    finally:
        os.close(handle)


def _changed(
    handle: int, view: memoryview, db: apsw.Connection, tokens: Sequence[int], now: tuple[int, int, int]
) -> bool:
    """Change these slots; False when the table must be made anew. Raises OSError."""
    before = view[Head.SPAM], view[Head.HAM], view[Head.SERIAL]
    if before[2] != now[2] - 1 or not _fits(view, len(view), before):
        return False
    slots, used = view[Head.SLOTS], view[Head.USED]
    if (used + len(tokens)) * 10 > slots * 7:
        return False
    _put(handle, Head.SERIAL, 0)
    counts = dict.fromkeys(tokens, _NONE) | {token: (bad, good) for token, bad, good in _counts(db, tokens)}
    for token, (bad, good) in counts.items():
        used += _enter(handle, view, _encoded(token, bad, good))
    for place, number in ((Head.USED, used), *zip((Head.SPAM, Head.HAM, Head.SERIAL), now, strict=True)):
        _put(handle, place, number)
    return True


def _put(handle: int, place: int, number: int) -> None:
    os.pwrite(handle, _NUMBER.pack(number), place * _NUMBER.size)


def _enter(handle: int, view: memoryview, slot: int) -> bool:
    """Write it into the file; was its slot empty?"""
    first, mask, token = len(Head), view[Head.SLOTS] - 1, slot >> 32
    for step in range(_PROBES):
        place = first + (token + step & mask)
        there: int = view[place]
        if not there or there >> 32 == token:
            _put(handle, place, slot)
            return not there
    return False


def _made(path: str, db: apsw.Connection, now: tuple[int, int, int]) -> None:
    """Make the whole table, and put it in the place of the other. Raises OSError."""
    (many,) = db.execute("SELECT count(*) FROM token").fetchone() or (0,)
    slots = _LEAST_SLOTS
    while many * 2 > slots:
        slots *= 2
    if slots > _MOST_SLOTS:
        give_up(path)
        return
    table = array("Q", bytes((len(Head) + slots) * _NUMBER.size))
    first, mask, used = len(Head), slots - 1, 0
    rows: Any = db.execute("SELECT id, spam, ham FROM token")
    for token, spam, ham in rows:
        for step in range(_PROBES):
            place = first + (token + step & mask)
            if not table[place]:
                table[place] = _encoded(token, spam, ham)
                used += 1
                break
    table[: len(Head)] = array("Q", [_MAGIC, slots, used, *now, 0, 0])
    fresh = f"{path}.new"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb", buffering=0) as file:
        rest = memoryview(table).cast("B")
        while rest:
            rest = rest[file.write(rest[: 1 << 20]) :]
    _mark(path)
    os.replace(fresh, path)


def give_up(path: str) -> None:
    """Have no table."""
    with contextlib.suppress(OSError):
        _mark(path)
    with contextlib.suppress(OSError):
        os.unlink(path)


def _mark(path: str) -> None:
    """Tell those who have the file mapped that it is no more. Raises OSError."""
    with contextlib.suppress(FileNotFoundError), open(path, "r+b", buffering=0) as file:
        if os.fstat(file.fileno()).st_size >= len(Head) * _NUMBER.size:
            _put(file.fileno(), Head.REPLACED, 1)
