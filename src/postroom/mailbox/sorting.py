"""SORT: messages in the order of one criterion after the other (RFC 5256 3, RFC 5957 4, RFC 6203 6).

Columns are sorted in slices (mailbox.slices), so a large mailbox holds up nobody. Owns nothing.
On failure: StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

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


def _numbers(by: SortBy, rows: Rows, shelf: traits.Shelf | None) -> Sequence[int]:
    """The column of a criterion that compares numbers."""
    if by is SortBy.ARRIVAL:
        return rows.arrivals
    if by is SortBy.SIZE:
        return rows.sizes
    if by is SortBy.RELEVANCY:  # RFC 6203 6: the highest is first
        return [-score for score in rows.relevancies] or [0] * len(rows.messages)
    return shelf.numbers(traits.SENT) if shelf is not None else ()
