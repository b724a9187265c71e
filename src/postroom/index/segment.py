"""A segment: the terms of some messages and which messages have them, as one octet string that never changes.

For each field (see Field) a dictionary of terms, the most frequent first, and behind it postings of two octets: the
low half of a message id, whose high half is the segment's block. Any piece of a term is found with bytes.find over
the whole dictionary, so substrings cost no index of their own; of the postings only what was found is read.
Segments of one block are merged by putting the postings of equal terms behind each other.
Pure. Trusts: octets that `pack` wrote; the store has checked that they are whole.
On failure: BadSegment.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Final, Self, TypeVar

from postroom.index.terms import Place, Probe

#: octets start to end of the packed segment
Read = Callable[[int, int], bytes]
#: term to postings
Postings = dict[bytes, bytes]
_P = TypeVar("_P", list[int], bytes)

MAGIC: Final = b"PRi1"
BLOCK_BITS: Final = 16
#: terms between two marks that tell how many stand before
_STEP: Final = 64
#: so many places are read at once, with what lies between
_SCATTERED: Final = 32
#: found terms between two looks at whether every message was found
_LOOK: Final = 256

_HEAD = struct.Struct("<4sQIII")  # magic, block, fields, messages, messages known in part only
_FIELD = struct.Struct("<BIQQQQ")  # field, terms, octets of terms, marks, groups, postings
_GROUP = struct.Struct("<IIQ")  # first term, messages of each, offset of its postings


class BadSegment(Exception):
    """Not what `pack` wrote."""


class Field:
    """Where terms were found. BODY: what SEARCH BODY looks at; ATTACHED: text taken out of attachments."""

    SHOWN: Final = 0  # addresses, subject, names of files
    OTHER: Final = 1  # the rest of all headers
    BODY: Final = 2
    ATTACHED: Final = 3


#: where TEXT looks, BODY, and a word of a query
TEXT_FIELDS: Final = (Field.SHOWN, Field.OTHER, Field.BODY, Field.ATTACHED)
BODY_FIELDS: Final = (Field.BODY, Field.ATTACHED)
ANY_FIELDS: Final = (Field.SHOWN, Field.BODY, Field.ATTACHED)


class Draft:
    """A segment being made of messages. All are of one block, added in ascending order."""

    def __init__(self, block: int) -> None:
        self.block = block
        self.messages: list[int] = []  # low halves
        self.partial: list[int] = []
        self._fields: defaultdict[int, defaultdict[bytes, list[int]]] = defaultdict(lambda: defaultdict(list))

    def add(self, message: int, found: Mapping[int, Iterable[bytes]], *, whole: bool = True) -> None:
        """A message's terms by field. whole: its terms tell everything; else it must always be looked at itself."""
        low = message & (1 << BLOCK_BITS) - 1
        self.messages.append(low)
        if not whole:
            self.partial.append(low)
        for field, terms in found.items():
            postings = self._fields[field]
            for term in terms:
                postings[term].append(low)

    def pack(self) -> bytes:
        """The segment as octets."""
        return _pack(self, {field: _pack_field(postings, 1, _lists) for field, postings in self._fields.items()})


class Union:
    """A segment being made of segments of one block, added in ascending order of their messages.

    Postings stay the octets they are: of large segments they are many.
    """

    def __init__(self, block: int) -> None:
        self.block = block
        self.messages: list[int] = []
        self.partial: list[int] = []
        self._fields: dict[int, Postings] = {}

    def add(self, segment: Segment, gone: Collection[int] = ()) -> None:
        """Everything of a segment, without the messages (low halves) that are gone."""
        lost = frozenset(gone).intersection(segment.messages)
        self.messages += [low for low in segment.messages if low not in lost]
        self.partial += [low for low in segment.partial if low not in lost]
        for field in segment.fields:
            added = segment.postings(field)
            if lost:
                cut = ((term, _without(found, lost)) for term, found in added.items())
                added = {term: found for term, found in cut if found}
            mine = self._fields.setdefault(field, {})
            for term in mine.keys() & added.keys():
                added[term] = mine[term] + added[term]
            mine.update(added)

    def pack(self) -> bytes:
        """The segment as octets."""
        return _pack(self, {field: _pack_field(postings, 2, b"".join) for field, postings in self._fields.items()})


