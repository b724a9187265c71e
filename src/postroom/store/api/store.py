"""The store as a whole: what the composition root opens and closes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from postroom.store.api.account import AccountStore, MailboxInfo
from postroom.store.api.alarms import AlarmStore
from postroom.store.api.audit import AuditStore
from postroom.store.api.directory import DirectoryStore
from postroom.store.api.events import EventStore
from postroom.store.api.feed import Feed
from postroom.store.api.hooks import HookStore
from postroom.store.api.limits import LimitsStore
from postroom.store.api.quarantine import QuarantineStore
from postroom.store.api.queue import QueueStore
from postroom.store.api.reports import ReportStore
from postroom.store.api.training import TrainingStore
from postroom.store.api.transport import TransportStore
from postroom.store.api.usage import UsageStore
from postroom.values.content import Content

Progress = Callable[[int, int], None]


def unheard(_number: int, _of: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken invariant that `postroom check` found: where, what, and whether `repair` can mend it."""

    place: str
    what: str
    mendable: bool = False


@dataclass(frozen=True, slots=True)
class Outline:
    """What an account has, and who else may do what with it: mailboxes by name, ACLs by mailbox (0: the top level)."""

    mailboxes: Sequence[MailboxInfo]
    acls: Mapping[int, Mapping[str, int]]


class Spool(Protocol):
    """A message on its way in: octets are added as they arrive, then it is sealed or thrown away.

    Up to 64 KiB stay in memory; what is larger goes to a file beside the queue. An abandoned file is removed when
    the spool is closed, or at the next start.
    """

    @property
    def size(self) -> int:
        """Octets written so far."""
        ...

    def write(self, data: bytes) -> None:
        """Add octets. Raises StoreUnavailable when the disk will not take them."""
        ...

    async def seal(self) -> Content:
        """No more octets: the content, synced to disk if it lies in a file."""
        ...

    def close(self) -> None:
        """Forget the content unless the store took it over (queue.accept or an append); safe to call twice."""
        ...


class Store(Protocol):
    """Everything that is kept. One instance per process; all coroutines run on that process's event loop."""

    @property
    def directory(self) -> DirectoryStore: ...

    @property
    def queue(self) -> QueueStore: ...

    @property
    def limits(self) -> LimitsStore: ...

    @property
    def transport(self) -> TransportStore: ...

    @property
    def usage(self) -> UsageStore: ...

    @property
    def feed(self) -> Feed: ...

    @property
    def events(self) -> EventStore: ...

    @property
    def alarms(self) -> AlarmStore: ...

    @property
    def audit(self) -> AuditStore: ...

    @property
    def hooks(self) -> HookStore: ...

    @property
    def training(self) -> TrainingStore: ...

    @property
    def reports(self) -> ReportStore: ...

    @property
    def quarantine(self) -> QuarantineStore: ...

    async def account(self, account: str) -> AccountStore:
        """The mailboxes of an account, opened at first use and kept for the next. Raises NotFound, StoreUnavailable."""
        ...

    async def outline(self, account: str) -> Outline:
        """Of an account that need not be opened for it: cheap where nothing has changed. Raises NotFound."""
        ...

    async def create_account(self, account: str, mailboxes: list[tuple[str, str]]) -> None:
        """Make the account's folder with mailboxes (name, special-use attribute or ''). Idempotent."""
        ...

    async def remove_account(self, account: str) -> None:
        """Take the account's folder away for good, and what was counted of it. The directory row is not touched."""
        ...

    def spool(self) -> Spool:
        """A place for a message that is arriving."""
        ...

    async def sweep(self, now: float, keep_expunged: float) -> int:
        """Drop what was expunged more than keep_expunged seconds before now; gives the number of messages removed."""
        ...

    def check(self, account: str | None = None, progress: Progress = unheard) -> AsyncIterator[Finding]:
        """Every broken invariant (docs/store.md, invariants); nothing when all is well.

        progress: told the number of the account that is looked at, and of how many.
        """
        ...

    async def repair(self, account: str | None = None) -> None:
        """Mend what `check` calls mendable, of one account or everywhere; mail is never thrown away by it.

        What it could mend is gone when `check` is asked again. Raises StoreUnavailable.
        """
        ...

    async def close(self) -> None:
        """Finish what is being committed and close the files."""
        ...
