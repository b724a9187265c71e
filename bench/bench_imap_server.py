"""CPU of the IMAP server in process, without sockets and TLS: `python bench/bench_imap_server.py [messages]`.

On the embedded store in a temporary folder. Microseconds of the whole process; best of several runs.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "imap")]

from imap_house import NOW, Client, House, message, settle  # noqa: E402

from postroom.mailbox.incoming import Incoming  # noqa: E402
from postroom.store.embedded import EmbeddedStore  # noqa: E402
from postroom.values.content import Content  # noqa: E402

RUNS = 5


async def best(client: Client, command: str, per: int = 1, runs: int = RUNS) -> float:
    """Least microseconds of CPU a unit."""
    least = 1e9
    for number in range(runs):
        client.hear()
        begin = time.process_time()
        client.driver.received(f"b{number} {command}\r\n".encode())
        await done(client)
        least = min(least, time.process_time() - begin)
        assert b" OK " in bytes(client.link.out[-200:]), client.link.out[-200:]
    client.hear()
    return least / per * 1e6


async def done(client: Client) -> None:
    """What was sent is answered."""
    while client.driver._work is not None:  # noqa: ASYNC110 - nothing tells it
        await asyncio.sleep(0)


def show(what: str, figure: float, unit: str = "us") -> None:
    print(f"{what:<50}{figure:>10.2f} {unit}")


async def fill(house: House, count: int) -> None:
    row = await house.store.directory.account("ann-example.org")
    assert row is not None
    account = await house.mailboxes.open(row)
    info = await account.find("INBOX")
    body = "".join(f"line {number} of the message, as people write them\r\n" for number in range(80))
    for first in range(1, count + 1, 1000):
        batch = [
            Incoming(content=Content.of(message(number, body)), internaldate=NOW + number)
            for number in range(first, min(first + 1000, count + 1))
        ]
        await account.append(info.id, batch)


async def rows(client: Client, count: int) -> None:
    for items in (
        "FLAGS",
        "(UID FLAGS)",
        "(UID FLAGS ENVELOPE)",
        "BODYSTRUCTURE",
        "(UID FLAGS INTERNALDATE RFC822.SIZE)",
    ):
        show(f"FETCH 1:* {items}, a message", await best(client, f"FETCH 1:* {items}", count))
    odd = ",".join(str(number) for number in range(1, min(count, 8000), 2))
    show("FETCH of every other (FLAGS), a message", await best(client, f"FETCH {odd} (FLAGS)", count // 2))
    some = min(count, 1000)
    show(
        "FETCH 1:1000 (BODY.PEEK[HEADER.FIELDS (...)])",
        await best(client, f"FETCH 1:{some} (UID FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])", some),
    )
    show("FETCH 1:1000 BODY.PEEK[], a message", await best(client, f"FETCH 1:{some} BODY.PEEK[]", some))
    show("STORE 1:* +FLAGS (\\Seen), a message", await best(client, "STORE 1:* +FLAGS (\\Seen)", count, 1))
    show(
        "STORE 1:* FLAGS.SILENT (\\Flagged), a message",
        await best(client, "STORE 1:* FLAGS.SILENT (\\Flagged)", count, 1),
    )
    show("SEARCH UNSEEN, a message", await best(client, "SEARCH UNSEEN", count))


async def single(client: Client) -> None:
    for command in (
        "NOOP",
        "UID FETCH 5 (FLAGS)",
        "UID FETCH 5 (BODY.PEEK[])",
        "FETCH 5 (UID RFC822.SIZE BODY.PEEK[HEADER])",
        "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)",
        'LIST "" "*"',
        "SELECT INBOX",
        "UID STORE 5 +FLAGS (\\Answered)",
    ):
        show(command, await best(client, command, runs=200))


async def sessions(house: House) -> None:
    begin = time.process_time()
    for _ in range(200):
        client = house.connect(peer="192.0.2.2")
        client.driver.received(b"a LOGIN ann@example.org secret\r\nb LOGOUT\r\n")
        await done(client)
        assert not client.link.alive
    show("connect, LOGIN, LOGOUT", (time.process_time() - begin) / 200 * 1e6)


async def idle(house: House) -> None:
    count = 500
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    clients = []
    house.gate.most = count + 1
    for _ in range(count):
        client = house.connect(peer="192.0.2.3")
        client.driver.received(b"a LOGIN ann@example.org secret\r\nb SELECT INBOX\r\nc IDLE\r\n")
        await done(client)
        client.hear()
        clients.append(client)
    gc.collect()
    show("memory of a client in IDLE", (tracemalloc.get_traced_memory()[0] - before) / count / 1024, "KiB")
    tracemalloc.stop()
    other = await house.selected()
    begin = time.process_time()
    await other.do("STORE 1 +FLAGS (\\Draft)")
    await settle(*clients)
    show("push of one change, a client", (time.process_time() - begin) / count * 1e6)
    assert all(b"\\Draft" in client.hear() for client in clients)


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(folder)
        await measure(House(store=store), count)
        await store.close()


async def measure(house: House, count: int) -> None:
    await house.add_account("ann@example.org")
    await fill(house, count)
    client = await house.selected()
    await rows(client, count)
    await single(client)
    await sessions(house)
    await idle(house)


if __name__ == "__main__":
    asyncio.run(main())
