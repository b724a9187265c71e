"""A block of events as octets: compressed events, and numbers by which a search chooses blocks.

Why not a row for each message and an index: random keys touch a page each, and cost 36 us a message in an empty file
and 85 in a full one. A block costs 9, because its keys are only appended; a search looks through all keys (18 octets a
message), which takes 10 ms for a million events (docs/store.md).
Owns: the format. data: zlib of a MessagePack array with a 32-bit length, so that blocks are joined without decoding.
Trusts: nothing; a block that cannot be read is an exception for the caller to skip.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from postroom.store.api.events import KEY_LISTS, KEYS
from postroom.values.told import Told

#: an event that waits to be packed: its time, name, fields
Waiting = tuple[float, str, Mapping[str, Any]]

#: events with the same `ip` in one block; what a flood has more is only counted
MOST_FROM_ONE: Final = 50

_LEVEL: Final = 1  # of zlib: 4.3 us a message, 97 octets of 483 left; level 3 takes half as long again for 3 octets
_ARRAY: Final = b"\xdd"
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode = msgspec.msgpack.Decoder(list[Told]).decode


class Block(Struct, frozen=True):
    """count: events; first, last: the least and the greatest time; keys: 32 bits each, native order."""

    count: int
    first: float
    last: float
    keys: bytes
    data: bytes


def number(word: str) -> int:
    """The number of a value in the form of `store.api.events.key`."""
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


def pack(waiting: Iterable[Waiting]) -> Block:
    """A block of these events."""
    kept = _without_floods(waiting)
    keys: set[int] = set()
    for event in kept:
        _add_keys(keys, event[2])
    times = [event[0] for event in kept]
    body = _items(_encode(kept), len(kept))
    return Block(len(kept), min(times), max(times), array("I", keys).tobytes(), _sealed(len(kept), [body]))


def _add_keys(keys: set[int], fields: Mapping[str, Any]) -> None:
    crc32 = zlib.crc32
    for name in KEYS & fields.keys():
        value = fields[name]
        if value and isinstance(value, str):
            keys.add(crc32(value.strip("<> \t\r\n").casefold().encode("utf-8", "surrogatepass")))
    for name in KEY_LISTS & fields.keys():
        for value in fields[name]:
            keys.add(crc32(value.strip("<> \t\r\n").casefold().encode("utf-8", "surrogatepass")))


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


def unpack(data: bytes) -> list[Told]:
    """The events of a block. Raises ValueError when it is damaged."""
    try:
        return _decode(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError) as fault:
        raise ValueError(str(fault)) from fault


def join(blocks: Sequence[Block]) -> Block:
    """One block of several. Raises ValueError when one is damaged."""
    try:
        bodies = [zlib.decompress(block.data)[5:] for block in blocks]
    except zlib.error as fault:
        raise ValueError(str(fault)) from fault
    keys: set[int] = set()
    for block in blocks:
        keys.update(memoryview(block.keys).cast("I"))
    count = sum(block.count for block in blocks)
    return Block(
        count,
        min(block.first for block in blocks),
        max(block.last for block in blocks),
        array("I", keys).tobytes(),
        _sealed(count, bodies),
    )


def holds(keys: bytes, numbers: Collection[int]) -> bool:
    """True when one of the numbers may be among the keys. No numbers: any block will do."""
    if not numbers:
        return True
    if len(numbers) == 1:
        # four times as fast as the other way; a match that is not aligned only costs a look into the block
        return struct.pack("=I", *numbers) in keys
    return not set(numbers).isdisjoint(memoryview(keys).cast("I"))


def _items(packed: bytes, count: int) -> bytes:
    """A MessagePack array without its head."""
    return packed[1 if count < 16 else 3 if count < 65536 else 5 :]


def _sealed(count: int, bodies: Sequence[bytes]) -> bytes:
    return zlib.compress(b"".join([_ARRAY, struct.pack(">I", count), *bodies]), _LEVEL)
