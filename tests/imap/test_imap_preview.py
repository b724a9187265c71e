"""PREVIEW in FETCH."""

from __future__ import annotations

from typing import Any

import pytest
from imap_house import NOW, Client, House, fill, play

from postroom.mailbox import previews
from postroom.mailbox.service import Incoming
from postroom.values.content import Content


async def with_texts(house: House, *texts: str) -> Client:
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))  # type: ignore[arg-type]
    info = await ann.find("INBOX")
    for text in texts:
        data = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
        added = await ann.append(info.id, [Incoming(content=Content.of(data), internaldate=NOW)])
        await ann.store.recent(info.id, added.uids[-1] + 1, claim=True)
    return await house.selected()


async def test_previews(house: House) -> None:
    await play(
        await with_texts(house, "Preview text!\r\n", "", 'say "hi" \\\r\n', "Grüße\r\n"),
        """
        C: a1 FETCH 1 (RFC822.SIZE PREVIEW)
        S: * 1 FETCH (RFC822.SIZE 58 PREVIEW "Preview text!")
        S: a1 OK ...
        C: a2 FETCH 2:3 PREVIEW
        S: * 2 FETCH (PREVIEW "")
        S: * 3 FETCH (PREVIEW "say \\"hi\\" \\\\")
        S: a2 OK ...
        C: a3 UID FETCH 4 (preview (lazy) UID)
        S: * 4 FETCH (PREVIEW {7}
        S: Grüße UID 4)
        S: a3 OK ...
        C: a4 FETCH 1 PREVIEW (LAZY)
        S: * 1 FETCH (PREVIEW "Preview text!")
        S: a4 OK ...
        C: a5 FETCH 1 (PREVIEW (LAZY) BODY.PEEK[TEXT])
        S: * 1 FETCH (PREVIEW "Preview text!" BODY[TEXT] {15}
        S: Preview text!
        S: )
        S: a5 OK ...
        C: a6 FETCH 1 PREVIEW (CHANGEDSINCE 1)
        S: * OK [HIGHESTMODSEQ ...
        S: * 1 FETCH (PREVIEW "Preview text!" MODSEQ (...))
        S: a6 OK ...
        C: a7 FETCH 1 (PREVIEW (EAGER))
        S: a7 BAD ...
        C: a8 FETCH 1 (PREVIEW ())
        S: a8 BAD ...
        C: a9 ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: a9 OK ...
        C: b1 FETCH 4 PREVIEW
        S: * 4 FETCH (PREVIEW "Grüße")
        S: b1 OK ...
        """,
    )


async def test_lazy_previews_do_not_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await with_texts(house, "one\r\n", "two\r\n", "three\r\n")
    await client.do("FETCH 2 PREVIEW")
    monkeypatch.setattr(previews, "_LAZY_SECONDS", 0.0)
    lines = await client.do("FETCH 1:3 (PREVIEW (LAZY))")
    assert [line.partition(" FETCH ")[2] for line in lines] == ["(PREVIEW NIL)", '(PREVIEW "two")', "(PREVIEW NIL)"]
    lines = await client.do("FETCH 1:3 PREVIEW")
    assert 'PREVIEW "three"' in lines[2]
    assert 'PREVIEW "one"' in (await client.do("FETCH 1 PREVIEW (LAZY)"))[0]


async def test_previews_are_remembered_and_forgotten(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await house.mailboxes.open(await house.store.directory.account("ann-example.org"))
    await fill(ann, "INBOX", 5)
    monkeypatch.setattr(previews, "_MOST", 3)
    client = await house.selected()
    read: list[int] = []
    content = type(ann.store).content

    async def counted(self: Any, message: int) -> Content:
        read.append(message)
        return await content(self, message)

    monkeypatch.setattr(type(ann.store), "content", counted)
    await client.do("FETCH 1:5 PREVIEW")
    await client.do("FETCH 3:5 PREVIEW")
    assert read == [1, 2, 3, 4, 5]
    await client.do("FETCH 1 PREVIEW")
    assert read == [1, 2, 3, 4, 5, 1]


async def test_a_message_that_is_gone(house: House) -> None:
    client = await with_texts(house, "one\r\n", "two\r\n")
    ann = await house.store.account("ann-example.org")
    info = await ann.mailbox("INBOX")
    await ann.expunge(info.id, [1], only_deleted=False)
    await house.store.sweep(house.clock.time + 1, 0.0)
    lines = await client.do("FETCH 1:2 PREVIEW")
    assert lines == ['* 1 FETCH (PREVIEW "")', '* 2 FETCH (PREVIEW "two")']
