"""What an account held before: mailboxes that were, messages that left, and bringing them back.

A message that leaves a mailbox stays readable until it is swept (Store.sweep), whichever way it left: expunged, deleted
with its mailbox, or moved. A departure tells what left a mailbox at one MODSEQ; a life tells what a mailbox is, or was
called, from when until when. Of flags only those are known that a message had when it left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final, NamedTuple

from postroom.store.api.pages import Page

#: ids of mailboxes are smaller; views of mailboxes add multiples of it, so that none is taken for a mailbox
VIEW: Final = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxLife:
    """A mailbox that is or was. Times are Unix seconds.

    name: now, or last; deleted: when, 0 while it is there; before: (until when, name) of each earlier name, oldest
    first; keywords: the names that bits of its departures stand for.
    """

    id: int
    name: str
    uidvalidity: int
    created: float
    deleted: float = 0.0
    special_use: str = ""
    keywords: tuple[str, ...] = ()
    before: tuple[tuple[float, str], ...] = ()

    def name_at(self, time: float) -> str | None:
        """What it was called then; None when it was not there."""
        if time < self.created or (self.deleted and time >= self.deleted):
            return None
        return next((name for until, name in self.before if time < until), self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Messages that left `mailbox` at `modseq`, and can still be had.

    page: as they were, UIDs ascending; modseqs are all `modseq`; keywords are bits over MailboxLife.keywords;
    moved: to another mailbox of the account, where they lived on; number: of the first one, counted through all that
    ever was expunged in the account, so that a number never means two messages; back: an octet each, 1 for those that
    were brought back since.
    """

    modseq: int
    mailbox: int
    time: float
    moved: bool
    number: int
    page: Page
    back: bytes

    @property
    def missing(self) -> list[int]:
        """Places of messages that were not brought back."""
        return list(compress(range(len(self.back)), map((0).__eq__, self.back)))


class Source(NamedTuple):
    """Messages to bring back: UIDs, any order, of a departure (its MODSEQ), or else of a mailbox that is there."""

    uids: Sequence[int]
    departure: int = 0
    mailbox: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Messages to put into the mailbox called `target`, in this order; it is made when there is none.

    No sources: only to be made.
    """

    target: str
    sources: Sequence[Source]
    special_use: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """What came into a mailbox. made: ids of mailboxes that were made for it, those above it first; places: of the
    messages, counted through the UIDs of all sources of the Placing; uids: the new ones, place by place. What is gone
    for good is left out.
    """

    mailbox: int
    name: str
    uidvalidity: int
    made: tuple[int, ...]
    places: tuple[int, ...]
    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back in one go. id: to undo it by; 0 when there was nothing."""

    id: int
    time: float
    placed: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Undone:
    """What undoing took away again: messages (expunged), and mailboxes that had been made and were empty."""

    messages: int
    mailboxes: tuple[str, ...]
