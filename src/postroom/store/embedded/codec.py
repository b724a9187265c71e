"""Packed columns on disk: pages of a mailbox, and what an expunge record keeps.

All numbers are little-endian. Fixed columns of n messages: uids u32, sizes u32, INTERNALDATE i64, message ids u64, save
dates u32, one array after the other (28 n octets). Flag columns: one octet of what follows, flags u8, then keywords
u64 unless all are empty, then modseqs u64, or a single one when all are equal. Sets of UIDs: pairs (first, last) of u32
when that is shorter than the list, marked by the first octet. The newest messages of a mailbox lie in its own row
instead, one record each (45 octets: uid, size, date, id, flags, keywords, modseq, save date), because a delivery then
only adds a record.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Final

from postroom.store.api.pages import Page
from postroom.values.packing import packed, unpacked

_KEYWORDS: Final = 1
_ONE_MODSEQ: Final = 2
_LIST: Final = b"\0"
_RANGES: Final = b"\1"

FIXED_OCTETS: Final = 28
GONE_OCTETS: Final = 25

#: one message of the tail: UID, octets, INTERNALDATE, message id, flags, keywords, MODSEQ, save date
RECORD: Final = struct.Struct("<IIqQBQQI")


def repeat(typecode: str, value: int, count: int) -> array[int]:
    """A column that holds one value `count` times."""
    return array(typecode, (value,)) * count


def pack_fixed(page: Page) -> bytes:
    """What never changes while a message is in a mailbox."""
    return packed(page.uids) + packed(page.sizes) + packed(page.dates) + packed(page.messages) + packed(page.saved)


def pack_flags(page: Page) -> bytes:
    """What STORE changes."""
    modseqs, keywords, kind = page.modseqs, page.keywords, 0
    if any(keywords):
        kind = _KEYWORDS
    if modseqs and modseqs == repeat("Q", modseqs[0], len(modseqs)):
        kind |= _ONE_MODSEQ
        modseqs = modseqs[:1]
    return b"".join((bytes((kind,)), page.flags, packed(keywords) if kind & _KEYWORDS else b"", packed(modseqs)))


def unpack_page(fixed: bytes, flags: bytes) -> Page:
    """The page as it was packed. Raises ValueError when the two halves do not fit."""
    count, rest = divmod(len(fixed), FIXED_OCTETS)
    if rest:
        raise ValueError("fixed columns are damaged")
    octets, keywords, modseqs = unpack_flags(flags, count)
    return Page(
        unpacked("I", fixed[: 4 * count]),
        octets,
        keywords,
        modseqs,
        unpacked("Q", fixed[16 * count : 24 * count]),
        unpacked("I", fixed[4 * count : 8 * count]),
        unpacked("q", fixed[8 * count : 16 * count]),
        unpacked("I", fixed[24 * count :]),
    )


def unpack_flags(data: bytes, count: int) -> tuple[bytes, array[int], array[int]]:
    """Flags, keywords and modseqs of `count` messages. Raises ValueError."""
    kind, place = data[0], 1 + count
    flags = data[1:place]
    if kind & _KEYWORDS:
        keywords = unpacked("Q", data[place : place + 8 * count])
        place += 8 * count
    else:
        keywords = repeat("Q", 0, count)
    modseqs = unpacked("Q", data[place:])
    if kind & _ONE_MODSEQ:
        modseqs = modseqs * count
    if not len(flags) == len(keywords) == len(modseqs) == count:
        raise ValueError("flag columns are damaged")
    return flags, keywords, modseqs


def pack_tail(page: Page) -> bytes:
    """The newest messages of a mailbox, as its row keeps them."""
    return b"".join(
        map(
            RECORD.pack, page.uids, page.sizes, page.dates, page.messages, page.flags, page.keywords, page.modseqs,
            page.saved,
        )
    )  # fmt: skip


def unpack_tail(data: bytes) -> Page:
    """The page again. Raises ValueError."""
    if len(data) % RECORD.size:
        raise ValueError("the tail is damaged")
    uids, sizes, dates, messages, flags, keywords, modseqs, saved = zip(*RECORD.iter_unpack(data), strict=True)
    return Page(
        array("I", uids),
        bytes(flags),
        array("Q", keywords),
        array("Q", modseqs),
        array("Q", messages),
        array("I", sizes),
        array("q", dates),
        array("I", saved),
    )


def pack_uids(uids: Sequence[int]) -> bytes:
    """A set of UIDs, ascending."""
    if not uids:
        return _LIST
    if uids[-1] - uids[0] == len(uids) - 1:
        return _RANGES + packed(array("I", (uids[0], uids[-1])))
    ranges = to_ranges(uids)
    if len(ranges) < len(uids):
        return _RANGES + packed(ranges)
    return _LIST + packed(array("I", uids))


def unpack_uids(data: bytes) -> array[int]:
    """The set again, ascending."""
    numbers = unpacked("I", data[1:])
    if data[:1] == _LIST:
        return numbers
    uids: array[int] = array("I")
    for first, last in zip(numbers[::2], numbers[1::2], strict=True):
        uids.extend(range(first, last + 1))
    return uids


def to_ranges(uids: Sequence[int]) -> array[int]:
    """first, last, first, last, … of ascending numbers."""
    ranges: array[int] = array("I")
    first = last = uids[0]
    for uid in uids[1:]:
        if uid != last + 1:
            ranges.append(first)
            ranges.append(last)
            first = uid
        last = uid
    ranges.append(first)
    ranges.append(last)
    return ranges


def pack_ids(ids: array[int]) -> bytes:
    """Message ids ('Q')."""
    return packed(ids)


def unpack_ids(data: bytes) -> array[int]:
    """Message ids ('Q')."""
    return unpacked("Q", data)


def pack_gone(page: Page) -> bytes:
    """Flags, keywords, sizes, dates and save dates of what left, enough to put it back, or to tell how it was."""
    return page.flags + packed(page.keywords) + packed(page.sizes) + packed(page.dates) + packed(page.saved)


def unpack_gone(uids: array[int], messages: array[int], data: bytes, modseq: int) -> Page:
    """What was expunged, as it was. Raises ValueError."""
    count = len(messages)
    if not len(uids) == count == len(data) / GONE_OCTETS:
        raise ValueError("an expunge record is damaged")
    return Page(
        uids,
        data[:count],
        unpacked("Q", data[count : 9 * count]),
        repeat("Q", modseq, count),
        messages,
        unpacked("I", data[9 * count : 13 * count]),
        unpacked("q", data[13 * count : 21 * count]),
        unpacked("I", data[21 * count :]),
    )
