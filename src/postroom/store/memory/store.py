"""The store in memory, for tests: nothing survives, everything else is as promised."""

from __future__ import annotations

from collections.abc import AsyncIterator

from postroom.store.api import Feed, Finding, NotFound, Outline
from postroom.store.api.store import Progress, unheard
from postroom.store.memory.account import MemoryAccount
from postroom.store.memory.alarms import MemoryAlarms
from postroom.store.memory.audit import MemoryAudit
from postroom.store.memory.directory import MemoryDirectory
from postroom.store.memory.events import MemoryEvents
from postroom.store.memory.hooks import MemoryHooks
from postroom.store.memory.limits import MemoryLimits
from postroom.store.memory.quarantine import MemoryQuarantine
from postroom.store.memory.queue import MemoryQueue
from postroom.store.memory.reports import MemoryReports
from postroom.store.memory.training import MemoryTraining
from postroom.store.memory.transport import MemoryTransport
from postroom.store.memory.usage import MemoryUsage
from postroom.values.clock import Clock, SystemClock
from postroom.values.content import Content


class MemorySpool:
    """See postroom.store.api.Spool; never touches a disk."""

    def __init__(self) -> None:
        self._octets = bytearray()

    @property
    def size(self) -> int:
        return len(self._octets)

    def write(self, data: bytes) -> None:
        self._octets += data

    async def seal(self) -> Content:
        return Content.of(bytes(self._octets))

    def close(self) -> None:
        """Nothing is held."""


class MemoryStore:
    """See postroom.store.api.Store."""

    def __init__(self, slot: int = 0, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._feed = Feed()
        self._directory = MemoryDirectory()
        self._queue = MemoryQueue(slot)
        self._limits = MemoryLimits()
        self._transport = MemoryTransport()
        self._events = MemoryEvents()
        self._audit = MemoryAudit()
        self._hooks = MemoryHooks()
        self._reports = MemoryReports()
        self._quarantine = MemoryQuarantine()
        self._alarms = MemoryAlarms()
        self._accounts: dict[str, MemoryAccount] = {}
        self._training = MemoryTraining(self._accounts.__contains__)

    @property
    def directory(self) -> MemoryDirectory:
        return self._directory

    @property
    def queue(self) -> MemoryQueue:
        return self._queue

    @property
    def limits(self) -> MemoryLimits:
        return self._limits

    @property
    def transport(self) -> MemoryTransport:
        return self._transport

    @property
    def usage(self) -> MemoryUsage:
        return self._limits.usage

    @property
    def alarms(self) -> MemoryAlarms:
        return self._alarms

    @property
    def audit(self) -> MemoryAudit:
        return self._audit

    @property
    def events(self) -> MemoryEvents:
        return self._events

    @property
    def hooks(self) -> MemoryHooks:
        return self._hooks

    @property
    def training(self) -> MemoryTraining:
        return self._training

    @property
    def reports(self) -> MemoryReports:
        return self._reports

    @property
    def quarantine(self) -> MemoryQuarantine:
        return self._quarantine

    @property
    def feed(self) -> Feed:
        return self._feed

    async def account(self, account: str) -> MemoryAccount:
        found = self._accounts.get(account)
        if found is None:
            raise NotFound(f"no account {account}")
        return found

    async def outline(self, account: str) -> Outline:
        found = await self.account(account)
        return Outline(await found.mailboxes(), await found.acls())

    async def create_account(self, account: str, mailboxes: list[tuple[str, str]]) -> None:
        if account not in self._accounts:
            self._accounts[account] = MemoryAccount(account, self._clock, self._feed)
        made = self._accounts[account]
        for name, special_use in mailboxes:
            made.provision(name, special_use)

    async def remove_account(self, account: str) -> None:
        self._accounts.pop(account, None)
        await self._limits.forget(account)
        await self._quarantine.forget(account)

    def spool(self) -> MemorySpool:
        return MemorySpool()

    async def sweep(self, now: float, keep_expunged: float) -> int:
        await self._limits.sweep(now)
        await self._transport.sweep(now)
        return sum(account.sweep(now - keep_expunged) for account in self._accounts.values())

    async def check(self, account: str | None = None, progress: Progress = unheard) -> AsyncIterator[Finding]:
        nothing: tuple[Finding, ...] = ()
        for finding in nothing:
            yield finding

    async def repair(self, account: str | None = None) -> None:
        """Nothing is ever broken."""

    async def close(self) -> None:
        """Nothing to close."""
