"""Keeping an account's index: new messages in, messages that are gone out, small segments into larger ones.

The change feed only says when to look; what is new is told by message ids, which ascend in the order of commits. A step
takes a batch of messages and is one change of the index, so a kill at any moment leaves an index that is behind and
goes on where it stopped. One process keeps an index.
Trusts: nothing in messages. An index that is damaged, of another form, or of other messages (mail restored from a
backup) is thrown away and made anew.
On failure: StoreUnavailable; a message that cannot be read is marked as one to be looked at itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Protocol

from postroom.index.documents import Document, document, names_of
from postroom.index.extraction.kinds import attachments, decoded, may_have_attachments
from postroom.index.extraction.service import NotRead
from postroom.index.lookup import FORM, pack_texts
from postroom.index.segment import BLOCK_BITS, BadSegment, Draft, Field, Segment, Union
from postroom.index.terms import terms_of
from postroom.message.parts import Parts
from postroom.store.api import (
    AccountStore,
    IndexChange,
    IndexDamaged,
    IndexState,
    NotFound,
    SegmentRow,
    StoreUnavailable,
)
from postroom.values.clock import Clock

#: messages, and terms of them, in one step
BATCH: Final = 1024
_BATCH_TERMS: Final = 1_000_000
#: messages between two pauses
_BREATH: Final = 16
#: attachments of one message that are read, and how often one is tried that ended with the process
_MOST_FILES: Final = 50
_TRIES: Final = 3
#: messages whose attachments are read in one step, and seconds after which it ends in any case
_FILES_AT_ONCE: Final = 32
_FILE_SECONDS: Final = 0.5
#: so many segments of about one size are merged to one, and none larger than this is touched again
_FAN: Final = 8
_LARGEST: Final = 16_384
#: seconds between two looks for messages that are gone, and the share of a segment that must be
_SWEEP_SECONDS: Final = 86_400.0
_MANY_GONE: Final = 16


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an index is. until: message id it knows everything up to; newest: id of the newest message."""

    until: int
    newest: int


async def no_pause() -> None:
    """Between two messages there is nothing else to do."""


class Reader(Protocol):
    """Takes text out of files."""

    async def text(self, kind: str, data: bytes) -> str:
        """The text of a file of this kind (extraction.kinds). Raises NotRead."""
        ...


def untold(_why: str) -> None:
    """Nobody asks why an index was thrown away."""


