"""Text of attachments in the index: found like the body's, also by phrases, and only what there is to find."""

from __future__ import annotations

import base64

import pytest
from index_house import add, body, filled, found, text

from postroom.index.extraction.service import NotRead
from postroom.index.keeper import Keeper
from postroom.mailbox import indexed
from postroom.store.api import AccountStore
from postroom.store.memory import MemoryStore
from postroom.values.clock import SystemClock
from postroom.wire.imap.commands import Key, SearchKey


class Reads:
    """Takes what follows the first line for the text."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.broken = 0

    async def text(self, kind: str, data: bytes) -> str:
        self.asked.append(data)
        if b"locked" in data:
            raise NotRead("a password")
        if self.broken:
            self.broken -= 1
            raise NotRead("the child died", again=True)
        return data.partition(b"\n")[2].decode()


def mail(words: str, *files: str) -> bytes:
    parts = [f"--b\r\nContent-Type: text/plain\r\n\r\n{words}\r\n"]
    parts += [
        f'--b\r\nContent-Type: application/pdf; name="f{place}.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + base64.encodebytes(b"%PDF-1\n" + each.encode()).decode()
        + "\r\n"
        for place, each in enumerate(files)
    ]
    return ("Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + "".join(parts) + "--b--\r\n").encode()


@pytest.fixture(autouse=True)
def _always_ask_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_FEW", 0)


async def keep(account: AccountStore, reader: Reads | None) -> None:
    keeper = Keeper(account, SystemClock(), reader=reader)
    for _ in range(1000):
        if not await keeper.step():
            return
    raise AssertionError("it never ends")


async def test_text_of_attachments_is_found() -> None:
    account = await filled([
        mail("hello", "Invoice number 4711", "Zürich und Genf"),
        mail("hello", "locked"),
        mail("invoice"),
        mail("hello", "number of the invoice"),
    ])  # fmt: skip
    reader = Reads()
    await keep(account, reader)
    assert len(reader.asked) == 4
    assert await found(account, body("invoice")) == [1, 3, 4]
    assert await found(account, text("zurich")) == [1]
    assert await found(account, body("invoice number 47")) == [1]
    assert await found(account, body("number invoice")) == []
    assert await found(account, body("hello")) == [1, 2, 4]
    with account.index.read() as reading:
        assert reading.state.waiting == {}
    assert not await Keeper(account, SystemClock(), reader=reader).step()


async def test_files_of_a_few_messages_are_searched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few are looked at without asking the index first; but only the index knows what is in their files."""
    monkeypatch.undo()
    account = await filled([
        mail("hello", "Invoice number 4711", "Zürich und Genf"),
        mail("invoice"),
        b"Subject: invoice\r\n\r\nplain\r\n",
    ])  # fmt: skip
    await keep(account, Reads())
    assert await found(account, body("invoice number 47")) == [1]
    assert await found(account, body("invoice")) == [1, 2]
    assert await found(account, text("zurich")) == [1]
    assert await found(account, text("invoice")) == [1, 2, 3]
    assert await found(account, body("plain")) == [3]


async def test_a_file_that_ends_its_reader_is_tried_again_and_given_up() -> None:
    store = MemoryStore()
    account = await filled([mail("a", "first")], store)
    reader = Reads()
    reader.broken = 1
    await keep(account, reader)
    assert await found(account, body("first")) == [1]
    await add(store, [mail("b", "second")])
    reader.broken = 99
    reader.asked.clear()
    await keep(account, reader)
    assert len(reader.asked) == 3
    assert await found(account, body("second")) == []
    with account.index.read() as reading:
        assert reading.state.waiting == {}


async def test_a_small_mailbox_is_searched_in_its_attachments_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages are read and not looked up; what stands in their files is in the index alone."""
    monkeypatch.setattr(indexed, "_FEW", 24)
    account = await filled([mail("hello", "Invoice number 4711"), mail("invoice"), b"Subject: c\r\n\r\nnothing\r\n"])
    assert await found(account, body("invoice")) == [2]
    await keep(account, Reads())
    assert await found(account, body("invoice")) == [1, 2]
    assert await found(account, text("number 47")) == [1]
    assert await found(account, SearchKey(Key.NOT, keys=(body("invoice"),))) == [3]


async def test_without_a_reader_attachments_are_left_alone() -> None:
    account = await filled([mail("a", "first")])
    await keep(account, None)
    assert await found(account, body("first")) == []
    assert await found(account, body("a")) == [1]


async def test_many_attachments_take_few_changes() -> None:
    account = await filled([mail(f"m{number}", f"file{number}") for number in range(100)])
    await keep(account, Reads())
    with account.index.read() as reading:
        assert len(reading.state.segments) <= 10
    assert await found(account, body("file42")) == [43]
    assert len(await found(account, body("file"))) == 100
