"""A block of events as octets: compressed events, and numbers by which a search chooses blocks.

Why not a row for each message and an index: random keys touch a page each, and cost 36 us a message in an empty file
and 85 in a full one. A block costs 9, because its keys are only appended; a search looks through all keys (18 octets a
message), which takes 10 ms for a million events (docs/store.md).
Owns: the format. data: zlib of the lengths of all events, 32 bits each, and the events in MessagePack, each by itself:
so blocks are joined without decoding, and a search decodes only the events that contain its word.
Trusts: nothing; a block that cannot be read is an exception for the caller to skip.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec
from msgspec import Struct

from postroom.store.api.events import KEY_LIST, KEYS
from postroom.values.told import Told

_number = zlib.crc32
_NONE: Final[frozenset[int]] = frozenset()
_MANY: Final = 60  # numbers from which on looking at every key is faster than ten steps for each number

#: an event that waits to be packed: its time, name, fields
Waiting = tuple[float, str, Mapping[str, Any]]

#: events with the same `ip` in one block; what a flood has more is only counted
MOST_FROM_ONE: Final = 50

_LEVEL: Final = 1  # of zlib: 4.3 us a message, 97 octets of 483 left; level 3 takes half as long again for 3 octets
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode = msgspec.msgpack.Decoder(Told).decode


class Block(Struct, frozen=True):
    """count: events; first, last: the least and the greatest time; keys: 32 bits each, native order, ascending."""

    count: int
    first: float
    last: float
    keys: bytes
    data: bytes


def number(word: str) -> int:
    """The number of a value in the form of `store.api.events.key`."""
    return _number(word.encode("utf-8", "surrogatepass"))


def pack(waiting: Iterable[Waiting]) -> Block:
    """A block of these events."""
    kept = _without_floods(waiting)
    times = [event[0] for event in kept]
    packed = [_encode(event) for event in kept]
    return Block(len(kept), min(times), max(times), _keys(kept), _sealed(packed))


def _keys(kept: Iterable[Waiting]) -> bytes:
    """What `store.api.events.keys_of` finds, as numbers. One value after the other would take twice as long."""
    values: list[Any] = list({name for _, name, _ in kept})
    for _, _, fields in kept:
        values += [value for name, value in fields.items() if name in KEYS]
        if KEY_LIST in fields:
            values += fields[KEY_LIST]
    try:
        words = "\0".join(values)
    except TypeError:  # a value is no text
        words = "\0".join(value for value in values if isinstance(value, str))
    numbers = set(map(_number, words.lower().encode("utf-8", "surrogatepass").split(b"\0")))
    return array("I", sorted(numbers)).tobytes()


def _without_floods(waiting: Iterable[Waiting]) -> list[Waiting]:
    """At most so many events from one address; one more says how many were left out."""
    seen: dict[Any, int] = {}
    kept: list[Waiting] = []
    last = 0.0
    for event in waiting:
        ip = event[2].get("ip")
        if ip:
            count = seen[ip] = seen.get(ip, 0) + 1
            if count > MOST_FROM_ONE:
                last = event[0]
                continue
        kept.append(event)
    if last:
        for ip, count in seen.items():
            if count > MOST_FROM_ONE:
                kept.append((last, "events.omitted", {"ip": ip, "count": count - MOST_FROM_ONE}))
    return kept


class Events:
    """The events of a block, decoded when they are asked for. Raises ValueError when it is damaged."""

    __slots__ = ("_ends", "_low", "_octets", "_start")

    def __init__(self, data: bytes) -> None:
        self._octets, self._start, lengths = _opened(data)
        self._ends = array("I", accumulate(lengths))
        self._low: bytes | None = None

    def all(self) -> Iterator[Told]:
        """Every event."""
        for place in range(len(self._ends)):
            yield self._event(place)

    def containing(self, word: str) -> Iterator[Told]:
        """Events in which the word stands somewhere, in any case, and perhaps others; "" is every event."""
        if not word or not word.isascii():  # octets know upper and lower case of ASCII only
            yield from self.all()
            return
        if self._low is None:
            self._low = self._octets.lower()
        wanted = word.lower().encode()
        at = self._low.find(wanted, self._start)
        while at >= 0:
            place = bisect_right(self._ends, at - self._start)
            yield self._event(place)
            at = self._low.find(wanted, self._start + self._ends[place])

    def _event(self, place: int) -> Told:
        begin = self._start + (self._ends[place - 1] if place else 0)
        try:
            return _decode(memoryview(self._octets)[begin : self._start + self._ends[place]])
        except msgspec.DecodeError as fault:
            raise ValueError(str(fault)) from fault


def join(blocks: Sequence[Block]) -> Block:
    """One block of several. Raises ValueError when one is damaged."""
    keys: set[int] = set()
    lengths, bodies = array("I"), []
    for block in blocks:
        keys.update(memoryview(block.keys).cast("I"))
        octets, start, more = _opened(block.data)
        lengths += more
        bodies.append(octets[start:])
    return Block(
        len(lengths),
        min(block.first for block in blocks),
        max(block.last for block in blocks),
        array("I", sorted(keys)).tobytes(),
        _compressed(lengths, bodies),
    )


def among(keys: bytes, numbers: frozenset[int]) -> frozenset[int]:
    """Those of the numbers that are among the keys."""
    view = memoryview(keys).cast("I")
    if len(numbers) > _MANY:
        return _NONE if numbers.isdisjoint(view) else numbers.intersection(view)
    count = len(view)
    found = [number for number in numbers if (place := bisect_left(view, number)) < count and view[place] == number]
    return frozenset(found) if found else _NONE


def _sealed(packed: Sequence[bytes]) -> bytes:
    return _compressed(array("I", map(len, packed)), packed)


def _compressed(lengths: array[int], bodies: Sequence[bytes]) -> bytes:
    return zlib.compress(b"".join([struct.pack("=I", len(lengths)), lengths.tobytes(), *bodies]), _LEVEL)


def _opened(data: bytes) -> tuple[bytes, int, array[int]]:
    """(octets, where the events begin in them, their lengths). Raises ValueError."""
    try:
        octets = zlib.decompress(data)
        (count,) = struct.unpack_from("=I", octets)
        start = 4 + 4 * count
        lengths = array("I", octets[4:start])
    except (zlib.error, struct.error, ValueError) as fault:
        raise ValueError(f"a block of events is damaged: {fault}") from fault
    if len(lengths) != count or start + sum(lengths) != len(octets):
        raise ValueError("a block of events is damaged: it has another length")
    return octets, start, lengths
