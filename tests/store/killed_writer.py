"""A process that writes to a store until it is killed, and says on standard output what it was promised."""

from __future__ import annotations

import asyncio
import itertools
import sys
from contextlib import suppress

from msgspec.structs import replace

from postroom.store.api import DeliveredAlready, RecipientState
from postroom.store.embedded import EmbeddedStore
from postroom.testing.store_contract import message, received
from postroom.testing.store_contract.build import named


async def main(data: str, run: str) -> None:
    store = EmbeddedStore(data)
    account = await store.account("acc1")
    inbox, trash = await named(account, "INBOX"), await named(account, "Trash")

    async def deliver(name: int) -> None:
        for entry in await store.queue.due(9999.0, limit=1000) if name == 0 else ():
            await keep(entry)
        for number in itertools.count():
            octets = b"%d " % number * (20_000 if number % 7 == 3 else 10)
            entry = await store.queue.accept(received(f"r{run}-{name}-{number}", octets=octets))
            print("accepted", entry.id, flush=True)
            if number % 3:
                await keep(entry)

    async def keep(entry) -> None:
        with suppress(DeliveredAlready):
            done = await account.append(inbox.id, [message(entry.content)], delivery=(entry.id, "a@b.test"))
            print("delivered", entry.id, done.uids[0], flush=True)
        store.queue.finish(entry.id, [replace(item, state=RecipientState.DELIVERED) for item in entry.recipients])

    async def shuffle() -> None:
        while True:
            snapshot = await account.snapshot(inbox.id)
            if len(snapshot) > 20:
                first = [snapshot.uid(1), snapshot.uid(2)]
                await account.move(inbox.id, first[:1], trash.id)
                await account.expunge(inbox.id, first[1:], only_deleted=False)
            await asyncio.sleep(0)

    print("ready", flush=True)
    await asyncio.gather(*(deliver(name) for name in range(4)), shuffle())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
