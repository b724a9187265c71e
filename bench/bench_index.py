"""What a full-text index costs and gives: CPU to keep, octets, CPU of a search; ours beside SQLite's FTS5.

Run: python bench/bench_index.py [messages]
Messages are of about 4 KiB, with the header fields of real mail (trace, DKIM) and words of a vocabulary of 200,000 that
are as rare as words are (Zipf). FTS5 gets the same folded text: by trigrams, which find any piece of a word of three
characters or more, and by words, which do not.
"""

from __future__ import annotations

import asyncio
import base64
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from time import process_time
from uuid import uuid4

import apsw

from postroom.index.documents import document
from postroom.index.keeper import Keeper
from postroom.index.lookup import look_up
from postroom.index.segment import BODY_FIELDS, TEXT_FIELDS
from postroom.index.terms import Wanted
from postroom.mailbox.criteria import Scene
from postroom.mailbox.search import Pace, search
from postroom.mailbox.service import Incoming, Mailboxes
from postroom.message.folding import fold
from postroom.message.index import index
from postroom.message.parts import Parts
from postroom.message.search import body_texts, header_lines
from postroom.store.api import AccountRow, AccountStore
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.wire.imap.commands import Key, SearchKey

RARE = "quokkaflux"  # in one of a hundred
COMMON = "wordof"  # a piece of a word in nearly all


def words() -> tuple[list[str], list[float]]:
    """A vocabulary and its cumulated weights."""
    rng = random.Random(1)
    letters, weights = (
        "etaoinshrdlucmfwypvbgkqjxz",
        [12, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, 3, 3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1],
    )
    known = ["".join(rng.choices(letters, weights, k=rng.randint(2, 11))) for _ in range(200_000)]
    known[20] = "thewordofall"
    return known, list(accumulate((rank + 2) ** -1.1 for rank in range(len(known))))


def messages(count: int) -> Iterator[bytes]:
    rng = random.Random(2)
    known, cumulated = words()
    for number in range(count):
        text = rng.choices(known, cum_weights=cumulated, k=480)
        if number % 100 == 7:
            text[100] = RARE
        lines = [" ".join(text[at : at + 11]) for at in range(0, len(text), 11)]
        signature = "\r\n\t".join(base64.b64encode(rng.randbytes(51)).decode() for _ in range(5))
        yield (
            f"Received: from mx{number}.example.net (mx{number}.example.net [192.0.2.{number % 250}])\r\n"
            f"\tby mail.example.org with ESMTPS id {rng.getrandbits(60):x}\r\n\tfor <ann@example.org>;"
            " Mon, 1 Jan 2024 10:00:00 +0000\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=k1;"
            f"\r\n\tb={signature}\r\nMessage-ID: <{rng.getrandbits(80):x}@example.net>\r\n"
            f"From: Person {number % 500} <p{number % 500}@example.net>\r\n"
            f"To: Ann <ann@example.org>\r\nSubject: {' '.join(text[:6])} nr{number}\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\n" + "\r\n".join(lines) + "\r\n"
        ).encode()


async def account(folder: str, count: int) -> tuple[EmbeddedStore, AccountStore]:
    store = EmbeddedStore(folder)
    row = AccountRow(id="a1", login="ann@example.org", created=0.0)
    await store.directory.put_account(row)
    await store.create_account("a1", [("INBOX", "")])
    boxes = await Mailboxes(store, SystemClock(), lambda: uuid4().hex).open(row)
    kept = await store.account("a1")
    inbox = await kept.mailbox("INBOX")
    assert inbox is not None
    batch: list[Incoming] = []
    for octets in messages(count):
        batch.append(Incoming(content=Content.of(octets)))
        if len(batch) == 200:
            await boxes.append(inbox.id, batch)
            batch = []
    if batch:
        await boxes.append(inbox.id, batch)
    return store, kept


def size(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("index.db*") if not path.name.endswith("shm"))


