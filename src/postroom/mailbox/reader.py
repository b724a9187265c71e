r"""An account as one of its readers sees it: with an own \Seen in the mailboxes where that is private.

ReaderStore is the account's store with the reader's marks laid over it: snapshots in which \Seen, and the MODSEQ of
messages whose mark changed, are the reader's; changes of \Seen that go to the marks and all else to the mailbox. All
that works on snapshots (FETCH, SEARCH, STORE, CONDSTORE) knows nothing of it. Mailboxes whose \Seen is everybody's pass
through. A page that neither the mailbox nor the reader changed stays the same object, so views skip it by identity.
STORE of \Seen together with other flags is two commits, the other flags first; so are copies that take \Seen along.
Owns: the snapshots it made last. Trusts: the store's marks.
Standards: RFC 9051 2.3.2, RFC 4314 2.1 ("s"), RFC 7162 3.1.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from msgspec import structs

from postroom.mailbox.selection import of_uids
from postroom.store.api import (
    CHUNK_BITS,
    EVERY_FLAG,
    AccountStore,
    AppendResult,
    Chunk,
    CopyResult,
    ExpungeResult,
    FlagChange,
    FlagOp,
    MailboxInfo,
    Marks,
    NewMessage,
    Page,
    SeenMode,
    Settable,
    Snapshot,
    StoreFlagsResult,
)
from postroom.values.flags import SEEN

_NOT_SEEN: Final = bytes(octet & ~SEEN for octet in range(256))
#: mailboxes whose snapshots are kept
_KEPT: Final = 32
_NO_MARKS: Final = Chunk(array("I"), array("Q"))


class _Overlaid:
    """A snapshot that was made, and from what."""

    __slots__ = ("base", "marks", "pages", "snapshot")

    def __init__(self, base: Snapshot, marks: Marks, old: _Overlaid | None) -> None:
        self.base: Final = base
        self.marks: Final = marks
        self.pages: Final = {id(page): _reuse(page, marks, old) for page in base.pages}
        pages = [now for _, _, now in self.pages.values()]
        self.snapshot: Final = Snapshot(base.mailbox, base.uidvalidity, base.uidnext, base.modseq, pages, base.keywords)


#: a page of the mailbox, its marks, and the page as the reader sees it
_Made = tuple[Page, Sequence[Chunk], Page]


def _reuse(page: Page, marks: Marks, old: _Overlaid | None) -> _Made:
    first, last = page.uids[0] >> CHUNK_BITS, page.uids[-1] >> CHUNK_BITS
    chunks = [marks.chunks.get(number, _NO_MARKS) for number in range(first, last + 1)]
    made = old.pages.get(id(page)) if old is not None else None
    if made is not None and made[0] is page and all(map(_is_same, made[1], chunks)):
        return made
    return page, chunks, _overlay(page, chunks)


def _is_same(one: Chunk, other: Chunk) -> bool:
    return one is other or (one.values == other.values and one.uids == other.uids)


def _overlay(page: Page, chunks: Sequence[Chunk]) -> Page:
    r"""The page with the reader's \Seen."""
    flags, modseqs = bytearray(page.flags.translate(_NOT_SEEN)), page.modseqs[:]
    for chunk in chunks:
        begin, end = bisect_left(chunk.uids, page.uids[0]), bisect_right(chunk.uids, page.uids[-1])
        for uid, value in zip(chunk.uids[begin:end], chunk.values[begin:end], strict=True):
            place = bisect_left(page.uids, uid)
            if page.uids[place] != uid:
                continue  # it is gone
            flags[place] |= value & SEEN
            modseqs[place] = max(modseqs[place], value >> 1)
    return page.reflagged(bytes(flags), modseqs)


