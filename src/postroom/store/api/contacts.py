"""The address book of an account: addresses its owner knows, each with a name and where it came from.

It is what the spam filter asks about a proven author. Whole cards, once there are some, will have their own table and
put their addresses here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

#: an account may keep so many; characters of a name and of a source
MOST_CONTACTS: Final = 25_000
LONGEST_NAME: Final = 200
LONGEST_SOURCE: Final = 40


class Contact(Struct, frozen=True):
    """address: Address.key; name: one line, "" for none; source: who put it there, such as "import"; added: Unix
    seconds, 0.0 for now.
    """

    address: str
    name: str = ""
    source: str = ""
    added: float = 0.0


class ContactStore(Protocol):
    """Of one account. What changes something is durable on return. Every method may raise StoreUnavailable."""

    async def all(self) -> list[Contact]:
        """By address."""
        ...

    async def has(self, address: str) -> bool:
        """Is this Address.key in it?"""
        ...

    async def put(self, contacts: Sequence[Contact]) -> int:
        """Keep them, all or none; how many were not known. A known one gets the name given here, if one is given, and
        keeps its source and date. Raises TooManyContacts.
        """
        ...

    async def remove(self, addresses: Sequence[str]) -> int:
        """Forget them, as far as they are known; how many were."""
        ...
