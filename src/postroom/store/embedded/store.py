"""The embedded store: SQLite files and folders below one data folder. See docs/store.md.

Owns: the committer threads, the pool of open accounts, and the lock of its queue slot. One instance per process, made
after forking; everything runs on that process's event loop, and what syncs runs in the committer threads.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from zlib import crc32

import apsw

from postroom.observe.meters import Histogram
from postroom.store.api.errors import NotFound, StoreError, StoreUnavailable
from postroom.store.api.feed import Feed
from postroom.store.api.store import Finding, Outline, Progress, unheard
from postroom.store.embedded.account import EmbeddedAccount, Pool
from postroom.store.embedded.account_file import AccountFile, Surroundings
from postroom.store.embedded.account_folder import make_account_folder, remove_account_folder
from postroom.store.embedded.account_folders import Provision
from postroom.store.embedded.alarms import EmbeddedAlarms
from postroom.store.embedded.audit import EmbeddedAudit
from postroom.store.embedded.care import Caretaker
from postroom.store.embedded.committer import Committer
from postroom.store.embedded.database import OpenOptions, unavailable
from postroom.store.embedded.directory import EmbeddedDirectory
from postroom.store.embedded.disk import Disk, OsDisk
from postroom.store.embedded.events import EmbeddedEvents
from postroom.store.embedded.hooks import EmbeddedHooks
from postroom.store.embedded.layout import AccountLayout, Layout
from postroom.store.embedded.limits import EmbeddedLimits
from postroom.store.embedded.locks import FileLock
from postroom.store.embedded.outlines import Outlines
from postroom.store.embedded.quarantine import EmbeddedQuarantine
from postroom.store.embedded.queue import EmbeddedQueue
from postroom.store.embedded.reports import EmbeddedReports
from postroom.store.embedded.spool import FileSpool, sweep_spools
from postroom.store.embedded.training import EmbeddedTraining
from postroom.store.embedded.transport import EmbeddedTransport
from postroom.store.embedded.unsettled import Unsettled, this_boot
from postroom.store.embedded.usage import EmbeddedUsage
from postroom.values.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """How an embedded store is set up.

    open_accounts: accounts whose files stay open in this process; mail_committers: threads that commit accounts, each
    account always by the same one; stray_seconds: how long a file that no row names may belong to a transaction under
    way; boot: the run of the machine (unsettled.this_boot).
    """

    open_accounts: int = 64
    mail_committers: int = 1
    stray_seconds: float = 3600.0
    boot: str = field(default_factory=this_boot)
    database: OpenOptions = field(default_factory=OpenOptions)


class EmbeddedStore:
    """See postroom.store.api.Store.

    data: the folder; slot: the queue slot this process owns, None for a command that only looks and administers.
    Raises StoreError when the slot is owned by a running process, StoreUnavailable when files cannot be opened.
    """

    def __init__(
        self,
        data: str | os.PathLike[str],
        slot: int | None = 0,
        *,
        options: StoreOptions | None = None,
        clock: Clock | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._options = options or StoreOptions()
        self._disk = disk or OsDisk()
        self._layout = Layout(os.fspath(data))
        self._feed = Feed()
        self._unsettled = Unsettled(self._disk, self._options.boot)
        clock = clock or SystemClock()
        self._around = Surroundings(self._options.database, self._disk, clock, self._feed, self._unsettled)
        self._spools = 0
        self._lock: FileLock | None = None
        database = self._options.database
        try:
            self._layout.make()
            self._own_slot(slot)
            self._mail_committers = [Committer("postroom-mail") for _ in range(self._options.mail_committers)]
            self._queue_committer = Committer("postroom-queue")
            self._limits_committer = Committer("postroom-limits")
            self._directory = EmbeddedDirectory(self._layout, database, self._mail_committers[0], self._around.clock)
            self._queue = EmbeddedQueue(self._layout, slot, database, self._disk, self._queue_committer, self._settle)
            self._limits = EmbeddedLimits(self._layout, database, self._limits_committer, self._around.clock)
            self._transport = EmbeddedTransport(self._limits)
            self._usage = EmbeddedUsage(self._limits, self._around.clock)
            self._audit = EmbeddedAudit(self._layout)
            self._alarms = EmbeddedAlarms(self._layout, database)
            self._events = EmbeddedEvents(self._layout, slot, database, self._around.clock)
            self._hooks = EmbeddedHooks(self._layout, database)
            self._training = EmbeddedTraining(self._layout, database)
            self._reports = EmbeddedReports(self._layout, database)
            self._quarantine = EmbeddedQuarantine(self._layout, database, self._disk, self._options.stray_seconds)
        except (apsw.Error, OSError) as fault:
            self._give_up_slot()
            raise unavailable(fault) from fault
        self._care = Caretaker(self._layout, self._around, self._mail_committers[0], self._options.stray_seconds)
        self._pool = Pool(self._options.open_accounts)
        self._outlines = Outlines(database, self._around.clock)
        self._accounts: weakref.WeakValueDictionary[str, EmbeddedAccount] = weakref.WeakValueDictionary()

    def _own_slot(self, slot: int | None) -> None:
        """Take the slot's lock, then clear away what its last owner left half done."""
        self._spool_prefix = f"x{os.getpid()}-" if slot is None else f"{slot}-"
        if slot is None:
            return
        self._lock = FileLock(self._layout.slot_lock(slot))
        if not self._lock.take(f"slot {slot}", 0.0, 0.0):
            raise StoreError(f"another process owns queue slot {slot}")
        sweep_spools(self._disk, self._layout.queue_tmp, self._spool_prefix)

    def _give_up_slot(self) -> None:
        if self._lock is not None:
            self._lock.release()

    @property
    def directory(self) -> EmbeddedDirectory:
        return self._directory

    @property
    def queue(self) -> EmbeddedQueue:
        return self._queue

    @property
    def limits(self) -> EmbeddedLimits:
        return self._limits

    @property
    def transport(self) -> EmbeddedTransport:
        return self._transport

    @property
    def usage(self) -> EmbeddedUsage:
        return self._usage

    @property
    def alarms(self) -> EmbeddedAlarms:
        return self._alarms

    @property
    def audit(self) -> EmbeddedAudit:
        return self._audit

    @property
    def events(self) -> EmbeddedEvents:
        return self._events

    @property
    def hooks(self) -> EmbeddedHooks:
        return self._hooks

    @property
    def training(self) -> EmbeddedTraining:
        return self._training

    @property
    def reports(self) -> EmbeddedReports:
        return self._reports

    @property
    def quarantine(self) -> EmbeddedQuarantine:
        return self._quarantine

    def commit_times(self) -> dict[str, Histogram]:
        """How long the commits of this process took, by what they wrote."""
        mail = Histogram()
        for committer in self._mail_committers:
            mail = mail.plus(committer.times)
        return {"mail": mail, "queue": self._queue_committer.times}

    @property
    def feed(self) -> Feed:
        return self._feed

    async def account(self, account: str) -> EmbeddedAccount:
        found = self._accounts.get(account)
        if found is None:
            found = self._make(account)
            found.must_exist()
            await found.skip_lost()
            found = self._accounts.setdefault(account, found)
        return found

    async def outline(self, account: str) -> Outline:
        return self._outlines.of(self._account_layout(account))

    def account_ids(self) -> list[str]:
        """Every account that has a folder. Reads folders: call it in a thread."""
        return list(self._layout.account_ids())

    def _make(self, account: str) -> EmbeddedAccount:
        file = AccountFile(account, self._account_layout(account), self._around)
        committer = self._mail_committers[crc32(account.encode()) % len(self._mail_committers)]
        return EmbeddedAccount(file, committer, self._pool)

    def _account_layout(self, account: str) -> AccountLayout:
        try:
            return self._layout.account(account)
        except ValueError as fault:
            raise NotFound(str(fault)) from fault

    async def create_account(self, account: str, mailboxes: list[tuple[str, str]]) -> None:
        layout = self._account_layout(account)
        try:
            database = self._options.database
            await asyncio.to_thread(make_account_folder, self._layout, layout, self._disk, database)
        except (apsw.Error, OSError) as fault:
            raise unavailable(fault) from fault
        opened = await self.account(account)
        await opened.provision(Provision(tuple(mailboxes)))

    async def remove_account(self, account: str) -> None:
        layout = self._account_layout(account)
        opened = self._accounts.pop(account, None)
        if opened is not None:
            await opened.shut()
        try:
            await asyncio.to_thread(remove_account_folder, layout, self._disk)
        except OSError as fault:
            raise unavailable(fault) from fault
        await self._limits.forget(account)
        await self._quarantine.forget(account)

    def spool(self) -> FileSpool:
        self._spools += 1
        return FileSpool(self._disk, f"{self._layout.queue_tmp}/{self._spool_prefix}{self._spools}")

    async def sweep(self, now: float, keep_expunged: float) -> int:
        await self._limits.sweep(now)
        await self._transport.sweep(now)
        return await self._care.sweep(now, keep_expunged)

    def check(self, account: str | None = None, progress: Progress = unheard) -> AsyncIterator[Finding]:
        return self._care.check(account, self._directory, progress)

    async def repair(self, account: str | None = None) -> None:
        await self._care.repair(account, self._directory)

    async def adopt(self, workers: int) -> int:
        """Take over the queue of slots from `workers` on, left by a time with more workers; how many entries."""
        return await self._care.adopt(self._queue, workers)

    async def _settle(self) -> None:
        """Make durable what was delivered; on the thread that delivers, so that accepting waits for nothing."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def chore() -> None:
            try:
                self._unsettled.settle()
            except StoreUnavailable as fault:
                loop.call_soon_threadsafe(done.set_exception, fault)
            else:
                loop.call_soon_threadsafe(done.set_result, None)

        self._mail_committers[0].run_between(chore)
        await done

    async def close(self) -> None:
        await self._events.close()
        await self._alarms.flush()
        for committer in self._mail_committers:
            await committer.close()
        await self._queue.flush()
        await self._queue_committer.close()
        await self._limits_committer.close()
        for account in list(self._accounts.values()):
            account.close_files()
        self._pool.close()
        self._directory.close()
        self._queue.close()
        self._limits.close()
        self._training.close()
        self._give_up_slot()
