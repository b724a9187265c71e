"""Who is taken into the index when: mail gathers, files hurry, and a fault in one account is nobody else's."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import index_hints, indexing
from postroom.app.index_hints import IndexHints
from postroom.app.indexing import Indexing
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Mailboxes
from postroom.observe.log import Events
from postroom.store.api import AccountRow, AccountStore, Feed
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import SystemClock
from postroom.values.content import Content


class Reads:
    """Takes the file itself for its text."""

    async def text(self, kind: str, data: bytes) -> str:
        return data.decode()

    async def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in pair:
        end.setblocking(False)
    yield pair
    for end in pair:
        end.close()


def keeping(store: Any, socks: tuple[socket.socket, ...] = ()) -> Indexing:
    return Indexing(store, socks, Events("error", stream=io.BytesIO(), process="index"), Reads())  # type: ignore[arg-type]


def waits(work: Indexing, account: str) -> float:
    """Seconds until the account is ripe; 0 when it is."""
    if account in work._fresh:
        return 0.0
    return work._news[account].timer.when() - asyncio.get_running_loop().time()


async def test_mail_gathers_and_files_hurry() -> None:
    work = keeping(None)
    work.news("few", 3)
    assert 0.5 < waits(work, "few") <= indexing._MANY_WAIT
    work._news["few"].timer.cancel()
    work._waited("few")
    assert waits(work, "few") > 5.0
    work.news("few", 1, files=True)
    assert 0.0 < waits(work, "few") <= indexing._FILES_WAIT
    work.news("many", indexing._MANY)
    work._news["many"].timer.cancel()
    work._waited("many")
    assert waits(work, "many") == 0.0
    work.news("flood", 600)
    assert waits(work, "flood") > 0.0
    work.news("flood", 600)
    assert waits(work, "flood") == 0.0
    work.news("spoilt", 0)
    assert list(work._waiting) == ["spoilt"]
    work._news["few"].timer.cancel()


async def test_workers_tell_of_files_sooner(ends: tuple[socket.socket, socket.socket]) -> None:
    here, there = ends
    feed = Feed()
    hints = IndexHints(here, feed)
    loop = asyncio.get_running_loop()
    feed.arrived("a1", 2, False)
    assert hints._timer is not None
    assert hints._timer.when() - loop.time() > index_hints.TOLD_SOON
    feed.arrived("a1", 1, True)
    feed.arrived("a2", 5, False)
    assert hints._timer.when() - loop.time() <= index_hints.TOLD_SOON
    told = await loop.sock_recv(there, 65536)
    assert told == b"Fa1 3\nCa2 5\n"
    work = keeping(None, (there,))
    here.send(told)
    work._hear(there)
    assert {account: news.messages for account, news in work._news.items()} == {"a1": 3, "a2": 5}
    for news in work._news.values():
        news.timer.cancel()


async def fill(store: EmbeddedStore, account: str, *messages: bytes) -> AccountStore:
    if await store.directory.account(account) is None:
        row = AccountRow(id=account, login=f"{account}@example.org", created=0.0)
        await store.directory.put_account(row)
        await store.create_account(account, [("INBOX", "")])
    row = await store.directory.account(account)  # type: ignore[assignment]
    kept = await store.account(account)
    inbox = await kept.mailbox("INBOX")
    assert inbox is not None
    opened = await Mailboxes(store, SystemClock(), lambda: f"{len(messages):032x}").open(row)
    await opened.append(inbox.id, [Incoming(content=Content.of(each)) for each in messages])
    return kept


def with_file(text: str) -> bytes:
    head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    return f"{head}Content-Type: application/json; name=a.json\r\n\r\n{text}\r\n--b--\r\n".encode()


async def test_a_fault_in_one_account_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "FIRST_SECONDS", 3600.0)
    store = EmbeddedStore(tmp_path / "data")
    broken = await fill(store, "broken", b"Subject: a\r\n\r\nx\r\n")
    sound = await fill(store, "sound", b"Subject: a\r\n\r\nx\r\n", with_file("filed"))
    told: list[tuple[str, int, bool]] = []
    store.feed.arrived = lambda *news: told.append(news)
    await fill(store, "sound", with_file("more"), b"Subject: b\r\n\r\ny\r\n")
    assert told == [("sound", 2, True)]
    keeper_of = Indexing._keeper

    def faulty(self: Indexing, kept: AccountStore) -> Any:
        if kept.id == "broken":
            raise KeyError("unforeseen")
        return keeper_of(self, kept)

    monkeypatch.setattr(Indexing, "_keeper", faulty)
    work = keeping(store)
    running = asyncio.create_task(work.run())
    work.want("broken")
    work.want("sound")
    async with asyncio.timeout(60):
        while True:
            with sound.index.read() as reading:
                if reading.state.until == 4 and not reading.state.waiting:
                    assert set(reading.texts([1, 2, 3, 4])) == {2, 3}
                    break
            await asyncio.sleep(0)
    with broken.index.read() as reading:
        assert reading.state.until == 0
    running.cancel()
    await asyncio.wait([running])
    await store.close()
