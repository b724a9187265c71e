"""An account as a reader sees it, compared with a plain model after every random step."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.mailbox.reader import ReaderStore
from postroom.store.api import FlagChange, FlagOp, Page, SeenMode, Snapshot
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock, message
from postroom.values.flags import FLAGGED, SEEN

some_uids = st.lists(st.integers(1, 12), max_size=12, unique=True).map(sorted)
changes = st.builds(
    FlagChange,
    op=st.sampled_from(FlagOp),
    bits=st.sampled_from((0, SEEN, FLAGGED, SEEN | FLAGGED)),
    unchanged_since=st.none() | st.integers(0, 40),
)
who = st.sampled_from(("owner", "reader"))
box = st.sampled_from(("INBOX", "Trash"))
step = st.one_of(
    st.tuples(st.just("append"), who, box, st.lists(st.sampled_from((0, SEEN, FLAGGED)), min_size=1, max_size=4)),
    st.tuples(st.just("store"), who, box, some_uids, changes),
    st.tuples(st.just("copy"), who, box, some_uids, box),
    st.tuples(st.just("move"), who, box, some_uids, box),
    st.tuples(st.just("expunge"), who, box, some_uids),
    st.tuples(st.just("mode"), box, st.sampled_from(SeenMode)),
)


@dataclass
class Message:
    """flags: the mailbox's; seen: by the reader; modseqs of the last changes of both."""

    uid: int
    flags: int
    seen: bool = False
    modseq: int = 0
    seen_modseq: int = 0


@dataclass
class Box:
    mode: SeenMode = SeenMode.DEFAULT
    messages: list[Message] = field(default_factory=list)

    @property
    def private(self) -> bool:
        return self.mode is not SeenMode.SHARED

    def shown(self, message: Message) -> tuple[int, int, int]:
        """As the reader should see it."""
        if not self.private:
            return message.uid, message.flags, message.modseq
        flags = message.flags & ~SEEN | (SEEN if message.seen else 0)
        return message.uid, flags, max(message.modseq, message.seen_modseq)


def rows(snapshot: Snapshot) -> list[tuple[int, int, int]]:
    return [row for page in snapshot.pages for row in columns(page)]


def columns(page: Page) -> list[tuple[int, int, int]]:
    return list(zip(page.uids, page.flags, page.modseqs, strict=True))


class Pair:
    """The reader's store, the owner's, and the model of both."""

    def __init__(self) -> None:
        self.store = MemoryStore(clock=SettableClock())
        self.model = {"INBOX": Box(), "Trash": Box()}
        self.ids: dict[str, int] = {}

    async def start(self) -> None:
        await self.store.create_account("acc", [("INBOX", ""), ("Trash", "")])
        self.owner = await self.store.account("acc")
        self.reader = ReaderStore(self.owner, "ben", private=True)
        self.ids = {info.name: info.id for info in await self.owner.mailboxes()}

    async def play(self, taken: tuple) -> None:
        if taken[0] == "mode":
            _, name, mode = taken
            await self.owner.marks.set_mode(self.ids[name], mode)
            self.model[name].mode = mode
            return
        store = self.owner if taken[1] == "owner" else self.reader
        await getattr(self, f"_{taken[0]}")(store, *taken[2:])

    async def _append(self, store: ReaderStore, name: str, flags: list[int]) -> None:
        added = await store.append(self.ids[name], [message(flags=bits) for bits in flags])
        box = self.model[name]
        for uid, bits in zip(added.uids, flags, strict=True):
            mine = store is self.reader and box.private
            box.messages.append(Message(uid, bits & ~SEEN if mine else bits, mine and bool(bits & SEEN)))

    async def _store(self, store: ReaderStore, name: str, uids: list[int], change: FlagChange) -> None:
        box = self.model[name]
        shown = {one.uid: box.shown(one) if store is self.reader else (0, 0, one.modseq) for one in box.messages}
        done = await store.store_flags(self.ids[name], uids, change)
        since = change.unchanged_since
        refused = [uid for uid in uids if uid in shown and since is not None and shown[uid][2] > since]
        assert list(done.modified) == refused
        assert list(done.missing) == [uid for uid in uids if uid not in shown]
        for one in box.messages:
            if one.uid in uids and one.uid not in refused:
                self._apply(box, one, change, mine=store is self.reader and box.private)

    def _apply(self, box: Box, one: Message, change: FlagChange, *, mine: bool) -> None:
        before = one.flags & ~SEEN | (SEEN if one.seen else 0) if mine else one.flags
        if change.op is FlagOp.ADD:
            after = before | change.bits
        elif change.op is FlagOp.REMOVE:
            after = before & ~change.bits
        else:
            after = change.bits
        if mine:
            one.seen = bool(after & SEEN)
            after = after & ~SEEN | one.flags & SEEN
        one.flags = after

    async def _copy(self, store: ReaderStore, name: str, uids: list[int], target: str) -> None:
        self._placed(store, name, target, await store.copy(self.ids[name], uids, self.ids[target]))

    async def _move(self, store: ReaderStore, name: str, uids: list[int], target: str) -> None:
        done = await store.move(self.ids[name], uids, self.ids[target])
        self._placed(store, name, target, done)
        box = self.model[name]
        box.messages = [one for one in box.messages if one.uid not in done.source]

    def _placed(self, store: ReaderStore, name: str, target: str, done: object) -> None:
        source, to = self.model[name], self.model[target]
        known = {one.uid: one for one in source.messages}
        for old, new in zip(done.source, done.target, strict=True):  # type: ignore[attr-defined]
            one = known[old]
            if store is self.owner or not (source.private or to.private):
                to.messages.append(Message(new, one.flags))
                continue
            seen = bool(source.shown(one)[1] & SEEN)
            flags = one.flags & ~SEEN | (SEEN if seen and not to.private else 0)
            to.messages.append(Message(new, flags, seen and to.private))

    async def _expunge(self, store: ReaderStore, name: str, uids: list[int]) -> None:
        await store.expunge(self.ids[name], uids, only_deleted=False)
        box = self.model[name]
        box.messages = [one for one in box.messages if one.uid not in uids]

    async def compare(self) -> None:
        for name, box in self.model.items():
            marks = await self.owner.marks.read(self.ids[name], "ben")
            base = {uid: modseq for uid, _, modseq in rows(await self.owner.snapshot(self.ids[name]))}
            values = {
                uid: value
                for chunk in marks.chunks.values()
                for uid, value in zip(chunk.uids, chunk.values, strict=True)
            }
            for one in box.messages:
                one.modseq, one.seen_modseq = base[one.uid], values.get(one.uid, 0) >> 1
            snapshot = await self.reader.snapshot(self.ids[name])
            assert rows(snapshot) == [box.shown(one) for one in box.messages]
            assert all(modseq <= snapshot.modseq for _, _, modseq in rows(snapshot))
            again = await self.reader.snapshot(self.ids[name])
            assert all(one is other for one, other in zip(snapshot.pages, again.pages, strict=True))
            info = await self.reader.mailbox(name)
            assert info.unseen == (-1 if box.private else sum(not one.flags & SEEN for one in box.messages))


@settings(max_examples=100, deadline=None)
@given(st.lists(step, min_size=2, max_size=25))
def test_a_reader_sees_what_the_model_says(steps: list[tuple]) -> None:
    async def play() -> None:
        pair = Pair()
        await pair.start()
        for taken in steps:
            await pair.play(taken)
            await pair.compare()

    asyncio.run(play())