def _pack(made: Draft | Union, fields: Mapping[int, tuple[int, Sequence[bytes]]]) -> bytes:
    table: list[bytes] = []
    bodies: list[bytes] = []
    for field, (terms, parts) in sorted(fields.items()):
        table.append(_FIELD.pack(field, terms, *map(len, parts)))
        bodies += parts
    head = _HEAD.pack(MAGIC, made.block, len(table), len(made.messages), len(made.partial))
    lists = array("H", made.messages).tobytes() + array("H", made.partial).tobytes()
    return b"".join((head, *table, lists, *bodies))


def _lists(postings: Iterable[list[int]]) -> bytes:
    return array("H", list(chain.from_iterable(postings))).tobytes()


def _without(postings: bytes, lost: Collection[int]) -> bytes:
    return array("H", [low for low in array("H", postings) if low not in lost]).tobytes()


def _pack_field(
    postings: Mapping[bytes, _P], unit: int, joined: Callable[[Iterable[_P]], bytes]
) -> tuple[int, Sequence[bytes]]:
    """How many terms; terms, marks, groups and postings of a field.

    Terms with equally many messages stand together, the most frequent first. unit: length of postings for a message.
    """
    by_size: defaultdict[int, list[bytes]] = defaultdict(list)
    for term, found in postings.items():
        by_size[len(found)].append(term)
    terms: list[bytes] = []
    groups: list[bytes] = []
    offset = 0
    for size in sorted(by_size, reverse=True):
        group = by_size[size]
        messages = size // unit
        groups.append(_GROUP.pack(len(terms), messages, offset))
        terms += group
        offset += 2 * messages * len(group)
    starts = [0, *accumulate(map(len, terms))]
    marks = array("I", [starts[number] + number for number in range(0, len(terms), _STEP)])
    octets = b"\n%b\n" % b"\n".join(terms)
    lists = joined(map(postings.__getitem__, terms))
    return len(terms), (octets, marks.tobytes(), b"".join(groups), lists)


@dataclass(frozen=True, slots=True)
class _Extent:
    terms: int
    octets: tuple[int, int]
    marks: tuple[int, int]
    groups: tuple[int, int]
    postings: tuple[int, int]


class Segment:
    """A packed segment, read as far as is asked for."""

    __slots__ = ("_dictionaries", "_extents", "_read", "block", "messages", "partial")

    def __init__(self, read: Read) -> None:
        """Raises BadSegment."""
        self._read = read
        self._dictionaries: dict[int, Dictionary] = {}
        head = read(0, _HEAD.size)
        try:
            magic, self.block, fields, count, partial = _HEAD.unpack(head)
            if magic != MAGIC:
                raise BadSegment("not a segment")
            at = _HEAD.size + fields * _FIELD.size
            table = read(_HEAD.size, at)
            self.messages = array("H", read(at, at + 2 * count))
            at += 2 * count
            self.partial = array("H", read(at, at + 2 * partial))
            at += 2 * partial
            self._extents: dict[int, _Extent] = {}
            for field, terms, *sizes in _FIELD.iter_unpack(table):
                ends = list(accumulate(sizes, initial=at))
                self._extents[field] = _Extent(terms, *pairwise(ends))
                at = ends[-1]
        except (struct.error, ValueError) as fault:
            raise BadSegment(str(fault)) from fault

    @classmethod
    def of(cls, packed: bytes) -> Self:
        """A segment whose octets are all here. Raises BadSegment."""
        return cls(lambda start, end: packed[start:end])

    @property
    def fields(self) -> Collection[int]:
        return self._extents.keys()

    def terms(self, field: int) -> int:
        """How many terms the field has."""
        extent = self._extents.get(field)
        return extent.terms if extent else 0

    def postings(self, field: int) -> Postings:
        """All terms and their postings."""
        extent = self._extents[field]
        if not extent.terms:
            return {}
        octets = self._read(*extent.postings)
        groups = list(_GROUP.iter_unpack(self._read(*extent.groups)))
        cut: list[bytes] = []
        for (first, messages, offset), (end, _, _) in zip(groups, [*groups[1:], (extent.terms, 0, 0)], strict=True):
            size = messages * 2
            cut += [octets[at : at + size] for at in range(offset, offset + size * (end - first), size)]
        return dict(zip(self._read(*extent.octets)[1:-1].split(b"\n"), cut, strict=True))

    def dictionary(self, field: int) -> Dictionary | None:
        """The field's terms, to search in; None when it has none."""
        known = self._dictionaries.get(field)
        extent = self._extents.get(field)
        if known is None and extent is not None and extent.terms:
            known = self._dictionaries[field] = Dictionary(self._read, extent)
        return known

    def find(self, probes: Sequence[Probe], fields: Iterable[int]) -> set[int]:
        """Low halves of the messages that have every probe in one of the fields each."""
        fields = tuple(fields)
        found: set[int] | None = None
        for probe in sorted(probes, key=lambda each: -len(each.octets)):
            here: set[int] = set()
            for field in fields:
                if (dictionary := self.dictionary(field)) is not None:
                    dictionary.collect(probe, here, len(self.messages))
            found = here if found is None else found & here
            if not found:
                break
        return found or set()


