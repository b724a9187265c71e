"""Looking after the whole store: sweeping, checking, taking over the queue of workers that are no more."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, Final

import apsw

from postroom.store.api.directory import AccountRow
from postroom.store.api.queue import Entry, Once
from postroom.store.api.store import Finding, Progress
from postroom.store.embedded.account_file import AccountFile, Surroundings
from postroom.store.embedded.account_folder import sweep_account_folders
from postroom.store.embedded.audit import EmbeddedAudit
from postroom.store.embedded.checks.account import check_account
from postroom.store.embedded.checks.events import check_events
from postroom.store.embedded.checks.mend import MendAccount
from postroom.store.embedded.checks.quarantine import check_quarantine
from postroom.store.embedded.checks.queue import check_queue, mend_queue, queue_files
from postroom.store.embedded.checks.row_rules import is_sound
from postroom.store.embedded.checks.shared import (
    check_directory,
    check_file_rows,
    check_shared_files,
    mend_directory,
    mend_file_rows,
    mend_shared_files,
)
from postroom.store.embedded.checks.sharing import check_index, mend_index, what_is_kept
from postroom.store.embedded.committer import Committer
from postroom.store.embedded.database import OpenOptions, open_database, unavailable
from postroom.store.embedded.directory import EmbeddedDirectory
from postroom.store.embedded.disk import discard
from postroom.store.embedded.index_file import condemn, faults_of
from postroom.store.embedded.layout import AccountLayout, Layout
from postroom.store.embedded.locks import FileLock
from postroom.store.embedded.queue import EmbeddedQueue
from postroom.store.embedded.queue_file import answers, open_slot, select, with_octets
from postroom.store.embedded.sweep import SweepSlice, Tidy, sweep_strays

#: seconds in which an account is made or removed
_SECOND_LOOK: Final = 1.0


class Caretaker:
    """What the store does besides serving. grace: seconds before a file without a row counts as stray."""

    def __init__(self, layout: Layout, around: Surroundings, committer: Committer, grace: float) -> None:
        self._layout = layout
        self._around = around
        self._committer = committer
        self._grace = grace

    async def sweep(self, now: float, keep_expunged: float) -> int:
        """Every account, then the queue's stray files. Gives the number of messages removed."""
        removed = 0
        for account in await asyncio.to_thread(self._account_ids):
            file = AccountFile(account, self._layout.account(account), self._around)
            try:
                removed += await self._sweep_account(file, now, now - keep_expunged)
            finally:
                self._committer.run_between(file.close)
        await asyncio.to_thread(sweep_account_folders, self._layout, self._grace)
        await self._sweep_queue()
        return removed

    async def _sweep_queue(self) -> None:
        named = await asyncio.to_thread(queue_files, self._layout, self._around.options)
        await asyncio.to_thread(
            sweep_strays, self._around.disk, self._layout.queue_bodies, named.__contains__, self._grace
        )

    def _account_ids(self) -> list[str]:
        return list(self._layout.account_ids())

    async def _sweep_account(self, file: AccountFile, now: float, before: float) -> int:
        removed = 0
        while True:
            handled, dropped = await self._committer.submit(file, SweepSlice(before))
            removed += dropped
            if not handled:
                break
        await self._committer.submit(file, Tidy(now, before))
        await self._sweep_files(file)
        return removed

    async def _sweep_files(self, file: AccountFile) -> None:
        named = await asyncio.to_thread(_body_files, file.layout.database, self._around.options)
        await asyncio.to_thread(sweep_strays, self._around.disk, file.layout.bodies, named.__contains__, self._grace)

    async def check(
        self, account: str | None, directory: EmbeddedDirectory, progress: Progress
    ) -> AsyncIterator[Finding]:
        """Broken invariants of one account, or of everything."""
        accounts = [account] if account is not None else await asyncio.to_thread(self._account_ids)
        before = directory.known()
        for number, one in enumerate(accounts, 1):
            progress(number, len(accounts))
            for finding in await asyncio.to_thread(_checked, self._check_account, one):
                yield finding
            row = await directory.account(one)
            if row is None:  # deleted, and may come back: then the index is made again
                continue
            indexed = frozenset(await directory.shares(one))
            for finding in await asyncio.to_thread(_checked, partial(self._check_index, row, indexed), one):
                yield finding
        if account is not None:
            return
        known = before | directory.known()
        for finding in await asyncio.to_thread(_checked, partial(self._check_shared, known), ""):
            yield finding
        for finding in await self._check_folders(accounts, directory):
            yield finding

    async def repair(self, account: str | None, directory: EmbeddedDirectory) -> None:
        """Mend what can be, in one account or in everything. Raises StoreUnavailable."""
        options = self._around.options
        for one in [account] if account is not None else await asyncio.to_thread(self._account_ids):
            await self._repair_account(one)
            row = await directory.account(one)
            if row is not None:
                layout = self._layout.account(one)
                await mend_index(directory, row, await asyncio.to_thread(what_is_kept, layout, options))
        if account is not None:
            return
        known = directory.known()
        try:
            await asyncio.to_thread(mend_queue, self._layout, options)
            await asyncio.to_thread(mend_directory, self._layout, options)
            await asyncio.to_thread(mend_shared_files, self._layout, options, known)
        except apsw.Error as fault:
            raise unavailable(fault) from fault
        await self._sweep_queue()

    async def _repair_account(self, account: str) -> None:
        file = AccountFile(account, self._layout.account(account), self._around)
        try:
            if not await asyncio.to_thread(_can_be_mended, file.layout.database, self._around.options):
                return
            await self._committer.submit(file, MendAccount())
            await self._sweep_files(file)
            await asyncio.to_thread(_repair_beside, file.layout, self._around.options)
        except (apsw.Error, OSError) as fault:
            raise unavailable(fault) from fault
        finally:
            self._committer.run_between(file.close)

    async def _check_folders(self, before: Sequence[str], directory: EmbeddedDirectory) -> list[Finding]:
        """Accounts without a folder, and folders without an account. before: those there when the check began.

        An account is made folder first and removed row first, so what looks like nobody's is looked at once more.
        """
        there = set(await asyncio.to_thread(self._account_ids))
        rows = {row.id: row.login for row in await _accounts(directory)}
        found = [
            Finding("directory.db", f"account {login} ({number}) has no folder", mendable=True)
            for number, login in rows.items()
            if number not in there
        ]
        nobodys = there.intersection(before) - rows.keys()
        if nobodys:
            await asyncio.sleep(min(self._grace, _SECOND_LOOK))
            nobodys &= set(await asyncio.to_thread(self._account_ids))
            nobodys -= {row.id for row in await _accounts(directory)}
        for number in sorted(nobodys):
            folder = self._layout.account(number).folder
            found.append(Finding(f"accounts/{number}", f"the folder {folder} belongs to no account"))
        return found

    def _check_account(self, account: str) -> list[Finding]:
        layout, options = self._layout.account(account), self._around.options
        found = check_account(account, layout, options, self._grace)
        index = f"accounts/{account}/index.db"
        found += [Finding(index, what, mendable=True) for what in faults_of(layout.index, options)]
        if os.path.exists(layout.training):
            found += check_file_rows(layout.training, f"accounts/{account}/training.db", options)
        return found

    def _check_index(self, row: AccountRow, indexed: frozenset[str], account: str) -> list[Finding]:
        return check_index(row, self._layout.account(account), self._around.options, indexed)

    def _check_shared(self, accounts: frozenset[str], _: str) -> list[Finding]:
        options = self._around.options
        found = check_queue(self._layout, options, self._grace)
        found += check_events(self._layout, options)
        found += check_shared_files(self._layout, options, accounts)
        found += check_quarantine(self._layout, options, self._grace)
        found += [Finding("audit", fault) for fault in EmbeddedAudit(self._layout).look({}).faults]
        return found + check_directory(self._layout, options)

    async def adopt(self, queue: EmbeddedQueue, first: int) -> int:
        """Take over entries of slots `first` and above whose owner is gone; how many entries.

        The old file is removed only after the entries are durable in ours; taking one twice changes nothing.
        """
        adopted = 0
        for slot in self._layout.slots():
            if slot < first or slot == queue.own.slot:
                continue
            lock = FileLock(self._layout.slot_lock(slot))
            if not lock.take(f"slot {slot}", 0.0, 0.0):
                continue
            try:
                adopted += await queue.take_over(*await asyncio.to_thread(self._contents, slot))
                await asyncio.to_thread(self._remove_slot, slot)
            finally:
                lock.release()
        return adopted

    def _contents(self, slot: int) -> tuple[list[Entry], list[tuple[float, Once]]]:
        reader = open_slot(self._layout.slot(slot), self._around.options)
        try:
            entries = [with_octets(reader, body, entry) for body, entry in select(reader, self._layout, slot)]
            return entries, answers(reader)
        finally:
            reader.close()

    def _remove_slot(self, slot: int) -> None:
        path = self._layout.slot(slot)
        for name in (path, f"{path}-wal", f"{path}-shm", self._layout.slot_lock(slot)):
            discard(self._around.disk, name)
        self._around.disk.sync_folder(self._layout.queue)


