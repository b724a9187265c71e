"""CPU and memory of a day's DMARC reports, and of reading one large report of somebody else.

`python bench/bench_reports.py [MESSAGES]`. Events of MESSAGES examined messages (200,000) from 2,000 addresses in the
name of 500 domains are written as a worker writes them; then the reports about that day are made, while a timer on the
event loop says how long it was held up.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from postroom.delivery.report_reading import reports_in
from postroom.intake.dmarc_maker import DmarcMaker
from postroom.mailauth.dmarc.aggregate import Aggregate, Published, Row, print_xml
from postroom.mailauth.zone import ZoneData
from postroom.queue.daily import DailyReport, ReportDay, Submitter
from postroom.store.embedded import EmbeddedStore

DAY = ReportDay.named("2026-03-04")
WHO = Submitter(domain="here.example", org="Here", contact="postmaster@here.example", hostname="mx.here.example")
DOMAINS = [f"d{number}.example" for number in range(500)]
ZONE: dict[str, Any] = {f"_dmarc.{name}": {"TXT": [f"v=DMARC1; p=reject; rua=mailto:dmarc@{name}"]} for name in DOMAINS}


class Clock:
    """Stands on the day."""

    def __init__(self) -> None:
        self.time = float(DAY.begin)

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


async def write(store: EmbeddedStore, clock: Clock, messages: int) -> None:
    dice = random.Random(1)
    for number in range(messages):
        clock.time = DAY.begin + number * 86400 / messages
        name = DOMAINS[int(dice.random() ** 3 * len(DOMAINS))]
        ip = f"198.51.{dice.randrange(8)}.{dice.randrange(250)}"
        published = [name, "reject", "", "", "r", "r", "0", "n"]
        told = [ip, name, [name, "pass"], [[published, name, "pass", True, True, [], [[name, "s1", "pass"]]]]]
        store.events.add(
            clock.time,
            "mail.checked",
            {"queue_id": f"q{number}", "spf": "pass", "dmarc": "pass", "reason": "proven", "report": told},
        )
        for other in ("message.accepted", "message.delivered"):
            store.events.add(clock.time, other, {"queue_id": f"q{number}", "sender": f"x{number}@{name}"})
        if not number % 2000:
            await store.events.flush()
    await store.events.flush()


async def longest_wait(waits: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        waits.append(time.perf_counter() - before)


async def work(folder: Path, messages: int) -> None:
    clock = Clock()
    store = EmbeddedStore(folder, clock=clock)
    await write(store, clock, messages)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    waits: list[float] = []
    watcher = asyncio.ensure_future(longest_wait(waits))
    cpu, wall = time.process_time(), time.perf_counter()
    made = [one async for one in DmarcMaker(store.events, ZoneData(ZONE)).reports(DAY, WHO)]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    watcher.cancel()
    waits.sort()
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    reports = [one for one in made if isinstance(one, DailyReport)]
    octets = sum(len(one.octets) for one in reports)
    print(f"{messages} messages: {len(reports)} reports of {octets / 1024:.0f} KiB in {wall:.1f} s, {cpu:.1f} s of CPU")
    print(f"  {cpu / messages * 1e6:.1f} us a message; {more / 1024:.0f} MiB more at the most")
    print(f"  the loop waited {waits[len(waits) // 2] * 1e3:.1f} ms (median), {waits[-1] * 1e3:.0f} ms at the most")
    await store.close()


def read_large() -> None:
    rows = tuple(Row(f"198.51.{n // 250}.{n % 250}", n + 1, "pass", True, True, "here.example") for n in range(10_000))
    report = Aggregate(
        org="Far", email="", id="1", begin=DAY.begin, end=DAY.end, published=Published("here.example"), rows=rows
    )
    octets = b"From: x@far.example\r\nContent-Type: text/xml\r\n\r\n" + b"".join(print_xml(report))
    cpu = time.process_time()
    reports_in(octets, DAY.end)
    print(f"a report of 10,000 rows ({len(octets) / 1024:.0f} KiB): read in {time.process_time() - cpu:.2f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(work(Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
    read_large()
