"""The measurements that chose the store's shape: queue files, page size, pages against rows, fsync.

PYTHONPATH=src python bench/bench_store_choices.py [queue pages rows sync]
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import shutil
import sys
import tempfile
import time
from array import array
from pathlib import Path

import apsw
import uvloop
from bench_store import new_entry, new_message

from postroom.store.api import FlagChange, FlagOp
from postroom.store.embedded import EmbeddedStore, working
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.queue_file import QueueFile
from postroom.values.flags import SEEN

MESSAGES = 2000


def accept_many(data: str, slot: int, shared: bool, together: int, barrier, results) -> None:
    if shared:
        _share_one_file()

    async def run() -> None:
        store = EmbeddedStore(data, slot)

        async def one() -> None:
            for _ in range(MESSAGES // together):
                await store.queue.accept(new_entry(secrets.token_hex(8)))

        await one()
        barrier.wait()
        began, burnt = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one() for _ in range(together)))
        results.put((time.process_time() - burnt, time.perf_counter() - began))
        barrier.wait()
        await store.close()

    uvloop.run(run())


def _share_one_file() -> None:
    """Both processes write 0.db; row numbers are then looked up in every transaction."""
    Layout.slot = lambda self, _slot: f"{self.data}/queue/0.db"  # type: ignore[method-assign]
    begin = QueueFile.begin

    def begin_shared(self: QueueFile, durable: bool = True):
        unit = begin(self, durable)
        self.next_body = unit.connection.execute("SELECT coalesce(max(id), 0) + 1 FROM body").get
        return unit

    QueueFile.begin = begin_shared  # type: ignore[method-assign]


def queue() -> None:
    print("queue.accept of 4 KiB in two processes at once: CPU us, wall us a message (best of 5)")
    context = multiprocessing.get_context("spawn")
    for together in (1, 20, 100):
        for shared in (False, True):
            best = [float("inf"), float("inf")]
            for _ in range(5):
                folder = tempfile.mkdtemp()
                barrier, results = context.Barrier(2), context.Queue()
                workers = [
                    context.Process(target=accept_many, args=(folder, slot, shared, together, barrier, results))
                    for slot in (0, 1)
                ]
                for worker in workers:
                    worker.start()
                figures = [results.get() for _ in workers]
                for worker in workers:
                    worker.join()
                shutil.rmtree(folder)
                best[0] = min(best[0], sum(cpu for cpu, _ in figures) / 2 / MESSAGES * 1e6)
                best[1] = min(best[1], max(wall for _, wall in figures) / 2 / MESSAGES * 1e6)
            label = "one shared file" if shared else "a file for each"
            print(f"  {together:3} senders each, {label:16} {best[0]:7.1f} {best[1]:7.1f}", flush=True)


SIZES = ((256, 64), (512, 32), (512, 64), (512, 128), (1024, 64), (2048, 128))


def pages() -> None:
    """Variants take turns, so that a noisy machine disturbs all alike."""
    print("(FULL, TAIL): CPU us, best of 25, of deliver alone | STORE one | STORE 1:* | cold snapshot, all of 10,000")

    async def run() -> None:
        folder = tempfile.mkdtemp()
        store = EmbeddedStore(Path(folder) / "data")
        variants = []
        for full, tail in SIZES:
            working.FULL, working.TAIL = full, tail  # type: ignore[misc]
            name = f"a{full}-{tail}"
            await store.create_account(name, [("INBOX", "")])
            account = await store.account(name)
            inbox = (await account.mailboxes())[0].id
            for _ in range(50):
                await account.append(inbox, [new_message() for _ in range(200)])
            variants.append((full, tail, account, inbox, [float("inf")] * 4))
        for _ in range(25):
            for full, tail, account, inbox, best in variants:
                working.FULL, working.TAIL = full, tail  # type: ignore[misc]
                for place, (work, count) in enumerate(_page_work(account, inbox)):
                    burnt = time.process_time()
                    for _ in range(count):
                        await work()
                    best[place] = min(best[place], (time.process_time() - burnt) / count * 1e6)
        for full, tail, *_, best in variants:
            print(f"  {full:5} {tail:4}  " + " ".join(f"{figure:9.1f}" for figure in best), flush=True)
        await store.close()
        shutil.rmtree(folder)

    uvloop.run(run())


def _page_work(account, inbox: int):
    async def cold() -> None:
        account._file.images.clear()
        await account.snapshot(inbox)

    return (
        (lambda: account.append(inbox, [new_message()]), 20),
        (lambda: account.store_flags(inbox, [secrets.randbelow(10_000) + 1], _toggle()), 20),
        (lambda: account.store_flags(inbox, range(1, 10_001), _toggle()), 2),
        (cold, 1),
    )


_state = [FlagOp.ADD]


def _toggle() -> FlagChange:
    _state[0] = FlagOp.REMOVE if _state[0] is FlagOp.ADD else FlagOp.ADD
    return FlagChange(op=_state[0], bits=SEEN)


def rows() -> None:
    """The same columns as narrow rows, as fast as SQL lets them be."""
    folder = tempfile.mkdtemp()
    database = apsw.Connection(f"{folder}/rows.db")
    database.pragma("journal_mode", "wal")
    database.pragma("synchronous", 2)
    database.execute(
        "CREATE TABLE entry(mailbox INTEGER, uid INTEGER, flags INTEGER, keywords INTEGER, modseq INTEGER,"
        " message INTEGER, size INTEGER, date INTEGER, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID"
    )
    with database:
        database.executemany(
            "INSERT INTO entry VALUES (1, ?, 0, 0, ?, ?, 4096, 1700000000)", [(n, n, n) for n in range(1, 10_001)]
        )

    def best(label: str, work, count: int = 1) -> None:
        fastest = float("inf")
        for _ in range(7):
            burnt = time.process_time()
            for _ in range(count):
                work()
            fastest = min(fastest, (time.process_time() - burnt) / count * 1e6)
        print(f"  {label:32}{fastest:9.1f}", flush=True)

    def load() -> None:
        found = database.execute("SELECT uid, flags, keywords, modseq, message FROM entry WHERE mailbox = 1").fetchall()
        array("I", [row[0] for row in found])

    def bulk() -> None:
        with database:
            database.execute("UPDATE entry SET flags = 1 - flags, modseq = modseq + 1 WHERE mailbox = 1")

    def one() -> None:
        with database:
            uid = secrets.randbelow(9999) + 1
            database.execute("UPDATE entry SET flags = 1 - flags WHERE mailbox = 1 AND uid = ?", (uid,))

    print("rows: CPU us")
    best("load 10,000", load)
    best("STORE 1:* of 10,000", bulk)
    best("STORE one", one, 100)
    shutil.rmtree(folder)


def sync() -> None:
    """What the disk costs by itself."""
    folder = tempfile.mkdtemp()
    file = os.open(f"{folder}/file", os.O_CREAT | os.O_WRONLY)
    place = 0
    print("write 4 KiB and fdatasync: CPU us, wall us (median)")
    for label, step in (("appending", 4096), ("in place", 0)):
        figures = []
        for _ in range(300):
            burnt, began = time.process_time(), time.perf_counter()
            os.pwrite(file, bytes(4096), place)
            os.fdatasync(file)
            figures.append((time.perf_counter() - began, time.process_time() - burnt))
            place += step
        wall = sorted(figure[0] for figure in figures)[150] * 1e6
        cpu = sum(figure[1] for figure in figures) / 300 * 1e6
        print(f"  {label:20}{cpu:9.1f}{wall:9.1f}", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    for name in sys.argv[1:] or ["sync", "queue", "pages", "rows"]:
        {"queue": queue, "pages": pages, "rows": rows, "sync": sync}[name]()
