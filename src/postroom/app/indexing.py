"""The process that keeps the full-text indexes of all accounts, at low priority.

It hears from the workers which accounts changed, looks at every account once when it starts and once a day, and makes
an index anew when it is told to or finds it is no good. Accounts take turns, so a large one holds nobody up.
Owns: every index.db, by the lock run/index.lock; readers are in all processes.
On failure: told as an event, tried again at the next change. A kill loses the step under way, nothing else.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from postroom.app.index_hints import FILES, REBUILD
from postroom.app.plan import Plan
from postroom.app.runfolder import INDEX_LOCK, RunFolder
from postroom.index.extraction.service import Extractor
from postroom.index.keeper import Keeper
from postroom.observe.log import Events
from postroom.store.api import AccountStore, NotFound
from postroom.store.embedded import EmbeddedStore, StoreOptions
from postroom.values.clock import SystemClock

_NICE: Final = 15
_MESSAGE: Final = 64 * 1024
#: steps for one account before the next gets its turn
_STEPS: Final = 4
#: seconds from the start to the first look at every account, then from one to the next; and between two accounts then
FIRST_SECONDS: Final = 5.0
TURN_SECONDS: Final = 86_400.0
_BETWEEN: Final = 0.02
#: messages of an account are taken in together, for many at once cost less, and a search looks at what is not in the
#: index itself. Seconds they wait after the first of them: when there are files among them, which no search can look
#: into; when they are many by then; in any case. And so many do not wait
_FILES_WAIT: Final = 0.25
_MANY_WAIT: Final = 1.0
_FEW_WAIT: Final = 10.0
_MANY: Final = 256  # a search reads so many itself within some 50 ms
_ENOUGH: Final = 1024
#: opening an account costs as much as taking in two messages, and keeping it open some 110 KiB
_OPEN_ACCOUNTS: Final = 32
#: seconds between giving memory back, after work
_REST: Final = 10.0
#: seconds before an account that could not be done is tried again
_AGAIN: Final = 30.0


def keep_indexes(plan: Plan, ready: Callable[[], None]) -> int:
    """The process; it holds no listening socket. Gives its exit status."""
    plan.keep_only(None)
    with suppress(OSError):
        os.nice(_NICE)
    return asyncio.run(_keep(plan, ready))


async def _keep(plan: Plan, ready: Callable[[], None]) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    config = plan.config
    events = Events(config.log.level, config.log.file, process="index")
    lock = RunFolder(config.server.data).lock(INDEX_LOCK)
    store = EmbeddedStore(config.server.data, None, options=StoreOptions(open_accounts=_OPEN_ACCOUNTS))
    reader = Extractor() if config.index.attachments else None
    indexing = Indexing(store, [theirs for _, theirs in plan.indexing], events, reader)
    ready()
    while not lock.take():  # a command makes one anew
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await stop.wait()
                return 0
    work = asyncio.ensure_future(indexing.run())
    await stop.wait()
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    if reader is not None:
        await reader.close()
    await store.close()
    lock.release()
    return 0


def _give_memory_back() -> None:
    """Merging large segments takes tens of megabytes; the C library keeps what was freed unless it is asked."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(slots=True)
class _News:
    """What an account got since it was looked at. timer: until it is."""

    messages: int
    timer: asyncio.TimerHandle
    seen_to_be_few: bool = False


