"""Quarantine: mail that the spam filter keeps apart, for a number of days, where no mail program shows it.

Each recipient has an item of his own; the octets are kept once for all items of a queue entry. An item is known by its
queue entry and the recipient's place in it, so that filing twice keeps one. It counts to nobody's quota; how much one
account may have is limited instead (`KeepLimits`).
A release is written down first (RELEASING, with the queue id the mail will have) and done by a worker: whatever dies
meanwhile, it is done once. Items whose time has come go, whatever became of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct

from postroom.values.content import Content

#: characters of names, subjects and reasons that are kept
MOST_TEXT: Final = 1000


class ItemState(StrEnum):
    """What became of it. DELETED can be taken back until its time has come."""

    KEPT = "kept"
    RELEASING = "releasing"
    RELEASED = "released"
    DELETED = "deleted"


class QuarantineItem(Struct, frozen=True, kw_only=True):
    """A message for one recipient. entry: queue id it came with; account: the id of whose it is; domain: his;
    outgoing: it is mail that the account wanted to send; recipient: whom it is for; sender: of the envelope; author,
    subject: as people read them; score, why: the filter's, for this recipient; until: Unix seconds when it goes;
    body, smtputf8: as accepted; changed, by: when and by whom its state was last changed; release: queue id of the
    release, ""; told: it was in a digest; guarded: only an administrator may release it (it holds a virus).
    """

    id: str
    entry: str
    account: str
    domain: str
    recipient: str
    sender: str
    received: float
    until: float
    size: int
    outgoing: bool = False
    author: str = ""
    subject: str = ""
    score: float = 0.0
    why: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    state: ItemState = ItemState.KEPT
    changed: float = 0.0
    by: str = ""
    release: str = ""
    told: bool = False
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class KeepLimits:
    """What one account may have in quarantine: items and octets; 0 is any."""

    items: int = 0
    octets: int = 0


class QuarantineFull(Exception):
    """The account has as much in quarantine as it may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineQuery:
    """Which items; empty fields match everything, sender is part of the sender's or author's address or name.

    since, before: of `received`; outgoing: None both; newest: these first.
    """

    ids: tuple[str, ...] = ()
    account: str = ""
    domain: str = ""
    sender: str = ""
    since: float = 0.0
    before: float = 1e18
    states: frozenset[ItemState] = field(default=frozenset({ItemState.KEPT}))
    outgoing: bool | None = None
    untold: bool = False
    newest: bool = False
    limit: int = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """From one of `before` to `state`. by: who did it; at: Unix seconds."""

    before: frozenset[ItemState]
    state: ItemState
    at: float
    by: str = ""


class QuarantineStore(Protocol):
    """All processes share it. Every method raises StoreUnavailable when the disk will not do it."""

    async def keep(self, item: QuarantineItem, content: Content, limits: KeepLimits) -> bool:
        """Keep a message, durable when this returns; False when it was kept before. Raises QuarantineFull."""
        ...

    async def find(self, query: QuarantineQuery) -> list[QuarantineItem]:
        """Items by the time they came, the oldest first."""
        ...

    async def content(self, item: str) -> Content:
        """The octets, with our trace and without Return-Path. Raises NotFound."""
        ...

    async def put_state(self, items: tuple[str, ...], change: StateChange) -> list[str]:
        """Change those that are in a state it begins with; the ids that changed. RELEASING begins a new release."""
        ...

    async def reserve(self, item: str, release: str) -> str:
        """The queue id under which an item is released: what was written down before, else `release`.

        Raises NotFound when it is not to be released.
        """
        ...

    async def untold(self) -> dict[str, int]:
        """Accounts that have kept incoming items which were in no digest yet, and how many."""
        ...

    async def tell(self, items: tuple[str, ...]) -> None:
        """These were in a digest."""
        ...

    async def counts(self) -> dict[ItemState, int]:
        """Items by state."""
        ...

    async def forget(self, account: str) -> int:
        """An account is gone for good: its items go; how many."""
        ...

    async def sweep(self, now: float) -> list[QuarantineItem]:
        """Remove items whose time has come, and octets and files that no item needs; what went (10,000 at a time)."""
        ...
