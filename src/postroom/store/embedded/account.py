"""The AccountStore of the embedded store: reads on the loop, changes through the committer.

Owns: the reader connection, opened at first use and closed when the account has not been used for long (`Pool`).
The object itself stays valid: sessions hold it for hours at the price of a few hundred octets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import apsw

from postroom.store.api.account import (
    EVERY_FLAG,
    Annotation,
    AnnotationLimits,
    AppendResult,
    CopyResult,
    ExpungeResult,
    FlagChange,
    MailboxInfo,
    NewAnnotation,
    NewMessage,
    Origin,
    Rendered,
    RightsChange,
    Settable,
    StoreFlagsResult,
    Usage,
)
from postroom.store.api.errors import NotFound, StoreDamaged
from postroom.store.api.pages import Snapshot
from postroom.store.api.past import Departure, MailboxLife, Placing, Restored, Undone
from postroom.store.embedded import account_read as read
from postroom.store.embedded import account_sharing as sharing
from postroom.store.embedded import metadata, past
from postroom.store.embedded.account_file import AccountFile, AccountUnit
from postroom.store.embedded.account_folders import Create, Delete, Provision, Rename, Specialize, Subscribe
from postroom.store.embedded.account_restart import left_unsettled
from postroom.store.embedded.account_write import Append, Copy, Expunge, Move, Replace, StoreFlags
from postroom.store.embedded.committer import Committer
from postroom.store.embedded.contacts import EmbeddedContacts
from postroom.store.embedded.database import open_database, unavailable
from postroom.store.embedded.filters import EmbeddedFilters
from postroom.store.embedded.index_file import EmbeddedIndex
from postroom.store.embedded.locks import FileLock
from postroom.store.embedded.marks import EmbeddedMarks
from postroom.store.embedded.recent import RecentMarks
from postroom.store.embedded.saved import EmbeddedSearches
from postroom.store.embedded.traits import EmbeddedTraits
from postroom.store.embedded.working import Image
from postroom.values.content import Content

T = TypeVar("T")


class Pool:
    """Which accounts have open files: the least recently used is closed when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = max(most, 1)
        self._open: OrderedDict[EmbeddedAccount, None] = OrderedDict()

    def used(self, account: EmbeddedAccount) -> None:
        """The account is being used now."""
        self._open[account] = None
        self._open.move_to_end(account)
        if len(self._open) > self._most:
            oldest, _ = self._open.popitem(last=False)
            oldest.release()

    def forget(self, account: EmbeddedAccount) -> None:
        """The account's files are closed by its owner."""
        self._open.pop(account, None)

    def close(self) -> None:
        """Close every reader."""
        for account in self._open:
            account.close_reader()
        self._open.clear()