class Indexing:
    """Which accounts wait, and the work on them.

    Accounts with new mail come before those that are looked at for other reasons, and the text of messages before that
    of their attachments, which are read beside it: a file that takes long holds up other files only.
    """

    def __init__(
        self, store: EmbeddedStore, socks: Sequence[socket.socket], events: Events, reader: Extractor | None
    ) -> None:
        self._store = store
        self._socks = socks
        self._events = events
        self._reader = reader
        self._clock = SystemClock()
        self._news: dict[str, _News] = {}
        self._fresh: OrderedDict[str, None] = OrderedDict()  # accounts with new mail that waited long enough
        self._waiting: OrderedDict[str, bool] = OrderedDict()  # other accounts -> is it to be made anew
        self._with_files: OrderedDict[str, None] = OrderedDict()
        self._wake = asyncio.Event()
        self._wake_files = asyncio.Event()
        self._resting: asyncio.TimerHandle | None = None

    def want(self, account: str, *, rebuild: bool = False) -> None:
        """Put an account at the end of the line, unless it stands there."""
        self._waiting[account] = self._waiting.get(account, False) or rebuild
        self._wake.set()

    def news(self, account: str, messages: int, *, files: bool = False) -> None:
        """An account got so many messages, files: with files among them. None: its index is to be looked at."""
        if not messages:
            self.want(account)
            return
        loop = asyncio.get_running_loop()
        known = self._news.get(account)
        if known is None:
            known = self._news[account] = _News(0, loop.call_later(_MANY_WAIT, self._waited, account))
        known.messages += messages
        if known.messages >= _ENOUGH:
            self._ripe(account)
        elif files and known.timer.when() > loop.time() + _FILES_WAIT:
            known.timer.cancel()
            known.timer = loop.call_later(_FILES_WAIT, self._ripe, account)

    def _waited(self, account: str) -> None:
        known = self._news[account]
        if known.messages >= _MANY:
            self._ripe(account)
        else:
            known.timer = asyncio.get_running_loop().call_later(_FEW_WAIT - _MANY_WAIT, self._ripe, account)

    def _ripe(self, account: str) -> None:
        self._news.pop(account).timer.cancel()
        self._fresh[account] = None
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        for sock in self._socks:
            loop.add_reader(sock.fileno(), self._hear, sock)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_in())
            tasks.create_task(self._read_files())
            tasks.create_task(self._look_at_all())

    async def _take_in(self) -> None:
        while True:
            await self._wake.wait()
            while self._fresh or self._waiting:
                if self._fresh:
                    account, _ = self._fresh.popitem(last=False)
                    rebuild = self._waiting.pop(account, False)
                else:
                    account, rebuild = self._waiting.popitem(last=False)
                await self._serve(account, rebuild=rebuild)
                await asyncio.sleep(0)
            self._wake.clear()
            self._rest()

    async def _read_files(self) -> None:
        """The attachments of one account after the other, some at a time."""
        while True:
            await self._wake_files.wait()
            while self._with_files:
                account, _ = self._with_files.popitem(last=False)
                if await self._guarded(account, self._read_some(account)):
                    self._with_files[account] = None
            self._wake_files.clear()
            self._rest()

    def _rest(self) -> None:
        """Give memory back, but not after every message."""
        if self._resting is None:
            self._resting = asyncio.get_running_loop().call_later(_REST, self._rested)

    def _rested(self) -> None:
        self._resting = None
        _give_memory_back()

    async def _look_at_all(self) -> None:
        """Every account, in case a hint was lost: at the start and once a day, until cancelled."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            for account in await asyncio.to_thread(self._store.account_ids):
                self.want(account)
                await asyncio.sleep(_BETWEEN)
            await asyncio.sleep(TURN_SECONDS)

    def _hear(self, sock: socket.socket) -> None:
        with suppress(BlockingIOError):
            while message := sock.recv(_MESSAGE):
                for line in message.splitlines():
                    account, _, messages = line[1:].decode("ascii", "replace").partition(" ")
                    if line[:1] == REBUILD:
                        self.want(account, rebuild=True)
                    else:
                        self.news(account, int(messages) if messages.isdecimal() else 1, files=line[:1] == FILES)

    async def _serve(self, account: str, *, rebuild: bool) -> None:
        """A few steps for one account; back into the line if that was not all."""
        if await self._guarded(account, self._steps(account, rebuild=rebuild)):
            self.want(account)

    async def _steps(self, account: str, *, rebuild: bool) -> bool:
        """Is there more to do?"""
        kept = await self._store.account(account)
        if rebuild:
            kept.index.drop()
        keeper = self._keeper(kept)
        for number in range(_STEPS):
            more = await keeper.step(files=False)
            if keeper.files_wait and self._reader is not None:
                self._with_files[account] = None
                self._wake_files.set()
            if not more:
                return False
            if number and self._fresh:
                break
        return True

    async def _read_some(self, account: str) -> bool:
        return await self._keeper(await self._store.account(account)).read_files()

    def _keeper(self, kept: AccountStore) -> Keeper:
        return Keeper(kept, self._clock, self._turn, lambda why: self._dropped(kept.id, why), self._reader)

    async def _guarded(self, account: str, work: Coroutine[None, None, bool]) -> bool:
        """What the work says; when it fails the account is looked at once more later."""
        try:
            return await work
        except NotFound:
            pass
        except Exception as fault:  # whatever is wrong with one account is no fault of the others
            self._events("index.failed", account=account, reason=f"{type(fault).__name__}: {fault}")
            asyncio.get_running_loop().call_later(_AGAIN, self.want, account)
        return False

    async def _turn(self) -> None:
        """Hear what there is to hear, between two messages."""
        await asyncio.sleep(0)

    def _dropped(self, account: str, why: str) -> None:
        self._events("index.dropped", account=account, reason=why)
