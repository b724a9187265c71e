"""What the embedded store costs, in process: CPU and wall microseconds a message (or call), best of several rounds.

    PYTHONPATH=src python bench/bench_store.py [name ...]

CPU is that of the whole process, committer threads included. Everything is as synced as in production.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from msgspec.structs import replace

from postroom.store.api import (
    AccountStore,
    FlagChange,
    FlagOp,
    MailboxInfo,
    NewEntry,
    NewMessage,
    NewRecipient,
    RecipientState,
)
from postroom.store.embedded import EmbeddedStore
from postroom.values.content import Content
from postroom.values.flags import DELETED, FLAGGED, SEEN

BODY = (b"From: a@example.org\r\nSubject: bench\r\n\r\n" + b"0123456789abcdefghijklmnopqrstuvwxyz 0123456789\r\n" * 90)[
    :4096
]


def new_message() -> NewMessage:
    return NewMessage(
        content=Content.of(BODY),
        guid=secrets.token_hex(16),
        internaldate=1_700_000_000,
        envelope=b"E" * 458,
        structure=b"S" * 110,
        bodystructure=b"B" * 160,
        parts=b"P" * 48,
        header=600,
    )


def new_entry(number: str) -> NewEntry:
    return NewEntry(
        id=number,
        sender="sender@example.org",
        recipients=(NewRecipient(address="someone@example.com", route="local"),),
        content=Content.of(BODY),
        received=time.time(),
        trace=b"Received: from client (client [127.0.0.1]) by mail.example.org with ESMTP; date\r\n",
        peer="127.0.0.1",
    )


class Bench:
    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store
        self.count = 0

    async def measure(self, label: str, per: int, run: Callable[[], Awaitable[object]], rounds: int = 5) -> None:
        cpu = wall = float("inf")
        for _ in range(rounds):
            began, burnt = time.perf_counter(), time.process_time()
            await run()
            cpu = min(cpu, time.process_time() - burnt)
            wall = min(wall, time.perf_counter() - began)
        print(f"{label:<52}{cpu / per * 1e6:9.2f}{wall / per * 1e6:10.2f}", flush=True)

    async def fresh(self, messages: int = 0) -> tuple[AccountStore, MailboxInfo, MailboxInfo]:
        self.count += 1
        name = f"acc{self.count}"
        await self.store.create_account(name, [("INBOX", ""), ("Trash", "\\Trash")])
        account = await self.store.account(name)
        inbox, trash = await account.mailbox("INBOX"), await account.mailbox("Trash")
        assert inbox and trash
        for begin in range(0, messages, 200):
            await account.append(inbox.id, [new_message() for _ in range(min(200, messages - begin))])
        return account, inbox, trash

    # queue

    async def queue(self) -> None:
        queue = self.store.queue
        for together in (1, 5, 20, 100):
            total = 400

            async def run(together: int = together, total: int = total) -> None:
                async def one() -> None:
                    for _ in range(total // together):
                        entry = await queue.accept(new_entry(secrets.token_hex(8)))
                        queue.finish(entry.id, [replace(entry.recipients[0], state=RecipientState.DELIVERED)])

                await asyncio.gather(*(one() for _ in range(together)))

            await self.measure(f"queue: accept + finish 4 KiB, {together} at once", total, run)
        for together in (5, 20):

            async def accept(together: int = together) -> None:
                async def one() -> None:
                    for _ in range(400 // together):
                        await queue.accept(new_entry(secrets.token_hex(8)))

                await asyncio.gather(*(one() for _ in range(together)))

            await self.measure(f"queue: accept only, {together} at once", 400, accept)

    # account

    async def append(self) -> None:
        account, inbox, _ = await self.fresh(100)

        async def alone() -> None:
            for _ in range(200):
                await account.append(inbox.id, [new_message()], delivery=(secrets.token_hex(8), "someone@example.com"))

        await self.measure("deliver 4 KiB alone, one account", 200, alone)

        async def multi() -> None:
            for _ in range(10):
                await account.append(inbox.id, [new_message() for _ in range(50)])

        await self.measure("MULTIAPPEND of 50", 500, multi)

        async def together() -> None:
            await asyncio.gather(
                *(
                    account.append(inbox.id, [new_message()], delivery=(secrets.token_hex(8), "someone@example.com"))
                    for _ in range(200)
                )
            )

        await self.measure("deliver 4 KiB, 200 waiting, one account", 200, together)
        accounts = [await self.fresh(10) for _ in range(20)]

        async def spread() -> None:
            async def one(account: AccountStore, inbox: MailboxInfo) -> None:
                for _ in range(10):
                    await account.append(inbox.id, [new_message()], delivery=(secrets.token_hex(8), "x@example.com"))

            await asyncio.gather(*(one(account, inbox) for account, inbox, _ in accounts))

        await self.measure("deliver 4 KiB, 20 accounts at once", 200, spread)

    async def flags(self) -> None:
        account, inbox, _ = await self.fresh(10_000)
        uids = array("I", range(1, 10_001))  # as a view has them
        state = [FlagOp.ADD]

        async def bulk() -> None:
            await account.store_flags(inbox.id, uids, FlagChange(op=state[0], bits=SEEN))
            state[0] = FlagOp.REMOVE if state[0] is FlagOp.ADD else FlagOp.ADD

        await self.measure("STORE 1:* of 10,000", 10_000, bulk, 20)
        await self.measure("STORE 1:* of 10,000, whole", 1, bulk, 20)

        async def single() -> None:
            for uid in range(1, 2001, 20):
                await account.store_flags(inbox.id, [uid], FlagChange(op=state[0], bits=FLAGGED))
            state[0] = FlagOp.REMOVE if state[0] is FlagOp.ADD else FlagOp.ADD

        await self.measure("STORE of one message", 100, single)

    async def bulk(self) -> None:
        account, inbox, trash = await self.fresh(10_000)
        place = [1]

        async def copy() -> None:
            first = place[0]
            await account.copy(inbox.id, range(first, first + 1000), trash.id)

        await self.measure("COPY 1,000", 1000, copy)

        async def move() -> None:
            first = place[0]
            place[0] += 1000
            await account.move(inbox.id, range(first, first + 1000), trash.id)

        await self.measure("MOVE 1,000", 1000, move, 4)

        async def expunge() -> None:
            first = place[0]
            place[0] += 1000
            await account.expunge(inbox.id, range(first, first + 1000), only_deleted=False)

        await self.measure("EXPUNGE 1,000 (by UID)", 1000, expunge, 4)
        snapshot = await account.snapshot(trash.id)
        every = [uid for page in snapshot.pages for uid in page.uids][::3][:1000]
        await account.store_flags(trash.id, every, FlagChange(op=FlagOp.ADD, bits=DELETED))

        async def marked() -> None:
            await account.expunge(trash.id, None)

        await self.measure("EXPUNGE 1,000 (every third, \\Deleted)", 1000, marked, 1)

    async def read(self) -> None:
        account, inbox, _ = await self.fresh(10_000)
        snapshot = await account.snapshot(inbox.id)
        ids = [message for page in snapshot.pages for message in page.messages]

        async def columns() -> None:
            for page in snapshot.pages:
                await account.columns(page.messages, "envelope")

        await self.measure("columns(envelope) by page, 10,000", 10_000, columns)
        await self.measure("columns(envelope) at once, 10,000", 10_000, lambda: account.columns(ids, "envelope"))
        await self.measure("columns(bodystructure)", 10_000, lambda: account.columns(ids, "bodystructure"))
        odd = ids[::2]
        await self.measure("columns(envelope), every other", 5000, lambda: account.columns(odd, "envelope"))

        async def content() -> None:
            for message in ids[:500]:
                (await account.content(message)).read()

        await self.measure("content of one message", 500, content)

        async def again() -> None:
            for _ in range(1000):
                await account.snapshot(inbox.id)

        await self.measure("snapshot, nothing changed", 1000, again)

        async def cold() -> None:
            account._file.images.clear()  # type: ignore[attr-defined]
            await account.snapshot(inbox.id)

        await self.measure("snapshot of 10,000, cold", 1, cold, 20)

        async def boxes() -> None:
            for _ in range(200):
                await account.mailboxes()

        await self.measure("mailboxes() of 2", 200, boxes)

    async def directory(self) -> None:
        from postroom.store.api import AccountRow

        await self.store.directory.put_account(AccountRow(id="x", login="x@example.org", created=0))

        async def look() -> None:
            for _ in range(1000):
                await self.store.directory.account_by_login("x@example.org")

        await self.measure("directory look-up", 1000, look)


async def main(names: list[str]) -> None:
    folder = tempfile.mkdtemp(prefix="bench-store-")
    store = EmbeddedStore(Path(folder) / "data")
    bench = Bench(store)
    print(f"{'':<52}{'CPU us':>9}{'wall us':>10}")
    try:
        for name in names or ["queue", "append", "flags", "bulk", "read", "directory"]:
            await getattr(bench, name)()
    finally:
        await store.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
