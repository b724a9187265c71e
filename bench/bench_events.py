"""What the events of messages cost: CPU for each message told and kept, and the time of a search among a million.

    PYTHONPATH=src python bench/bench_events.py [events]

CPU is that of the whole process, so the thread that packs and writes is in it; the log line is not (bench_log).
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time

from postroom.store.api import EventQuery
from postroom.store.embedded import EmbeddedStore
from postroom.testing.store_contract import SettableClock

DAYS = 30
BATCH = 2000  # messages


class Mail:
    """Messages as a server of 5,000 people gets them: two events each, every third with a check of its sender."""

    def __init__(self) -> None:
        self.dice = random.Random(1)
        self.ids: list[str] = []

    def one(self, now: float) -> list[tuple[float, str, dict[str, object]]]:
        """The events of a message."""
        dice = self.dice
        name = f"{dice.getrandbits(64):013x}"
        self.ids.append(name)
        who = f"user{dice.randrange(5000)}@example.org"
        sender = f"sender{dice.randrange(20000)}@client{dice.randrange(500)}.example"
        events: list[tuple[float, str, dict[str, object]]] = [(now, "message.accepted", {
            "queue_id": name, "sender": sender, "recipients": 1, "size": dice.randrange(1000, 90000),
            "peer": f"192.0.2.{dice.randrange(250)}", "service": "smtp", "to": [who],
            "helo": f"mx{dice.randrange(500)}.client.example", "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
            "message_id": f"{dice.getrandbits(128):032x}@client.example",
        })]  # fmt: skip
        if dice.randrange(3) == 0:
            told = {"queue_id": name, "spf": "pass", "dkim": "pass", "dmarc": "pass"}
            events.append((now, "mail.checked", told))
        events.append((now, "message.delivered", {
            "queue_id": name, "recipient": who, "status": "2.0.0", "reply": "Delivered", "attempts": 1,
            "mailbox": "INBOX", "uid": dice.randrange(10000), "message": dice.randrange(10000),
        }))  # fmt: skip
        return events


async def fill(folder: str, wanted: int) -> list[str]:
    """Write the events over thirty days; print what they cost."""
    clock = SettableClock()
    store = EmbeddedStore(folder, clock=clock)
    mail, done, costs = Mail(), 0, []
    while done < wanted:
        clock.time = 1_700_000_000 + done / wanted * DAYS * 86400
        told = [event for _ in range(BATCH) for event in mail.one(clock.time)]
        before = time.process_time()
        for event in told:
            store.events.add(*event)
        await store.events.flush()
        costs.append((time.process_time() - before) / BATCH * 1e6)
        done += len(told)
    await store.close()
    octets = sum(entry.stat().st_size for entry in os.scandir(f"{folder}/events"))
    count, costs = len(mail.ids), sorted(costs)
    print(
        f"{done} events of {count} messages: {costs[len(costs) // 2]:.1f} us of CPU a message kept "
        f"(median of batches; best tenth {costs[len(costs) // 10]:.1f}, mean {sum(costs) / len(costs):.1f})"
    )
    print(f"{octets / count:.0f} octets a message on disk, {octets / 2**20:.0f} MiB in all")
    return mail.ids


async def look(folder: str, ids: list[str]) -> None:
    """Print the time of searches, from opening the store to the answer."""
    end = 1_700_000_000 + DAYS * 86400
    for what, query in (
        ("an id", EventQuery(word=ids[len(ids) // 2])),
        ("a recipient, newest 20", EventQuery(word="user77@example.org")),
        ("a recipient, everything", EventQuery(word="user77@example.org", limit=1000)),
        ("a sender", EventQuery(word="sender4711@client3.example", limit=1000)),
        ("an IP address, newest 20", EventQuery(word="192.0.2.7")),
        ("nothing", EventQuery(word="nobody@example.org")),
        ("a recipient on one day", EventQuery(word="user77@example.org", since=end - 86400, limit=1000)),
    ):
        store = EmbeddedStore(folder, None)
        times = []
        for _ in range(5):
            before = time.perf_counter()
            found = await store.events.find(query)
            times.append(time.perf_counter() - before)
        await store.close()
        print(f"{what}: {len(found)} found, {sorted(times)[2] * 1000:.0f} ms")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(look(place, asyncio.run(fill(place, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))))
