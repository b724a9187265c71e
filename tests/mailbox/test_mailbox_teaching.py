"""Which acts of readers teach the filter, and which do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postroom.mailbox.incoming import Incoming
from postroom.mailbox.service import Account, Mailboxes
from postroom.mailbox.teaching import Teaching
from postroom.store.api import AccountRow, FlagChange, FlagOp
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.values.content import Content

Told = list[tuple[str, int, tuple[int, ...], bool]]
BOXES = [("INBOX", ""), ("Junk", "\\Junk"), ("Trash", "\\Trash"), ("Archive", "\\Archive")]


async def house() -> tuple[Account, dict[str, int], Told]:
    clock = SettableClock()
    store = MemoryStore(clock=clock)
    await store.create_account("acc1", BOXES)
    row = AccountRow(id="acc1", login="ann@example.org", created=0)
    told: Told = []

    def tell(account: str, mailbox: int, uids: Sequence[int], spam: bool) -> None:
        told.append((account, mailbox, tuple(uids), spam))

    numbers = iter(range(1, 100))
    boxes = Mailboxes(store, clock, lambda: f"{next(numbers):032x}")
    boxes.teaching = Teaching(tell)
    account = await boxes.open(row)
    places = {info.name: info.id for info in await account.store.mailboxes()}
    for name in ("INBOX", "Junk"):
        await account.append(places[name], [Incoming(content=Content.of(b"Subject: x\r\n\r\ny\r\n"))] * 2)
    return account, places, told


@pytest.mark.parametrize(
    ("source", "target", "spam"),
    [
        ("INBOX", "Junk", True),
        ("Junk", "INBOX", False),
        ("Junk", "Archive", False),
        ("Junk", "Trash", None),
        ("INBOX", "Trash", None),
        ("INBOX", "Archive", None),
    ],
)
@pytest.mark.parametrize("way", ["move", "copy"])
async def test_into_junk_and_out_of_it(way: str, source: str, target: str, spam: bool | None) -> None:
    account, places, told = await house()
    result = await getattr(account, way)(places[source], [1, 2], places[target])
    expected = [] if spam is None else [("acc1", places[target], result.target, spam)]
    assert told == expected
    await getattr(account, way)(places[source], [77], places[target])
    assert told == expected, "nothing was moved"


@pytest.mark.parametrize(
    ("op", "keywords", "spam"),
    [
        (FlagOp.ADD, ("$Junk",), True),
        (FlagOp.ADD, ("Junk",), True),
        (FlagOp.ADD, ("$NotJunk",), False),
        (FlagOp.REPLACE, ("NonJunk", "$Forwarded"), False),
        (FlagOp.REMOVE, ("$Junk",), None),
        (FlagOp.ADD, ("$Forwarded",), None),
        (FlagOp.ADD, (), None),
    ],
)
async def test_keywords(op: FlagOp, keywords: tuple[str, ...], spam: bool | None) -> None:
    account, places, told = await house()
    await account.store_flags(places["INBOX"], [1], FlagChange(op=op, bits=0, keywords=keywords))
    assert told == ([] if spam is None else [("acc1", places["INBOX"], (1,), spam)])


async def test_mail_the_server_files_teaches_nothing() -> None:
    account, places, told = await house()
    await account.append(places["Junk"], [Incoming(content=Content.of(b"Subject: z\r\n\r\n"), keywords=("$Junk",))])
    assert told == []
