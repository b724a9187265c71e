"""Traits are made by a reader that comes after delivery: here it is.

Each message gets its traits once, in the order of message ids, in slices between which the event loop has its turn.
Whoever needs them calls `complete` and waits for what is missing; usually nothing is, because the worker that added
mail has them made once the account has been quiet for a moment (Latecomers).
A message's thread is decided here, once: that of the nearest message it refers to whose thread is known; else a new
one, named after the first reference, so that replies which never saw each other meet all the same. Afterwards it stays
(RFC 8474 5.2), so two threads that turn out to be one are not joined.
Two workers may make the same traits at once; the store takes one of them.
On failure: StoreUnavailable. Damaged rows are made anew; threads of messages whose references are gone may change then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from postroom.mailbox.objectids import email_ids
from postroom.mailbox.slices import Breathing
from postroom.mailbox.trait_reading import Read, hash_of, read_traits
from postroom.mailbox.traits import THREAD, DamagedTraits, Shelf, Traits, merged, pack
from postroom.store.api import AccountStore, Origin, StoreError, StoreUnavailable, TraitRow, TraitSource, block_of

#: messages of one step; a step is one transaction
_STEP: Final = 256
#: messages read between two looks at the time
_BETWEEN: Final = 16
_GONE: Final = Read(0, 0, 0, 0, 0, (), (b"",) * 6, (b"",) * 5)


async def complete(store: AccountStore, pace: Breathing) -> None:
    """Make the traits of all messages that have none. Raises StoreUnavailable."""
    while await _step(store, pace):
        await pace.breathe()


async def shelf_of(
    store: AccountStore, messages: Sequence[int], pace: Breathing, *, keys: bool = False, texts: bool = False
) -> Shelf:
    """The traits of messages, made first if need be. Raises StoreUnavailable."""
    for _ in range(2):
        await complete(store, pace)
        try:
            shelf = Shelf(await store.traits.rows(messages, keys=keys, texts=texts), messages)
        except DamagedTraits:
            await store.traits.forget()
        else:
            return shelf
    raise StoreUnavailable("the traits of messages are damaged, and so are new ones")


async def origins_of(store: AccountStore, messages: Sequence[int], pace: Breathing) -> list[Origin]:
    """What copies of these messages in other accounts are called (RFC 8474 5). Raises StoreUnavailable."""
    shelf = await shelf_of(store, messages, pace)
    threads = shelf.numbers(THREAD)
    emails = email_ids(store.id, messages, await store.origins(messages))
    return [Origin(email.decode(), thread) for email, thread in zip(emails, threads, strict=True)]


async def _step(store: AccountStore, pace: Breathing) -> bool:
    """One slice; False when there is nothing to do."""
    first, after, sources = await store.traits.sources(_STEP)
    if first == after:
        return False
    read = {}
    for number, source in enumerate(sources, 1):
        read[source.message] = read_traits(source)
        if not number % _BETWEEN:
            await pace.breathe()
    threads = await _threads(store, sources, read)
    made = [
        Traits(each.sent, each.day, each.own, each.subject, threads.of.get(message, 0), *each[4:])
        for message in range(first, after)
        for each in (read.get(message, _GONE),)
    ]
    row = await _with_small_ones(store, pack(first, made))
    await store.traits.keep(row, first, threads.new)
    return True


async def _with_small_ones(store: AccountStore, row: TraitRow) -> TraitRow:
    """The row with those of its block before it that are not larger than what follows them (see store.traits)."""
    block = block_of(row.first)
    if row.first == block:
        return row
    before = await store.traits.rows([block], keys=True, texts=True)
    taken, size = [row], row.count
    full = row.first + row.count == block_of(row.first + row.count)
    for older in reversed([each for each in before if each.first < row.first]):
        if older.count > size and not full:
            break
        taken.insert(0, older)
        size += older.count
    try:
        return merged(taken)
    except DamagedTraits:
        await store.traits.forget()
        return row  # not taken any more: the ids before it have no traits now


class _Threads:
    """of: message to its thread; new: references to threads that are to be kept."""

    __slots__ = ("_known", "new", "of")

    def __init__(self, known: dict[int, int]) -> None:
        self._known = known
        self.of: dict[int, int] = {}
        self.new: dict[int, int] = {}

    def decide(self, message: int, read: Read, origin: Origin | None, unnamed: int) -> None:
        """Find the thread of a message. unnamed: its thread when it has neither message id nor references."""
        known = self._known
        references, own = read.references, read.own
        thread = origin.thread if origin else 0
        for reference in reversed(references):
            thread = thread or known.get(reference, 0)
        thread = thread or known.get(own, 0) or (references[0] if references else own or unnamed)
        self.of[message] = thread
        # a message without references is found by its own id, which names the thread; so most mail keeps nothing
        if own and thread != own:
            self._keep(own, thread)
        if references:
            self._keep(references[-1], thread)

    def _keep(self, reference: int, thread: int) -> None:
        if reference not in self._known:
            self._known[reference] = self.new[reference] = thread


async def _threads(store: AccountStore, sources: Sequence[TraitSource], read: dict[int, Read]) -> _Threads:
    asked = {reference for each in read.values() for reference in each.references}
    asked.update(each.own for each in read.values() if each.own)
    threads = _Threads(await store.traits.threads_of(sorted(asked)))
    messages = [source.message for source in sources]
    origins = await store.origins(messages)
    for message in messages:
        each = read[message]
        unnamed = 0 if each.own else hash_of(email_ids(store.id, [message], origins)[0])
        threads.decide(message, each, origins.get(message), unnamed)
    return threads


class Latecomers:
    """Accounts that got mail lately, each to be given its traits once it is quiet, or as soon as there is much of it.

    Owns: one task while there is something to do. note: costs two look-ups, so delivery may call it for each message.
    """

    __slots__ = ("_due", "_many", "_open", "_pace", "_quiet", "_task", "_wait", "_waiting")

    def __init__(
        self,
        pace: Callable[[], Breathing],
        wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
        quiet: float = 5.0,
    ) -> None:
        """quiet: seconds after the first message that waits."""
        self._pace = pace
        self._wait = wait
        self._quiet = quiet
        self._due: dict[str, AccountStore] = {}
        self._waiting: dict[str, int] = {}  # messages of each
        self._many = asyncio.Event()  # some have a step's worth
        self._open = True
        self._task: asyncio.Task[None] | None = None

    def note(self, store: AccountStore, count: int = 1) -> None:
        """So many messages are being added to the account."""
        self._due[store.id] = store
        waiting = self._waiting[store.id] = self._waiting.get(store.id, 0) + count
        if waiting >= _STEP:
            self._many.set()
        if self._task is None and self._open:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        quiet: asyncio.Future[object] | None = None
        many = asyncio.ensure_future(self._many.wait())
        try:
            while self._due:
                if quiet is None:
                    quiet = asyncio.ensure_future(self._wait(self._quiet))
                await asyncio.wait((quiet, many), return_when=asyncio.FIRST_COMPLETED)
                if quiet.done():
                    quiet, chosen = None, list(self._due)
                else:
                    chosen = [key for key, count in self._waiting.items() if count >= _STEP]
                self._many.clear()
                if many.done():
                    many = asyncio.ensure_future(self._many.wait())
                for key in chosen:
                    await self._give(key)
        finally:
            self._task = None
            many.cancel()
            if quiet is not None:
                quiet.cancel()

    async def _give(self, key: str) -> None:
        store = self._due.pop(key)
        self._waiting.pop(key, None)
        with suppress(StoreError):  # gone or busy: made when somebody asks
            await complete(store, self._pace())
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop."""
        self._open = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
