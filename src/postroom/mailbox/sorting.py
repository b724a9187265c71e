"""SORT: messages in the order of one criterion after the other (RFC 5256 3, RFC 5957 4, RFC 6203 6).

Columns are sorted in slices (mailbox.slices), so a large mailbox holds up nobody. Owns nothing.
On failure: StoreUnavailable.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, compress
from typing import Final, NamedTuple

from postroom.mailbox import traits
from postroom.mailbox.slices import Breathing, drive, sort_by_number, sort_places
from postroom.mailbox.trait_keeper import shelf_of
from postroom.store.api import AccountStore
from postroom.wire.imap.commands import SortBy, SortCriterion

_KEYS: Final = {
    SortBy.SUBJECT: traits.SUBJECT,
    SortBy.FROM: traits.FROM,
    SortBy.TO: traits.TO,
    SortBy.CC: traits.CC,
    SortBy.DISPLAYFROM: traits.DISPLAY_FROM,
    SortBy.DISPLAYTO: traits.DISPLAY_TO,
}


#: criteria by which what came since can be put into an order that is known
_GROWING: Final = frozenset((SortBy.DATE, SortBy.ARRIVAL, SortBy.SIZE))
#: messages that are put into it one by one
_MOST_NEW: Final = 512


class Rows:
    """The messages to be sorted, as columns in mailbox order. messages: ids; arrivals: INTERNALDATE; sizes: octets.

    relevancies: how well each fits a fuzzy search, () without one.
    """

    __slots__ = ("arrivals", "messages", "relevancies", "sizes")

    def __init__(
        self, messages: Sequence[int], arrivals: Sequence[int], sizes: Sequence[int], relevancies: Sequence[int] = ()
    ) -> None:
        self.messages: Final = messages
        self.arrivals: Final = arrivals
        self.sizes: Final = sizes
        self.relevancies: Final = relevancies

    def after(self, count: int) -> Rows:
        """All but the first so many."""
        return Rows(self.messages[count:], self.arrivals[count:], self.sizes[count:], self.relevancies[count:])


async def order(criteria: Sequence[SortCriterion], rows: Rows, store: AccountStore, pace: Breathing) -> list[int]:
    """Places of the rows in sorted order."""
    places = list(range(len(rows.messages)))
    needs_keys = any(each.by in _KEYS for each in criteria)
    needs_traits = needs_keys or any(each.by is SortBy.DATE for each in criteria)
    shelf = await shelf_of(store, rows.messages, pace, keys=needs_keys) if needs_traits and places else None
    # the last criterion first: sorting is stable, and what is equal stays in mailbox order
    for criterion in reversed(criteria):
        await pace.breathe()
        place = _KEYS.get(criterion.by)
        if place is None:
            numbers = _numbers(criterion.by, rows, shelf)
            await drive(sort_by_number(places, numbers, reverse=criterion.reverse), pace)
        elif shelf is not None:
            keys = shelf.keys(place)
            await drive(sort_places(places, keys.__getitem__, reverse=criterion.reverse), pace)
    return places


class Known(NamedTuple):
    """An order by one number. uids: what is sorted, ascending; order: places; numbers: of each."""

    uids: array[int]
    order: array[int]
    numbers: array[int]


def can_grow(criteria: Sequence[SortCriterion]) -> bool:
    """Is it worth to remember the numbers of such an order?"""
    return len(criteria) == 1 and criteria[0].by in _GROWING


async def numbers(criterion: SortCriterion, rows: Rows, store: AccountStore, pace: Breathing) -> array[int]:
    """What a criterion for which `can_grow` compares ('q')."""
    shelf = await shelf_of(store, rows.messages, pace) if criterion.by is SortBy.DATE and rows.messages else None
    return array("q", _numbers(criterion.by, rows, shelf))


async def order_of(criterion: SortCriterion, column: array[int], pace: Breathing) -> array[int]:
    """Places in the order of such numbers."""
    places = list(range(len(column)))
    await drive(sort_by_number(places, column, reverse=criterion.reverse), pace)
    return array("I", places)


def less(known: Known, uids: array[int]) -> Known | None:
    """Without the messages that are gone from `uids`; None when more than the last ones are new, or much is."""
    last = known.uids[-1] if known.uids else 0
    old = bisect_right(uids, last)
    if len(uids) - old > _MOST_NEW or 4 * len(uids) < len(known.uids):
        return None
    if uids[:old] == known.uids:
        return known
    here = frozenset(uids)
    stays = list(map(here.__contains__, known.uids))
    if stays.count(True) != old:
        return None
    places = [place - 1 for place in accumulate(stays)]
    order = array("I", [places[place] for place in known.order if stays[place]])
    return Known(uids[:old], order, array("q", compress(known.numbers, stays)))


def more(known: Known, uids: array[int], new: array[int], *, reverse: bool) -> Known:
    """With the last of `uids`, whose numbers are `new`: each behind those of its number, as it came later."""
    order, column = known.order[:], known.numbers + new
    for place in range(len(known.numbers), len(column)):
        if reverse:
            at = bisect_right(order, -column[place], key=lambda other: -column[other])
        else:
            at = bisect_right(order, column[place], key=column.__getitem__)
        order.insert(at, place)
    return Known(uids, order, column)


def _numbers(by: SortBy, rows: Rows, shelf: traits.Shelf | None) -> Sequence[int]:
    """The column of a criterion that compares numbers."""
    if by is SortBy.ARRIVAL:
        return rows.arrivals
    if by is SortBy.SIZE:
        return rows.sizes
    if by is SortBy.RELEVANCY:  # RFC 6203 6: the highest is first
        return [-score for score in rows.relevancies] or [0] * len(rows.messages)
    return shelf.numbers(traits.SENT) if shelf is not None else ()
