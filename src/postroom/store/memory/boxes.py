"""A mailbox in memory, and what it looks like from outside."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace

from postroom.store.api import (
    FlagChange,
    FlagOp,
    MailboxInfo,
    MailboxLife,
    MessageGone,
    NewMessage,
    Page,
    Rendered,
    SeenMode,
    Settable,
    Snapshot,
    StoreUnavailable,
)
from postroom.values.flags import DELETED, SEEN, VISIBLE


@dataclass(slots=True)
class Item:
    """A message in a mailbox."""

    uid: int
    flags: int
    keywords: frozenset[str]
    modseq: int
    message: int
    size: int
    date: int
    saved: int


@dataclass(slots=True)
class Box:
    """A mailbox."""

    id: int
    name: str
    uidvalidity: int
    modseq: int
    special_use: str
    uidnext: int = 1
    keywords: tuple[str, ...] = ()
    items: list[Item] = field(default_factory=list)
    gone: list[tuple[int, list[int]]] = field(default_factory=list)  # (modseq, UIDs)
    seen: Snapshot | None = None
    mode: SeenMode = SeenMode.DEFAULT

    def holding(self, uid: int) -> list[Item]:
        """The message with this UID. Raises MessageGone."""
        found = [item for item in self.items if item.uid == uid]
        if not found:
            raise MessageGone(f"UID {uid}")
        return found


def info_of(box: Box) -> MailboxInfo:
    """As LIST and STATUS need it."""
    return MailboxInfo(
        id=box.id,
        name=box.name,
        uidvalidity=box.uidvalidity,
        uidnext=box.uidnext,
        modseq=box.modseq,
        messages=len(box.items),
        unseen=sum(not item.flags & SEEN for item in box.items),
        deleted=sum(bool(item.flags & DELETED) for item in box.items),
        size=sum(item.size for item in box.items),
        special_use=box.special_use,
        seen=box.mode,
    )


def life_of(box: Box) -> MailboxLife:
    """As it is; when it was made is added by who knows."""
    return MailboxLife(
        id=box.id,
        name=box.name,
        uidvalidity=box.uidvalidity,
        created=0.0,
        special_use=box.special_use,
        keywords=box.keywords,
    )


def page_of(box: Box, items: list[Item]) -> Page:
    """Messages of the mailbox as columns."""
    return Page(
        array("I", [item.uid for item in items]),
        bytes([item.flags for item in items]),
        array("Q", [sum(1 << box.keywords.index(name) for name in item.keywords) for item in items]),
        array("Q", [item.modseq for item in items]),
        array("Q", [item.message for item in items]),
        array("I", [item.size for item in items]),
        array("q", [item.date for item in items]),
        array("I", [item.saved for item in items]),
    )


def rendered_of(number: int, new: NewMessage, octets: bytes) -> Rendered:
    """What was rendered of a message."""
    return Rendered(
        number,
        new.guid,
        len(octets),
        new.internaldate,
        new.envelope,
        new.structure,
        new.bodystructure,
        new.parts,
        new.header,
    )


def octets_of(message: NewMessage) -> bytes:
    """Of its content. Raises StoreUnavailable."""
    try:
        return message.content.read()
    except OSError as fault:
        raise StoreUnavailable(str(fault)) from fault


def reached(items: list[Item], may: Settable) -> list[Item]:
    """The messages with the flags that may be set."""
    within = may.flags | ~VISIBLE
    return [
        replace(item, flags=item.flags & within, keywords=item.keywords if may.keywords else frozenset())
        for item in items
    ]


def applied(item: Item, change: FlagChange, keywords: frozenset[str]) -> bool:
    """Change flags; is anything different now?"""
    before = (item.flags, item.keywords)
    bits = change.bits & (change.may.flags | ~VISIBLE)
    if change.op is FlagOp.ADD:
        item.flags |= bits
        item.keywords |= keywords
    elif change.op is FlagOp.REMOVE:
        item.flags &= ~bits
        item.keywords -= keywords
    else:
        item.flags = item.flags & ~(VISIBLE & change.may.flags) | bits
        item.keywords = keywords if change.may.keywords else item.keywords
    return (item.flags, item.keywords) != before
