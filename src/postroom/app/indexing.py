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
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from postroom.app.index_hints import REBUILD
from postroom.app.plan import Plan
from postroom.app.runfolder import INDEX_LOCK, RunFolder
from postroom.index.extraction.service import Extractor
from postroom.index.keeper import Keeper
from postroom.observe.log import Events
from postroom.store.api import NotFound, StoreError
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
#: seconds an account waits after its first news: several messages are taken in at once, and searches look at what is
#: not in the index themselves; and so many news end the waiting
_GATHER: Final = 10.0
_MANY: Final = 100
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
    store = EmbeddedStore(config.server.data, None, options=StoreOptions(open_accounts=8))
    reader = Extractor() if config.index.attachments else None
    indexing = Indexing(store, [theirs for _, theirs in plan.indexing], events, reader)
    ready()
    while not lock.take():  # a command makes one anew
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await stop.wait()
                return 0
    work = asyncio.gather(indexing.run(), indexing.look_at_all())
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


class Indexing:
    """Which accounts wait, and the work on them."""

    def __init__(
        self, store: EmbeddedStore, socks: Sequence[socket.socket], events: Events, reader: Extractor | None
    ) -> None:
        self._store = store
        self._socks = socks
        self._events = events
        self._reader = reader
        self._clock = SystemClock()
        self._waiting: OrderedDict[str, bool] = OrderedDict()  # account -> is it to be made anew
        self._gathering: dict[str, int] = {}  # accounts that had news lately, and how many
        self._wake = asyncio.Event()

    def want(self, account: str, *, rebuild: bool = False) -> None:
        """Put an account at the end of the line, unless it stands there."""
        self._waiting[account] = self._waiting.get(account, False) or rebuild
        self._wake.set()

    def news(self, account: str, times: int) -> None:
        """An account has changed so often: it is wanted soon."""
        before = self._gathering.get(account, 0)
        self._gathering[account] = before + times
        if not before:
            asyncio.get_running_loop().call_later(_GATHER, self._gathered, account)
        if (before + times) // _MANY > before // _MANY:
            self.want(account)

    def _gathered(self, account: str) -> None:
        del self._gathering[account]
        self.want(account)

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        for sock in self._socks:
            loop.add_reader(sock.fileno(), self._hear, sock)
        while True:
            await self._wake.wait()
            while self._waiting:
                account, rebuild = self._waiting.popitem(last=False)
                await self._serve(account, rebuild=rebuild)
                await asyncio.sleep(0)
            self._wake.clear()
            _give_memory_back()

    async def look_at_all(self) -> None:
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
                    account, _, times = line[1:].decode("ascii", "replace").partition(" ")
                    if line[:1] == REBUILD:
                        self.want(account, rebuild=True)
                    else:
                        self.news(account, int(times) if times.isdecimal() else 1)

    async def _serve(self, account: str, *, rebuild: bool) -> None:
        """A few steps for one account; back into the line if that was not all."""
        try:
            kept = await self._store.account(account)
            if rebuild:
                kept.index.drop()
            keeper = Keeper(kept, self._clock, self._turn, lambda why: self._dropped(account, why), self._reader)
            for _ in range(_STEPS):
                if not await keeper.step():
                    return
            self.want(account)
        except NotFound:
            return
        except (StoreError, OSError, ValueError) as fault:
            self._events("index.failed", account=account, reason=str(fault))
            asyncio.get_running_loop().call_later(_AGAIN, self.want, account)

    async def _turn(self) -> None:
        """Hear what there is to hear, between two messages."""
        await asyncio.sleep(0)

    def _dropped(self, account: str, why: str) -> None:
        self._events("index.dropped", account=account, reason=why)
