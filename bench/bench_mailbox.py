"""What views and searches cost, without files: CPU per operation on a mailbox of 10,000 messages.

Run: PYTHONPATH=src python bench/bench_mailbox.py. Prints one line for each operation, the best of several rounds.
"""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from postroom.mailbox.criteria import Scene
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.search import Pace, search
from postroom.mailbox.service import Mailboxes
from postroom.mailbox.view import View
from postroom.store.api import AccountRow, AccountStore, FlagChange, FlagOp, Page, Snapshot, StoreFlagsResult
from postroom.store.memory import MemoryStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.values.flags import FLAGGED, SEEN
from postroom.wire.imap.commands import STAR, Key, SearchKey

COUNT = 10_000
PAGE = 256
ROUNDS = 7
TEXT = "the of and postroom mailbox weather meeting report budget tuesday figures attached regards again"
WORDS = TEXT.split()


def page(begin: int, end: int, flags: bytes, modseq: int) -> Page:
    count = end - begin
    return Page(
        array("I", range(begin + 1, end + 1)),
        flags,
        array("Q", [0]) * count,
        array("Q", [modseq]) * count,
        array("Q", range(begin + 1, end + 1)),
        array("I", [20_000]) * count,
        array("q", range(1_700_000_000, 1_700_000_000 + count)),
        array("I", [1_700_000_000]) * count,
    )


def snapshot(modseq: int = 1, count: int = COUNT, flags: int = 0) -> Snapshot:
    pages = [
        page(at, min(at + PAGE, count), bytes([flags]) * (min(at + PAGE, count) - at), modseq)
        for at in range(0, count, PAGE)
    ]
    return Snapshot(1, 1, count + 1, modseq, pages)


def with_page(old: Snapshot, number: int, new: Page, modseq: int) -> Snapshot:
    pages = list(old.pages)
    pages[number] = new
    return Snapshot(1, 1, old.uidnext, modseq, pages)


def best(work: Callable[[], Any], prepare: Callable[[], Any] = lambda: None) -> float:
    """Seconds of CPU of the best round."""
    found = []
    for _ in range(ROUNDS):
        prepare()
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def line(what: str, seconds: float, count: int = 0) -> None:
    each = f"{seconds / count * 1e6:10.3f} µs each" if count else ""
    print(f"{what:58} {seconds * 1e3:10.3f} ms {each}")


async def filled(bodies: Sequence[bytes], count: int) -> tuple[AccountStore, Snapshot]:
    """An account in memory with so many messages in its INBOX."""
    store = MemoryStore()
    row = AccountRow(id="a1", login="ann@example.org", created=0.0)
    await store.directory.put_account(row)
    await store.create_account("a1", [("INBOX", "")])
    account = await Mailboxes(store, SystemClock(), lambda: uuid4().hex).open(row)
    inbox = (await account.find("INBOX")).id
    new = [Incoming(content=Content.of(body), flags=FLAGGED) for body in bodies]
    for _ in range(0, count, len(new)):
        await account.append(inbox, new)
    return account.store, await account.snapshot(inbox)


def messages(size: int, count: int) -> list[bytes]:
    rng = random.Random(1)
    made = []
    for number in range(count):
        body, left = [], size
        while left > 0:
            text = " ".join(rng.choices(WORDS, k=11))
            body.append(text)
            left -= len(text) + 2
        made.append(
            f"From: Person {number} <person{number}@example.org>\r\nTo: Somebody Else <else@example.com>\r\n"
            f"Subject: {' '.join(rng.choices(WORDS, k=5))}\r\nDate: Tue, 14 Nov 2023 12:00:{number % 60:02} +0000\r\n"
            f"Message-ID: <{number}.{rng.random()}@example.org>\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n\r\n".encode()
            + "\r\n".join(body).encode()
        )
    return made