class ReaderStore:
    """An AccountStore for one reader. private: whether \\Seen is, in mailboxes that do not say."""

    __slots__ = ("_base", "_made", "_marks", "_private", "_reader")

    def __init__(self, base: AccountStore, reader: str, *, private: bool) -> None:
        self._base = base
        self._reader = reader
        self._private = private
        self._made: dict[int, _Overlaid] = {}
        self._marks: dict[int, Marks] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    # --- mailboxes

    async def mailboxes(self) -> list[MailboxInfo]:
        """All; how many messages are unseen is not counted where that is the reader's own."""
        return [self._mine(info) for info in await self._base.mailboxes()]

    async def mailbox(self, name: str) -> MailboxInfo | None:
        """One, likewise."""
        info = await self._base.mailbox(name)
        return None if info is None else self._mine(info)

    def _mine(self, info: MailboxInfo) -> MailboxInfo:
        if self._private_by(info.seen):
            return structs.replace(info, seen=SeenMode.PRIVATE, unseen=-1)
        return structs.replace(info, seen=SeenMode.SHARED)

    async def _read(self, mailbox: int) -> Marks:
        """The reader's marks, and whose \\Seen is. Raises NotFound."""
        marks = await self._base.marks.read(mailbox, self._reader, self._marks.get(mailbox))
        self._marks[mailbox] = marks
        return marks

    def _private_by(self, mode: SeenMode) -> bool:
        return self._private if mode is SeenMode.DEFAULT else mode is SeenMode.PRIVATE

    async def is_private(self, mailbox: int) -> bool:
        """Is \\Seen the reader's own there."""
        return self._private_by((await self._read(mailbox)).mode)

    # --- messages

    async def snapshot(self, mailbox: int) -> Snapshot:
        """As the reader sees it."""
        base = await self._base.snapshot(mailbox)  # before the marks: what it settles, they have
        marks = await self._read(mailbox)
        if not self._private_by(marks.mode):
            return base
        old = self._made.pop(mailbox, None)
        made = old if old is not None and old.base is base and old.marks is marks else _Overlaid(base, marks, old)
        self._made[mailbox] = made
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return made.snapshot

    async def store_flags(self, mailbox: int, uids: Sequence[int], change: FlagChange) -> StoreFlagsResult:
        """Other flags in the mailbox, \\Seen in the marks."""
        if not await self.is_private(mailbox):
            return await self._base.store_flags(mailbox, uids, change)
        replaces = change.op is FlagOp.REPLACE
        asks_seen = bool(change.may.flags & SEEN) and (replaces or bool(change.bits & SEEN))
        rest = replace(change, bits=change.bits & ~SEEN, may=Settable(change.may.flags & ~SEEN, change.may.keywords))
        refused: Sequence[int] = ()
        if change.unchanged_since is not None:
            refused = _newer(await self.snapshot(mailbox), uids, change.unchanged_since)
        wanted = [uid for uid in uids if uid not in set(refused)] if refused else uids
        done: StoreFlagsResult | None = None
        if not asks_seen or replaces or rest.bits or rest.keywords:
            done = await self._base.store_flags(mailbox, wanted, rest)
        if asks_seen:
            since = change.unchanged_since if done is None else None  # the first commit has made them newer
            applied = wanted if done is None else [uid for uid in wanted if uid not in set(done.modified)]
            seen = change.op is not FlagOp.REMOVE and bool(change.bits & SEEN)
            marked = await self._base.marks.mark(mailbox, self._reader, applied, seen, unchanged_since=since)
            done = marked if done is None else _both(done, marked)
        assert done is not None
        modified = tuple(sorted({*refused, *done.modified}))
        return StoreFlagsResult(await self.snapshot(mailbox), done.changed, modified, done.missing)

    async def append(self, mailbox: int, messages: Sequence[NewMessage], **options: Any) -> AppendResult:
        """Add messages; those with \\Seen are the reader's seen ones."""
        if not await self.is_private(mailbox):
            return await self._base.append(mailbox, messages, **options)
        plain = [structs.replace(message, flags=message.flags & ~SEEN) for message in messages]
        added = await self._base.append(mailbox, plain, **options)
        seen = [uid for uid, message in zip(added.uids, messages, strict=True) if message.flags & SEEN]
        if seen:
            await self._base.marks.mark(mailbox, self._reader, seen, True)
        return structs.replace(added, snapshot=await self.snapshot(mailbox))

    async def copy(
        self, source: int, uids: Sequence[int], target: int, *, may: Settable = EVERY_FLAG, **options: Any
    ) -> CopyResult:
        """Copy messages; \\Seen as the reader sees it in the source, where the target keeps it."""
        return await self._placed(self._base.copy, source, uids, target, may=may, **options)

    async def move(self, source: int, uids: Sequence[int], target: int, *, may: Settable = EVERY_FLAG) -> CopyResult:
        """Move messages, likewise."""
        return await self._placed(self._base.move, source, uids, target, may=may)

    async def _placed(
        self, place: Any, source: int, uids: Sequence[int], target: int, *, may: Settable, **options: Any
    ) -> CopyResult:
        from_private, to_private = await self.is_private(source), await self.is_private(target)
        if not from_private and not to_private:
            shared: CopyResult = await place(source, uids, target, may=may, **options)
            return shared
        seen = set(_seen(await self.snapshot(source), uids)) if may.flags & SEEN else set()
        rest = Settable(may.flags & ~SEEN, may.keywords)
        placed: CopyResult = await place(source, uids, target, may=rest, **options)
        marked = [new for old, new in zip(placed.source, placed.target, strict=True) if old in seen]
        if marked and to_private:
            await self._base.marks.mark(target, self._reader, marked, True)
        elif marked:
            await self._base.store_flags(target, marked, FlagChange(op=FlagOp.ADD, bits=SEEN))
        here, there = await self.snapshot(source), await self.snapshot(target)
        return CopyResult(placed.uidvalidity, placed.source, placed.target, here, there)

    async def expunge(self, mailbox: int, uids: Sequence[int] | None, *, only_deleted: bool = True) -> ExpungeResult:
        """Remove messages."""
        gone = await self._base.expunge(mailbox, uids, only_deleted=only_deleted)
        return ExpungeResult(gone.uids, await self.snapshot(mailbox))


def _both(one: StoreFlagsResult, other: StoreFlagsResult) -> StoreFlagsResult:
    changed = tuple(sorted({*one.changed, *other.changed}))
    return StoreFlagsResult(other.snapshot, changed, one.modified, one.missing)


def _newer(snapshot: Snapshot, uids: Sequence[int], modseq: int) -> list[int]:
    """Those of the messages that changed after a MODSEQ, for this reader (RFC 7162 3.1.3)."""
    return of_uids(snapshot, uids).changed_since(modseq).uids()


def _seen(snapshot: Snapshot, uids: Sequence[int]) -> list[int]:
    """Those of the messages that have \\Seen."""
    found: list[int] = []
    for _, page, begin, end in of_uids(snapshot, uids).runs():
        pairs = zip(page.uids[begin:end], page.flags[begin:end], strict=True)
        found.extend(uid for uid, octet in pairs if octet & SEEN)
    return found
