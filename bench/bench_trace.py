"""How long `postroom trace` takes among a million events: the question goal of one second, cold and warm.

    PYTHONPATH=src python bench/bench_trace.py [events]

Fills a site's events through the store's own API, then asks as an administrator does: the whole command, Python's start
included, in a process of its own. "cold": the events' files were dropped from the page cache before. It says so when an
answer took more than a second of CPU. The whole takes about a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench_events import DAYS, Mail

from postroom.store.embedded import EmbeddedStore
from postroom.testing.store_contract import SettableClock

GOAL = 1.0
BATCH = 5000
SOURCE = Path(__file__).resolve().parents[1] / "src"


@dataclass(frozen=True, slots=True)
class Known:
    """What to ask for. start: Unix seconds of the first event."""

    id: str
    message_id: str
    recipient: str
    sender: str
    start: float


async def fill(data: Path, wanted: int) -> Known:
    """Events of the last thirty days; what can be asked about."""
    clock = SettableClock()
    start = time.time() - DAYS * 86400
    store = EmbeddedStore(data, clock=clock)
    mail, done = Mail(), 0
    middle: list[tuple[float, str, dict[str, object]]] = []
    while done < wanted:
        clock.time = start + done / wanted * DAYS * 86400
        told: list[tuple[float, str, dict[str, object]]] = []
        while len(told) < BATCH:
            told += (one := mail.one(clock.time))
            if not middle and done * 2 >= wanted:
                middle = one
        for event in told:
            store.events.add(*event)
        await store.events.flush()
        done += len(told)
    await store.close()
    fields = middle[0][2]
    to = fields["to"]
    assert isinstance(to, list)
    return Known(str(fields["queue_id"]), str(fields["message_id"]), str(to[0]), str(fields["sender"]), start)


def forget(data: Path) -> None:
    """Take the events' files out of the page cache."""
    for path in (data / "events").iterdir():
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def ask(config: Path, *words: str) -> tuple[float, float, int]:
    """Run the command: (seconds of CPU, seconds in all, messages found)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "postroom", "trace", *words, "--json", "--config", str(config)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr.decode())
    return cpu, wall, len(json.loads(done.stdout)["messages"])


def main(wanted: int) -> int:
    """Fill, ask, print; the exit status."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "site"
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        command = [sys.executable, "-m", "postroom", "init", str(folder), "--hostname", "mail.example.org"]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        began = time.perf_counter()
        known = asyncio.run(fill(folder / "data", wanted))
        print(f"{wanted} events of {DAYS} days, written in {time.perf_counter() - began:.0f} s\n")
        questions = {
            "one message by its id": (known.id,),
            "by its Message-ID": (f"<{known.message_id}>",),
            "a recipient, newest 20": (known.recipient,),
            "a recipient, the last day": (known.recipient, "--since", "1d"),
            "a recipient, everything": (known.recipient, "--limit", "1000"),
            "a sender": (known.sender,),
            "an IP address, newest 20": ("192.0.2.7",),
            "a word that is not there": ("nobody@example.org",),
            "the newest 20 of all": (),
        }
        print("| the whole command | found | CPU cold | wall cold | CPU warm | wall warm |")
        print("|---|---|---|---|---|---|")
        worst = 0.0
        for name, words in questions.items():
            forget(folder / "data")
            cold = ask(folder / "postroom.toml", *words)
            warm = min((ask(folder / "postroom.toml", *words) for _ in range(3)), key=lambda one: one[0])
            print(f"| {name} | {cold[2]} | {cold[0]:.2f} | {cold[1]:.2f} | {warm[0]:.2f} | {warm[1]:.2f} |", flush=True)
            worst = max(worst, warm[0])
    print(f"\nthe dearest answer took {worst:.2f} s of CPU; the goal is {GOAL:g} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