async def ours(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, kept = await account(folder, count)
        started = process_time()
        keeper = Keeper(kept, SystemClock())
        while await keeper.step():
            pass
        spent = process_time() - started
        with kept.index.read() as reading:
            segments = len(reading.state.segments)
        print(f"ours: {spent / count * 1e6:.0f} us a message, {size(folder) / count:.0f} octets, {segments} segments")
        for key, fields in ((Key.BODY, BODY_FIELDS), (Key.TEXT, TEXT_FIELDS)):
            for text in (RARE, COMMON, "zzq", "the", f"{RARE[:4]} x"):
                found = await look_up(kept.index, Wanted.of(text), fields)
                looked = await best(lambda text=text, fields=fields: look_up(kept.index, Wanted.of(text), fields))  # type: ignore[misc]
                whole = await best(lambda key=key, text=text: imap(kept, SearchKey(key, text=text)))  # type: ignore[misc]
                told = f"{len(found.sure)} sure, {len(found.maybe)} maybe"
                print(
                    f"  {key.name} {text!r:14} {told:26} look-up {looked * 1e3:7.2f} ms   SEARCH {whole * 1e3:7.2f} ms"
                )
        await store.close()


async def imap(kept: AccountStore, key: SearchKey) -> int:
    inbox = await kept.mailbox("INBOX")
    assert inbox is not None
    scene = Scene(snapshot=await kept.snapshot(inbox.id), saved=(), now=0.0)
    return len(await search(key, scene, kept, Pace(SystemClock())))


async def best(work: Callable[[], object], rounds: int = 5) -> float:
    found = 1e9
    for _ in range(rounds):
        started = process_time()
        await work()  # type: ignore[misc]
        found = min(found, process_time() - started)
    return found


def folded(octets: bytes) -> tuple[str, str]:
    """(header, body) as the index sees them."""
    packed = index(octets)

    def read(start: int, end: int) -> bytes:
        return octets[start:end]

    body = "\n".join(fold(text) for _, texts in body_texts(read, Parts.unpack(packed.parts)) for text in texts)
    return fold("\n".join(header_lines(octets[: packed.header]))), body


def fts5(count: int, tokenizer: str, detail: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = apsw.Connection(f"{folder}/index.db")
        database.pragma("journal_mode", "wal")
        database.pragma("synchronous", 1)
        database.execute(
            "CREATE VIRTUAL TABLE t USING fts5("
            f"header, body, tokenize={tokenizer!r}, content='', detail={detail}, columnsize=0)"
        )
        texts = [folded(octets) for octets in messages(count)]
        started = process_time()
        for at in range(0, count, 256):
            database.execute("BEGIN")
            database.executemany(
                "INSERT INTO t(rowid, header, body) VALUES (?, ?, ?)",
                [(at + place, *pair) for place, pair in enumerate(texts[at : at + 256])],
            )
            database.execute("COMMIT")
        spent = process_time() - started
        print(f"FTS5 {tokenizer}: {spent / count * 1e6:.0f} us a message, {size(folder) / count:.0f} octets")
        for text in (RARE, COMMON, "the"):
            took = 1e9
            for _ in range(5):
                started = process_time()
                rows = len(database.execute("SELECT rowid FROM t WHERE t MATCH ?", (f'"{text}"',)).fetchall())
                took = min(took, process_time() - started)
            print(f"  {text!r:14} {rows:6} rows {took * 1e3:7.2f} ms")
        database.close()


def taking_apart(count: int = 500) -> None:
    made = list(messages(count))
    packed = [index(octets).parts for octets in made]
    took = 1e9
    for _ in range(5):
        started = process_time()
        for octets, parts in zip(made, packed, strict=True):
            document(lambda start, end, octets=octets: octets[start:end], Parts.unpack(parts))  # type: ignore[misc]
        took = min(took, process_time() - started)
    print(f"taking a message apart into terms: {took / count * 1e6:.0f} us")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{count} messages of about 4 KiB")
    taking_apart()
    asyncio.run(ours(count))
    if count <= 20_000:
        fts5(count, "unicode61", "none")
        fts5(count, "trigram", "full")


if __name__ == "__main__":
    main()