class EmbeddedAccount:
    """One account. See postroom.store.api.AccountStore."""

    __slots__ = ("__weakref__", "_committer", "_file", "_index", "_pool", "_pop3", "_reader", "_recent")

    def __init__(self, file: AccountFile, committer: Committer, pool: Pool) -> None:
        self._file = file
        self._committer = committer
        self._pool = pool
        self._reader: apsw.Connection | None = None
        self._pop3 = FileLock(file.layout.pop3_lock)
        self._recent = RecentMarks(file.layout.recent)
        self._index: EmbeddedIndex | None = None

    @property
    def id(self) -> str:
        return self._file.id

    @property
    def filters(self) -> EmbeddedFilters:
        return EmbeddedFilters(self._read, self._write)

    @property
    def marks(self) -> EmbeddedMarks:
        return EmbeddedMarks(self._read, self._write)

    @property
    def index(self) -> EmbeddedIndex:
        if self._index is None:
            around = self._file.around
            self._index = EmbeddedIndex(
                self._file.layout.index, around.options, lambda: around.feed.arrived(self.id, 0, False)
            )
        self._pool.used(self)
        return self._index

    @property
    def saved(self) -> EmbeddedSearches:
        return EmbeddedSearches(self._read, self._write)

    @property
    def contacts(self) -> EmbeddedContacts:
        return EmbeddedContacts(self._read, self._write)

    @property
    def traits(self) -> EmbeddedTraits:
        return EmbeddedTraits(self._read, self._write)

    # reading

    def _connection(self) -> apsw.Connection:
        if self._reader is None:
            options = self._file.around.options
            self._reader = open_database(self._file.layout.database, options, cache_kib=options.reader_cache_kib)
        self._pool.used(self)
        return self._reader

    def _read(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return function(self._connection(), *arguments)
        except (apsw.Error, OSError) as fault:
            raise unavailable(fault) from fault

    async def mailboxes(self) -> list[MailboxInfo]:
        return self._read(read.read_mailboxes)

    async def mailbox(self, name: str) -> MailboxInfo | None:
        return self._read(read.read_mailbox, name)

    async def subscriptions(self) -> frozenset[str]:
        return self._read(read.read_subscriptions)

    async def refusals(self) -> frozenset[str]:
        return self._read(read.read_refusals)

    async def annotations(self, mailbox: int, login: str) -> list[Annotation]:
        return self._read(metadata.read_annotations, mailbox, login)

    async def annotated(self, login: str, since: int) -> list[Annotation]:
        return self._read(metadata.read_changed, login, since)

    async def annotation_octets(self) -> int:
        return self._read(metadata.read_octets)

    async def snapshot(self, mailbox: int) -> Snapshot:
        return self._read(self._image, mailbox).snapshot

    def _image(self, reader: apsw.Connection, mailbox: int) -> Image:
        images = self._file.images
        known = images.get(mailbox)
        modseq = read.read_modseq(reader, mailbox)
        if known is not None and known.snapshot.modseq >= modseq:
            return known  # newer only for an instant, while the committer has not told us yet
        try:
            image = read.read_image(reader, mailbox, known)
        except ValueError as fault:
            raise StoreDamaged(f"mailbox {mailbox} of {self.id}: {fault}") from fault
        newest = images.get(mailbox)
        if newest is None or newest.snapshot.modseq < image.snapshot.modseq:
            images[mailbox] = image
        return image

    async def rendered(self, messages: Sequence[int]) -> list[Rendered]:
        return self._read(read.read_rendered, messages)

    async def columns(self, messages: Sequence[int], column: str) -> list[bytes]:
        return self._read(read.read_columns, messages, column)

    async def origins(self, messages: Sequence[int]) -> dict[int, Origin]:
        return self._read(read.read_origins, messages)

    async def originals(self, emailid: str) -> list[int]:
        return self._read(read.read_originals, emailid)

    async def messages(self, after: int, limit: int) -> Sequence[int]:
        return self._read(read.read_messages, after, limit)

    async def content(self, message: int) -> Content:
        return self._read(read.read_content, self._file.layout, message)

    async def vanished(self, mailbox: int, since: int) -> Sequence[int] | None:
        return self._read(read.read_vanished, mailbox, since)

    async def lives(self) -> list[MailboxLife]:
        return self._read(past.read_lives)

    async def departures(self, mailbox: int | None = None) -> list[Departure]:
        return self._read(past.read_departures, mailbox)

    async def deleted_in(self) -> frozenset[int]:
        return self._read(past.read_deleted_in)

    async def modseq(self) -> int:
        return self._read(read.read_totals)[0]

    async def next_number(self) -> int:
        return self._read(past.read_next_number)

    async def restores(self) -> list[Restored]:
        return self._read(past.read_restores)

    async def acl(self, mailbox: int) -> Mapping[str, int]:
        return self._read(sharing.read_acl, mailbox)

    async def acls(self) -> Mapping[int, Mapping[str, int]]:
        return self._read(sharing.read_acls)

    async def usage(self) -> Usage:
        return self._read(read.read_usage)

    async def recent(self, mailbox: int, uidnext: int, *, claim: bool) -> int:
        return self._recent.take(mailbox, uidnext, claim=claim)

    # changing

    async def _write(
        self, work: Callable[[AccountUnit], Callable[[], T]], octets: int = 0, *, relaxed: bool = False
    ) -> T:
        self._pool.used(self)
        return await self._committer.submit(self._file, work, octets, relaxed=relaxed)

    async def create(self, name: str, special_use: str = "") -> MailboxInfo:
        return await self._write(Create(name, special_use))

    async def rename(self, mailbox: int, name: str) -> None:
        await self._write(Rename(mailbox, name))

    async def delete(self, mailbox: int) -> None:
        await self._write(Delete(mailbox))
        self._file.images.pop(mailbox, None)

    async def subscribe(self, name: str, subscribed: bool, *, remember: bool = False) -> None:
        await self._write(Subscribe(name, subscribed, remember))

    async def grant(self, mailboxes: Sequence[int], identifier: str, change: RightsChange) -> bool:
        return await self._write(sharing.Grant(mailboxes, identifier, change))

    async def specialize(self, mailbox: int, special_use: str) -> None:
        await self._write(Specialize(mailbox, special_use))

    async def annotate(self, mailbox: int, changes: Sequence[NewAnnotation], limits: AnnotationLimits) -> int:
        return await self._write(metadata.Annotate(mailbox, tuple(changes), limits))

    async def copy_annotations(self, source: int, target: int) -> None:
        await self._write(metadata.CopyAnnotations(source, target))

    async def append(
        self,
        mailbox: int,
        messages: Sequence[NewMessage],
        *,
        quota: int = 0,
        quota_messages: int = 0,
        delivery: tuple[str, str] | None = None,
        replaces: tuple[int, int] | None = None,
    ) -> AppendResult:
        octets = sum(len(message.content.data) for message in messages)
        append = Append(mailbox, messages, (quota, quota_messages), delivery)
        if replaces is not None:
            return await self._write(Replace(append, *replaces), octets)
        return await self._write(append, octets, relaxed=delivery is not None)

    async def store_flags(self, mailbox: int, uids: Sequence[int], change: FlagChange) -> StoreFlagsResult:
        return await self._write(StoreFlags(mailbox, uids, change))

    async def copy(
        self,
        source: int,
        uids: Sequence[int],
        target: int,
        *,
        quota: int = 0,
        quota_messages: int = 0,
        may: Settable = EVERY_FLAG,
    ) -> CopyResult:
        return await self._write(Copy(source, uids, target, (quota, quota_messages), may))

    async def move(self, source: int, uids: Sequence[int], target: int, *, may: Settable = EVERY_FLAG) -> CopyResult:
        return await self._write(Move(source, uids, target, may))

    async def expunge(self, mailbox: int, uids: Sequence[int] | None, *, only_deleted: bool = True) -> ExpungeResult:
        if uids is None and not only_deleted:
            raise ValueError("expunging everything takes the UIDs")
        return await self._write(Expunge(mailbox, uids, only_deleted))

    async def restore(self, placings: Sequence[Placing], *, quota: int = 0, quota_messages: int = 0) -> Restored:
        return await self._write(past.Restore(placings, (quota, quota_messages)))

    async def undo_restore(self, restore: int) -> Undone:
        return await self._write(past.UndoRestore(restore))

    # the maildrop lock

    async def pop3_lock(self, holder: str, now: float, lifetime: float) -> bool:
        try:
            return self._pop3.take(holder, now, now + lifetime)
        except OSError as fault:
            raise unavailable(fault) from fault

    async def pop3_unlock(self, holder: str) -> None:
        self._pop3.give_back(holder)

    # opening and closing

    def must_exist(self) -> None:
        """Raises NotFound when the account has no file, StoreUnavailable when it cannot be opened."""
        try:
            self._connection()
        except apsw.CantOpenError as fault:
            if not os.path.exists(self._file.layout.database):
                raise NotFound(f"no account {self.id}") from fault
            raise unavailable(fault) from fault
        except apsw.Error as fault:
            raise unavailable(fault) from fault

    async def skip_lost(self) -> None:
        """After power loss, before anybody looks: see `unsettled`. Raises StoreUnavailable."""
        if self._read(left_unsettled) not in ("", self._file.around.unsettled.boot):
            await self._write(_nothing)

    async def provision(self, work: Provision) -> None:
        """Make first mailboxes."""
        await self._write(work)

    async def shut(self) -> None:
        """Close everything before the folder is removed."""
        self._pool.forget(self)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def chore() -> None:
            self._file.close()
            loop.call_soon_threadsafe(done.set_result, None)

        self._committer.run_between(chore)
        await done
        self.close_reader()
        self._pop3.release()

    def close_files(self) -> None:
        """Close everything; the committer has ended."""
        self.close_reader()
        self._file.close()
        self._pop3.release()

    def close_reader(self) -> None:
        """Give the readers' memory back."""
        if self._index is not None:
            self._index.close()
        if self._reader is not None:
            reader, self._reader = self._reader, None
            with contextlib.suppress(apsw.Error):
                reader.close()

    def release(self) -> None:
        """Close files that have not been used for long; they are opened again when they are."""
        self.close_reader()
        self._file.images.clear()
        self._committer.run_between(self._file.close)


def _nothing(_unit: AccountUnit) -> Callable[[], None]:
    """Opens the file for writing."""
    return lambda: None
