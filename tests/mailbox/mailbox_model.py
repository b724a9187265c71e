"""A mailbox as a plain list, from which snapshots are made that share pages as the store's do."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace

from postroom.store.api import FlagChange, FlagOp, Page, Snapshot, StoreFlagsResult


@dataclass(frozen=True)
class Message:
    uid: int
    flags: int = 0
    keywords: int = 0
    modseq: int = 1


def page_of(messages: list[Message]) -> Page:
    return Page(
        array("I", [m.uid for m in messages]),
        bytes(m.flags for m in messages),
        array("Q", [m.keywords for m in messages]),
        array("Q", [m.modseq for m in messages]),
        array("Q", [1000 + m.uid for m in messages]),
        array("I", [m.uid * 10 for m in messages]),
        array("q", [m.uid * 100 for m in messages]),
        array("I", [m.uid * 1000 for m in messages]),
    )


class Mailbox:
    """The truth. `size`: messages in a page; pages that did not change are the same objects in the next snapshot."""

    def __init__(self, size: int = 4) -> None:
        self.pages: list[list[Message]] = []
        self.made: dict[tuple[Message, ...], Page] = {}
        self.size = size
        self.uidnext = 1
        self.modseq = 1
        self.names: tuple[str, ...] = ()

    @property
    def messages(self) -> list[Message]:
        return [message for page in self.pages for message in page]

    def snapshot(self) -> Snapshot:
        kept = {}
        for page in self.pages:
            key = tuple(page)
            if key:
                kept[key] = self.made.get(key) or page_of(page)
        self.made = kept
        return Snapshot(7, 99, self.uidnext, self.modseq, list(kept.values()), self.names)

    def append(self, flags: int = 0, keywords: int = 0) -> None:
        self.modseq += 1
        if not self.pages or len(self.pages[-1]) >= self.size:
            self.pages.append([])
        self.pages[-1].append(Message(self.uidnext, flags, keywords, self.modseq))
        self.uidnext += 1

    def expunge(self, uids: set[int]) -> None:
        if any(message.uid in uids for message in self.messages):
            self.modseq += 1
        self.pages = [[message for message in page if message.uid not in uids] for page in self.pages]

    def repage(self, size: int) -> None:
        """Cut the pages anew, as a store may when it tidies up; MODSEQ stays."""
        flat = self.messages
        self.size = size
        self.pages = [flat[at : at + size] for at in range(0, len(flat), size)]

    def learn(self, names: tuple[str, ...]) -> int:
        bits = 0
        for name in names:
            if name not in self.names:
                self.names = (*self.names, name)
            bits |= 1 << self.names.index(name)
        return bits

    def store(self, uids: list[int], change: FlagChange) -> StoreFlagsResult:
        bits = self.learn(change.keywords)
        here = {message.uid: message for message in self.messages}
        limit = change.unchanged_since
        modified = [uid for uid in uids if limit is not None and uid in here and here[uid].modseq > limit]
        wanted = {uid for uid in uids if uid in here and uid not in modified}
        new_modseq, changed = self.modseq + 1, []

        def apply(message: Message) -> Message:
            if message.uid not in wanted:
                return message
            flags, words = message.flags, message.keywords
            if change.op is FlagOp.REPLACE:
                flags, words = change.bits, bits
            elif change.op is FlagOp.ADD:
                flags, words = flags | change.bits, words | bits
            else:
                flags, words = flags & ~change.bits, words & ~bits
            if (flags, words) == (message.flags, message.keywords):
                return message
            changed.append(message.uid)
            return replace(message, flags=flags, keywords=words, modseq=new_modseq)

        self.pages = [[apply(message) for message in page] for page in self.pages]
        if changed:
            self.modseq = new_modseq
        missing = tuple(uid for uid in uids if uid not in here)
        return StoreFlagsResult(self.snapshot(), tuple(changed), tuple(modified), missing)