class Keeper:
    """The index of one account."""

    def __init__(
        self,
        account: AccountStore,
        clock: Clock,
        pause: Callable[[], Awaitable[None]] = no_pause,
        dropped: Callable[[str], None] = untold,
        reader: Reader | None = None,
    ) -> None:
        """pause: awaited every few messages, so that whoever shares the loop gets a turn.

        dropped: told why an index was thrown away, to be made anew; reader: of attachments, None leaves them alone.
        """
        self._account = account
        self._index = account.index
        self._clock = clock
        self._pause = pause
        self._dropped = dropped
        self._reader = reader
        self._all_taken = False
        self._written: IndexState | None = None
        self.files_wait = False  # after a step: are there attachments to be read

    async def state(self) -> IndexState:
        """What the index holds; one that cannot be used is thrown away first. Raises StoreUnavailable."""
        try:
            with self._index.read() as reading:
                state = reading.state
        except IndexDamaged as fault:
            return self._drop(str(fault))
        if state == IndexState():
            return state
        if state.form != FORM:
            return self._drop("it is of another version")
        if state.until and not await self._fits(state):
            return self._drop("it is of other messages")
        return state

    def _drop(self, why: str) -> IndexState:
        self._written, self._all_taken = None, False
        self._index.drop()
        self._dropped(why)
        return IndexState()

    async def _fits(self, state: IndexState) -> bool:
        """Is this the index of these messages? After power loss or a restore, ids may have been given again."""
        last = await self._account.rendered([state.until])
        if last:
            return last[0].guid == state.witness
        return bool(await self._account.messages(state.until, 1))  # swept, and more came after it

    async def step(self, *, files: bool = True) -> bool:
        """Take in the next messages, or do what else there is to do; was there anything? Raises StoreUnavailable.

        What comes after all messages were taken in once is left to the next keeper, which takes in several at once.
        files: attachments too; else somebody calls read_files.
        """
        # after the last messages were taken in, what this keeper wrote is what there is
        state = self._written if self._all_taken and self._written is not None else await self.state()
        self.files_wait = bool(state.waiting)
        try:
            return (
                await self._take(state)
                or (files and await self._read_files(state))
                or self._merge(state)
                or await self._sweep(state)
            )
        except (IndexDamaged, BadSegment) as fault:
            self._drop(str(fault))
            return True

    async def read_files(self) -> bool:
        """Take the text out of the attachments of some messages, as many as half a second lets; are there more?

        Other steps may go on meanwhile. Raises StoreUnavailable.
        """
        state = await self.state()
        try:
            return await self._read_files(state) and self.files_wait
        except IndexDamaged as fault:
            self._drop(str(fault))
            return False

    async def _take(self, state: IndexState) -> bool:
        if self._all_taken:
            return False
        ids = await self._account.messages(state.until, BATCH)
        if not ids:
            return False
        block = ids[0] >> BLOCK_BITS
        some = [message for message in ids if message >> BLOCK_BITS == block]
        draft = Draft(block)
        terms = 0
        last = some[0]
        waits: dict[int, int] = {}
        for number, (message, parts) in enumerate(
            zip(some, await self._account.columns(some, "parts"), strict=True), 1
        ):
            found, has_files = await self._document(message, parts)
            draft.add(message, found.terms, whole=found.whole)
            if has_files:
                waits[message] = 0
            terms += sum(map(len, found.terms.values()))
            last = message
            if not number % _BREATH:
                await self._pause()
            if terms > _BATCH_TERMS:
                break
        rendered = await self._account.rendered([last])
        self._change(
            IndexChange(
                add=[(block, len(draft.messages), draft.pack())],
                until=last,
                witness=rendered[0].guid if rendered else "",
                form=FORM,
                swept=state.swept or self._clock.now(),
                waits=waits,
            )
        )
        self._all_taken = len(ids) < BATCH and last == ids[-1]
        return True

    def _change(self, change: IndexChange) -> None:
        self._written = self._index.change(change)
        self.files_wait = bool(self._written.waiting)

    async def _document(self, message: int, parts: bytes) -> tuple[Document, bool]:
        """The message's terms, and whether it may have attachments to read."""
        try:
            content = await self._account.content(message)
            unpacked = Parts.unpack(parts)
            made = document(content.read, unpacked)
            if self._reader is None or (len(unpacked) == 1 and unpacked.root.type == "text"):
                return made, False
            return made, may_have_attachments(unpacked, made.names)
        except (NotFound, OSError, ValueError, StoreUnavailable):
            return Document(whole=False), False

    async def _read_files(self, state: IndexState) -> bool:
        """The newest of the messages that were tried least come first."""
        if self._reader is None or not state.waiting:
            return False
        waiting = state.waiting
        some = sorted(waiting, key=lambda message: (waiting[message], -message))[:_FILES_AT_ONCE]
        drafts: dict[int, Draft] = {}
        texts: dict[int, bytes] = {}
        done: list[int] = []
        waits: dict[int, int] = {}
        until = self._clock.monotonic() + _FILE_SECONDS
        for message in some:
            found, again = await self._texts(self._reader, message)
            done.append(message)
            tries = waiting[message] + 1
            if again and tries < _TRIES:
                waits[message] = tries
            if found:
                texts[message] = pack_texts(found)
                draft = drafts.setdefault(message >> BLOCK_BITS, Draft(message >> BLOCK_BITS))
                draft.add(message, {Field.ATTACHED: terms_of("\n".join(text for _, text in found))})
            if self._clock.monotonic() >= until:
                break
        add = [(draft.block, len(draft.messages), draft.pack()) for draft in drafts.values()]
        self._change(IndexChange(waits=waits, done=done, texts=texts, add=add))
        return True

    async def _texts(self, reader: Reader, message: int) -> tuple[list[tuple[str, str]], bool]:
        """(name, text) of each attachment that could be read, and whether another try makes sense."""
        texts: list[tuple[str, str]] = []
        again = False
        try:
            content = await self._account.content(message)
            (packed,) = await self._account.columns([message], "parts")
            parts = Parts.unpack(packed)
            for found in attachments(content.read, parts, names_of(content.read, parts)):
                if len(texts) >= _MOST_FILES:
                    break
                try:
                    text = await reader.text(found.kind, decoded(content.read, found.part))
                except NotRead as fault:
                    again = again or fault.again
                    continue
                if text:
                    texts.append((found.name, text))
        except (NotFound, OSError, ValueError, StoreUnavailable):
            pass
        return texts, again and not texts

    def _merge(self, state: IndexState) -> bool:
        """Make one of many small segments, if there are."""
        for _, group in groupby(sorted(state.segments, key=_tier), key=_tier):
            rows = sorted(group, key=lambda row: row.id)[:_FAN]
            if len(rows) == _FAN and sum(row.messages for row in rows) <= _LARGEST:
                self._replace(rows)
                return True
        return False

    def _replace(self, rows: Sequence[SegmentRow], gone: frozenset[int] = frozenset()) -> None:
        """One segment in place of several of one block, without messages that are gone."""
        block = rows[0].block
        union = Union(block)
        lows = {message & (1 << BLOCK_BITS) - 1 for message in gone if message >> BLOCK_BITS == block}
        with self._index.read() as reading:
            for row in rows:
                union.add(Segment(reading.segment(row)), lows)
        add = [(block, len(union.messages), union.pack())] if union.messages else []
        self._change(IndexChange(add=add, remove=[row.id for row in rows]))

    async def _sweep(self, state: IndexState) -> bool:
        """Once a day: messages that are gone leave the segments of which they are a notable part."""
        now = self._clock.now()
        if not state.segments or now < state.swept + _SWEEP_SECONDS:
            return False
        kept = frozenset(await self._account.messages(0, 1 << 62))
        gone_texts: list[int] = []
        for row in state.segments:
            with self._index.read() as reading:
                messages = Segment(reading.segment(row)).messages
            base = row.block << BLOCK_BITS
            gone = frozenset(base + low for low in messages) - kept
            gone_texts += gone
            if len(gone) * _MANY_GONE >= len(messages):
                self._replace([row], gone)
            await self._pause()
        self._change(IndexChange(swept=now, forget=gone_texts))
        return True


def _tier(row: SegmentRow) -> tuple[int, int]:
    """Segments of one tier are merged with each other."""
    tier = 0
    size = _FAN
    while row.messages >= size:
        tier, size = tier + 1, size * _FAN
    return row.block, tier