async def _accounts(directory: EmbeddedDirectory) -> list[AccountRow]:
    """Those that are and those that can be brought back."""
    return [*await directory.accounts(), *[gone.row for gone in await directory.deleted_accounts()]]


def _can_be_mended(database: str, options: OpenOptions) -> bool:
    """Can its rows be read and written? What cannot is for a backup. Raises apsw.Error."""
    try:
        connection = open_database(database, options, cache_kib=options.writer_cache_kib)
    except (apsw.NotADBError, apsw.CorruptError, apsw.CantOpenError):
        return False
    try:
        return is_sound(connection)
    finally:
        connection.close()


def _repair_beside(layout: AccountLayout, options: OpenOptions) -> None:
    """What lies beside an account's mail."""
    if any(True for _ in faults_of(layout.index, options)):
        condemn(layout.index)
    if os.path.exists(layout.training):
        with contextlib.suppress(apsw.NotADBError, apsw.CorruptError):  # it is made anew when it is used
            mend_file_rows(layout.training, options)


def _checked(check: Callable[[str], list[Finding]], what: str) -> list[Finding]:
    """A file that cannot be read at all is a finding too."""
    try:
        return check(what)
    except (apsw.Error, OSError) as fault:
        return [Finding(f"accounts/{what}" if what else "queue", str(unavailable(fault)))]


def _body_files(database: str, options: OpenOptions) -> set[str]:
    reader = open_database(database, options, cache_kib=options.reader_cache_kib)
    try:
        rows: list[Any] = reader.execute("SELECT lower(hex(guid)) FROM message WHERE prefix IS NOT NULL").fetchall()
        return {guid for (guid,) in rows}
    finally:
        reader.close()