def views() -> None:
    old = snapshot()
    same = [View(old) for _ in range(1000)]
    line("changes: nothing, 1,000 views", best(lambda: [view.changes(old, expunge_ok=True) for view in same]), 1000)

    last = len(old.pages) - 1
    size = len(old.pages[last])
    more = with_page(old, last, page(last * PAGE, last * PAGE + size + 1, bytes(size + 1), 2), 2)
    more = Snapshot(1, 1, COUNT + 2, 2, more.pages)
    state: list[View] = []

    def fresh() -> None:
        state[:] = [View(old) for _ in range(100)]

    line(
        "changes: one new message, 100 views",
        best(lambda: [v.changes(more, expunge_ok=True) for v in state], fresh),
        100,
    )

    flags = bytearray(PAGE)
    flags[100] = SEEN
    one = with_page(old, 20, page(20 * PAGE, 21 * PAGE, bytes(flags), 2), 2)
    line("changes: one flag, 100 views", best(lambda: [v.changes(one, expunge_ok=True) for v in state], fresh), 100)

    every = snapshot(2, flags=SEEN)
    line("changes: all flags of 10,000", best(lambda: state[0].changes(every, expunge_ok=True), fresh), COUNT)

    uids = state[0].resolve(((1, STAR),), uid=False).uids()
    line("resolve 1:* to UIDs", best(lambda: state[0].resolve(((1, STAR),), uid=False).uids(), fresh), COUNT)
    change = FlagChange(op=FlagOp.ADD, bits=SEEN)
    result = StoreFlagsResult(every, tuple(uids), (), ())
    line("STORE 1:* +FLAGS taken in", best(lambda: state[0].stored(result, uids, change, silent=False), fresh), COUNT)
    line("STORE 1:* .SILENT taken in", best(lambda: state[0].stored(result, uids, change, silent=True), fresh), COUNT)

    half = Snapshot(1, 1, COUNT + 1, 2, [without_odd(each) for each in old.pages])
    line("changes: every second expunged", best(lambda: state[0].changes(half, expunge_ok=True), fresh), COUNT // 2)
    line("the same, kept as ghosts", best(lambda: state[0].changes(half, expunge_ok=False), fresh), COUNT // 2)


def without_odd(each: Page) -> Page:
    return Page(
        each.uids[::2], each.flags[::2], each.keywords[::2], each.modseqs[::2], each.messages[::2], each.sizes[::2],
        each.dates[::2], each.saved[::2],
    )  # fmt: skip


def searches() -> None:
    loop = asyncio.new_event_loop()
    small = loop.run_until_complete(filled(messages(400, 200), COUNT))
    big = loop.run_until_complete(filled(messages(20_000, 200), COUNT // 10))

    def run(what: str, key: SearchKey, mailbox: tuple[AccountStore, Snapshot]) -> None:
        account, known = mailbox
        scene = Scene(known, (), 1_700_000_000)

        async def work() -> list[int]:
            found = await search(key, scene, account, Pace(SystemClock()))
            return found.uids()

        line(f"SEARCH {what}", best(lambda: loop.run_until_complete(work())), len(known))

    run("UNSEEN (all match)", SearchKey(Key.UNFLAGS, bits=SEEN), small)
    run("SEEN (none match)", SearchKey(Key.FLAGS, bits=SEEN), small)
    run("LARGER", SearchKey(Key.LARGER, number=30_000), small)
    run("SINCE", SearchKey(Key.SINCE, number=20_000), small)
    run("FROM, no match", SearchKey(Key.HEADER, name="FROM", text="nobody@example.net"), small)
    run("FROM, one in 200 matches", SearchKey(Key.HEADER, name="FROM", text="person77@"), small)
    run("SUBJECT, most match", SearchKey(Key.HEADER, name="SUBJECT", text="e"), small)
    run("SENTSINCE", SearchKey(Key.SENTSINCE, number=20_000), small)
    run("HEADER X-Spam", SearchKey(Key.HEADER, name="X-Spam", text="yes"), small)
    run("BODY, 20 KB each, no match", SearchKey(Key.BODY, text="nothing like this"), big)
    run("TEXT, 20 KB each, no match", SearchKey(Key.TEXT, text="nothing like this"), big)
    loop.close()


if __name__ == "__main__":
    views()
    searches()