class Dictionary:
    """The terms of one field of a segment."""

    __slots__ = ("_extent", "_firsts", "_groups", "_marks", "_read", "octets")

    def __init__(self, read: Read, extent: _Extent) -> None:
        self._read = read
        self._extent = extent
        self.octets = read(*extent.octets)
        self._marks: Sequence[int] = ()
        self._groups: list[tuple[int, int, int]] = []
        self._firsts: list[int] = []

    def matches(self, probe: Probe) -> Iterator[int]:
        """Where terms are that have the probe: the offset of the line feed before each."""
        octets, wanted = self.octets, probe.octets
        place = probe.place
        if place in (Place.START, Place.WHOLE):
            wanted = b"\n" + wanted
        if place in (Place.END, Place.WHOLE):
            wanted += b"\n"
        find = octets.find
        at = find(wanted)
        while at >= 0:
            yield at if place in (Place.START, Place.WHOLE) else octets.rfind(b"\n", 0, at)
            if place is Place.WHOLE:
                return
            at = find(wanted, find(b"\n", at + 1))

    def collect(self, probe: Probe, found: set[int], most: int) -> None:
        """Add the messages (low halves) of all terms that have the probe; `most`: there are no more."""
        spans: list[tuple[int, int]] = []
        for number, at in enumerate(self.matches(probe), 1):
            spans.append(self.span(at))
            if not number % _LOOK:
                self._add(spans, found)
                spans.clear()
                if len(found) == most:
                    return
        self._add(spans, found)

    def _add(self, spans: list[tuple[int, int]], found: set[int]) -> None:
        if spans:
            found.update(array("H", self.postings(spans)))

    def postings(self, spans: Sequence[tuple[int, int]]) -> bytes:
        """The postings at these places (see span), joined."""
        base = self._extent.postings[0]
        if len(spans) < _SCATTERED:
            return b"".join([self._read(base + start, base + end) for start, end in spans])
        first, last = min(spans)[0], max(end for _, end in spans)
        between = self._read(base + first, base + last)
        return b"".join([between[start - first : end - first] for start, end in spans])

    def span(self, at: int) -> tuple[int, int]:
        """Where the postings of a term are, by the line feed before it."""
        if not self._groups:
            self._marks = memoryview(self._read(*self._extent.marks)).cast("I")
            self._groups = list(_GROUP.iter_unpack(self._read(*self._extent.groups)))
            self._firsts = [group[0] for group in self._groups]
        step = bisect_right(self._marks, at) - 1
        number = step * _STEP + self.octets.count(b"\n", self._marks[step], at)
        first, messages, offset = self._groups[bisect_right(self._firsts, number) - 1]
        start = offset + (number - first) * messages * 2
        return start, start + messages * 2

    def term(self, at: int) -> bytes:
        """The term after a line feed."""
        return self.octets[at + 1 : self.octets.find(b"\n", at + 1)]
