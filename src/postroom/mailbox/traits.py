"""Traits as columns: what SORT, THREAD and searches of headers need of messages, packed and by message id.

A message's traits: numbers (sent date, its day, hashes of Message-ID and base subject, thread, whether it is a reply,
hashes of references), keys (what text criteria of SORT compare) and texts (what header searches look into, folded).
A row holds the columns of consecutive messages. Reading asks for whole blocks of rows and picks places out of them.
Owns: the layout inside rows. Trusts: rows of the store, which keeps what is packed here.
On failure: DamagedTraits.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar

from postroom.store.api import BLOCK, TraitRow, block_of
from postroom.store.api.traits import KEYS, SEPARATOR, TEXTS, pack_texts
from postroom.store.api.traits import text_column as unpack_column
from postroom.values.packing import packed, unpacked

T = TypeVar("T")

#: columns of keys, KEYS in all (RFC 5256 3, RFC 5957 4)
SUBJECT, FROM, TO, CC, DISPLAY_FROM, DISPLAY_TO = range(6)
#: columns of texts, TEXTS in all
IN_SUBJECT, IN_FROM, IN_TO, IN_CC, IN_MESSAGE_ID = range(5)
#: a text that is too long to be kept: the message itself must be asked
TOO_LONG: Final = b"\1"
#: `day` of a message whose Date field cannot be read
NO_DAY: Final = -(2**31)

_VERSION: Final = b"\2"
#: columns of numbers; COUNTS: how many references, which stand behind all columns
SENT, OWN, SUBJECT_HASH, THREAD, DAY, REPLY, COUNTS = range(7)
#: their typecodes, octets of each, and of those before it
_TYPES: Final = "qQQQiBH"
_WIDTHS: Final = (8, 8, 8, 8, 4, 1, 2)
_BEFORE: Final = (0, *accumulate(_WIDTHS))


class DamagedTraits(Exception):
    """A row that was not packed here."""


class Traits(NamedTuple):
    """Traits of one message.

    sent: Unix seconds; day: days since 1970-01-01 in the date's own zone; own, subject: hashes, 0 for none; thread:
    number; reply: 1 for a reply or forward; references: hashes, oldest first; keys, texts: without NUL.
    """

    sent: int
    day: int
    own: int
    subject: int
    thread: int
    reply: int
    references: Sequence[int]
    keys: Sequence[bytes]
    texts: Sequence[bytes]


def pack(first: int, made: Sequence[Traits]) -> TraitRow:
    """The row of messages first, first + 1, …"""
    columns = [
        array("q", [each.sent for each in made]),
        array("Q", [each.own for each in made]),
        array("Q", [each.subject for each in made]),
        array("Q", [each.thread for each in made]),
        array("i", [each.day for each in made]),
        array("B", [each.reply for each in made]),
        array("H", [len(each.references) for each in made]),
        array("Q", [number for each in made for number in each.references]),
    ]
    numbers = b"".join([_VERSION, *map(packed, columns)])
    keys = pack_texts([SEPARATOR.join([each.keys[place] for each in made]) for place in range(KEYS)])
    texts = pack_texts([SEPARATOR.join([each.texts[place] for each in made]) for place in range(TEXTS)])
    return TraitRow(first, len(made), numbers, keys, texts)


def text_column(texts: bytes, place: int, count: int) -> bytes:
    """One column of keys (count KEYS) or texts (TEXTS), its values separated by NUL. Raises DamagedTraits."""
    try:
        return unpack_column(texts, place, count)
    except ValueError as fault:
        raise DamagedTraits(str(fault)) from fault


def number_column(row: TraitRow, place: int) -> bytes:
    """A column of numbers as it is packed. Raises DamagedTraits."""
    _check(row)
    begin = 1 + row.count * _BEFORE[place]
    return row.numbers[begin : begin + row.count * _WIDTHS[place]]


def numbers_of(row: TraitRow, place: int) -> array[int]:
    """A column of numbers (but for references). Raises DamagedTraits."""
    return unpacked(_TYPES[place], number_column(row, place))


def _references(row: TraitRow) -> bytes:
    _check(row)
    return row.numbers[1 + row.count * _BEFORE[-1] :]


def _check(row: TraitRow) -> None:
    rest, odd = divmod(len(row.numbers) - 1 - row.count * _BEFORE[-1], 8)
    if row.numbers[:1] != _VERSION or odd or rest < 0:
        raise DamagedTraits("columns are cut off, or of another version")


def merged(rows: Sequence[TraitRow]) -> TraitRow:
    """One row of rows that follow each other; keys and texts must be there. Raises DamagedTraits."""
    if len(rows) == 1:
        return rows[0]
    columns = [number_column(row, place) for place in range(len(_TYPES)) for row in rows]
    return TraitRow(
        rows[0].first,
        sum(row.count for row in rows),
        b"".join([_VERSION, *columns, *map(_references, rows)]),
        pack_texts([SEPARATOR.join([text_column(row.keys, at, KEYS) for row in rows]) for at in range(KEYS)]),
        pack_texts([SEPARATOR.join([text_column(row.texts, at, TEXTS) for row in rows]) for at in range(TEXTS)]),
    )


class Shelf:
    """The columns of some messages, in the order asked for. Rows must cover all of them."""

    __slots__ = ("_picked", "_rows", "count")

    def __init__(self, rows: Sequence[TraitRow], messages: Sequence[int]) -> None:
        """Raises DamagedTraits when the rows lack a message, or are not what was packed."""
        for row in rows:
            _check(row)
        self._rows = rows
        self.count: Final = len(messages)
        self._picked = _picker(_places(rows, messages))

    def numbers(self, place: int) -> Sequence[int]:
        """A column of numbers."""
        return self._picked(unpacked(_TYPES[place], b"".join([number_column(row, place) for row in self._rows])))

    def keys(self, place: int) -> Sequence[bytes]:
        """A column of keys. Raises DamagedTraits."""
        return self._picked(SEPARATOR.join([text_column(row.keys, place, KEYS) for row in self._rows]).split(SEPARATOR))

    def references(self) -> tuple[Sequence[int], Sequence[int], array[int]]:
        """Where the references of each begin, and end, in the references of all rows. Raises DamagedTraits."""
        counts = unpacked("H", b"".join([number_column(row, COUNTS) for row in self._rows]))
        ends = array("I", accumulate(counts))
        begins = array("I", [0])
        begins += ends[:-1]
        flat = unpacked("Q", b"".join(map(_references, self._rows)))
        if len(flat) != (ends[-1] if ends else 0):
            raise DamagedTraits("references are missing")
        return self._picked(begins[: len(ends)]), self._picked(ends), flat


def _places(rows: Sequence[TraitRow], messages: Sequence[int]) -> slice | Sequence[int]:
    """Where the messages are in the columns of all rows put together."""
    if not messages:
        return slice(0, 0)
    offsets: dict[int, int] = {}  # number of the block to what makes places of its message ids
    total, end = 0, 0
    for row in rows:
        block = block_of(row.first)
        if row.first == block:
            offsets[block // BLOCK] = total - block
            full = not end or block_of(end) == end
        else:
            full = row.first == end
        if not full:
            raise DamagedTraits("rows do not follow each other")
        total += row.count
        end = row.first + row.count
    if max(messages) >= end:
        raise DamagedTraits("messages have no traits")
    try:
        return _located(offsets, messages)
    except KeyError as fault:
        raise DamagedTraits("a row is missing") from fault


def _located(offsets: Mapping[int, int], messages: Sequence[int]) -> slice | Sequence[int]:
    """Raises KeyError."""
    first, last = messages[0], messages[-1]
    if len(set(offsets.values())) == 1 and len(offsets) == max(offsets) - min(offsets) + 1:
        offset = offsets[(first - 1) // BLOCK]
        if last - first == len(messages) - 1 and _ascending(messages):
            return slice(first + offset, first + offset + len(messages))
        return [message + offset for message in messages]
    return [message + offsets[(message - 1) // BLOCK] for message in messages]


def _ascending(messages: Sequence[int]) -> bool:
    found = messages if isinstance(messages, array) and messages.typecode == "Q" else array("Q", messages)
    return array("Q", range(messages[0], messages[-1] + 1)) == found


def _picker(places: slice | Sequence[int]) -> Callable[[Sequence[T]], Sequence[T]]:
    if isinstance(places, slice):
        return itemgetter(places)
    if len(places) == 1:
        return lambda column: [column[places[0]]]
    return itemgetter(*places)
