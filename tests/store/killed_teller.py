"""Tells events and says which are written, until it is killed: python killed_teller.py FOLDER."""

from __future__ import annotations

import asyncio
import sys

from postroom.store.embedded import EmbeddedStore


async def main(folder: str) -> None:
    store = EmbeddedStore(folder)
    number = 0
    while True:
        for _ in range(37):
            number += 1
            store.events.add(1e9 + number, "message.accepted", {"queue_id": f"q{number}", "sender": "s@far.test"})
        await store.events.flush()
        print(number, flush=True)


asyncio.run(main(sys.argv[1]))
