"""kill -9 of a process that writes, again and again: nothing promised is missing, nothing is there twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from store_house import STRICT, must_be_sound

from postroom.store.api import QueueFilter
from postroom.store.embedded import EmbeddedStore
from postroom.store.embedded.codec import unpack_uids
from postroom.testing.store_contract.build import open_account, uids

ROUNDS = 4
LINES = 150


def killed_after(data: Path, run: int, lines: int) -> list[list[str]]:
    """Run the writer and kill it once it has said so many lines; what it said."""
    writer = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("killed_writer.py")), str(data), str(run)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert writer.stdout is not None
    said = [writer.stdout.readline().split() for _ in range(lines)]
    writer.kill()
    said += [line.split() for line in writer.stdout]
    writer.stdout.close()
    writer.wait()
    return [line for line in said if len(line) > 1]


async def test_kill_nine(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    await open_account(store)
    await store.close()
    accepted: set[str] = set()
    delivered: Counter[str] = Counter()
    given: list[int] = []
    for run in range(ROUNDS):
        for word, entry, *uid in killed_after(tmp_path, run, LINES):
            if word == "accepted":
                accepted.add(entry)
            else:
                delivered[entry] += 1
                given.append(int(uid[0]))
    assert len(accepted) > ROUNDS * 20
    assert max(delivered.values()) == 1
    assert len(set(given)) == len(given)

    store = EmbeddedStore(tmp_path, options=STRICT)
    waiting = {entry.id for entry in await store.queue.entries(QueueFilter(limit=100_000))}
    assert accepted <= waiting | set(store_delivered(tmp_path))
    account, inbox = await open_account(store)
    there = set(uids(await account.snapshot(inbox.id))) | set(await account.vanished(inbox.id, 0) or ())
    assert set(given) <= there
    await store.sweep(0.0, 0.0)
    await store.close()
    await must_be_sound(tmp_path)


def store_delivered(data: Path) -> list[str]:
    """Queue ids the account remembers."""
    import apsw

    (path,) = data.glob("accounts/*/acc1/mail.db")
    database = apsw.Connection(str(path))
    rows = database.execute("SELECT queue FROM delivered").fetchall()
    for (marks,) in database.execute("SELECT marks FROM mailbox WHERE marks <> ''"):
        rows.extend(mark.split(" ")[:1] for mark in marks.strip("\n").split("\n"))
    for (packed,) in database.execute("SELECT uids FROM expunged"):
        assert len(unpack_uids(packed))
    database.close()
    return [queue for (queue,) in rows]
