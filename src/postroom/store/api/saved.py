"""Searches that an account keeps, each with the UIDs that were given to what it found.

What a search finds changes with the mail; the UIDs of what it found do not, in any process: whoever looks writes down
what came and what went, and is refused when somebody else has done so meanwhile.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

#: an account may keep so many, each of so many characters
MOST_SAVED: Final = 100
LONGEST_QUERY: Final = 1000


class SavedSearch(Struct, frozen=True, eq=False):
    """query: as people write it (index.query). version grows with every change of uids and messages.

    uids ('I', ascending) and messages ('Q'): what it found when it was looked at last.
    """

    id: int
    name: str
    query: str
    uidvalidity: int
    uidnext: int
    version: int
    uids: array[int]
    messages: array[int]


class SearchStore(Protocol):
    """Of one account. What changes something is durable on return. Every method may raise StoreUnavailable."""

    async def all(self) -> list[SavedSearch]:
        """By name."""
        ...

    async def put(self, name: str, query: str) -> SavedSearch:
        """Keep a search, or give one another query: then it has found nothing yet, under another UIDVALIDITY.

        Raises TooManySearches.
        """
        ...

    async def remove(self, name: str) -> None:
        """Raises NotFound."""
        ...

    async def found(self, search: SavedSearch, uids: Sequence[int], messages: Sequence[int]) -> SavedSearch | None:
        """Write down what it finds now: those of its UIDs that stay, then new ones from its UIDNEXT on.

        The search as it is then; None when it has been changed, or is not there any more.
        """
        ...
