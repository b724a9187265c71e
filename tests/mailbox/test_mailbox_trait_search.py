"""Searches that traits answer say what ENVELOPEs say."""

from __future__ import annotations

import random
from typing import Any

import pytest
from test_mailbox_traits import Eager, message

from postroom.mailbox import search as search_room
from postroom.mailbox.criteria import Scene
from postroom.mailbox.search import Found, Pace, search
from postroom.mailbox.trait_keeper import complete
from postroom.mailbox.trait_search import TraitSearch
from postroom.mailbox.traits import IN_TO
from postroom.store.api import TraitRow
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock
from postroom.wire.imap.commands import Key, SearchKey

COUNT = 1100
WORDS = ["lunch", "Büro", "=?utf-8?q?B=C3=BCro?=", "Re: plan", "nr7", "x" * 2500, "", 'say \\"hi\\"']


async def filled() -> tuple[Any, int]:
    clock = SettableClock()
    store = MemoryStore(clock=clock)
    await store.create_account("acc", [("INBOX", "")])
    account = await store.account("acc")
    inbox = await account.mailbox("INBOX")
    assert inbox is not None
    rng = random.Random(8474)
    new = []
    for number in range(COUNT):
        lines = [f"Message-ID: <{number}@x>", f"Date: {rng.randint(1, 28)} Jan 2024 12:00:00 +0000"]
        lines.append(f"Subject: {' '.join(rng.choices(WORDS, k=2))} {number}")
        lines.append(f'From: "{rng.choice(["Zoë", "Ben", ""])}" <{rng.choice(["a", "b"])}{number % 7}@example.org>')
        if number % 3:
            lines.append(f"To: t{number % 5}@example.net")
        new.append(message("\n".join(lines)))
    await account.append(inbox.id, new)
    return account, inbox.id


def header(name: str, text: str) -> SearchKey:
    return SearchKey(Key.HEADER, name=name, text=text)


@pytest.mark.parametrize(
    "key",
    [
        header("SUBJECT", "lunch"),
        header("subject", "BURO"),
        header("SUBJECT", "büro"),
        header("SUBJECT", "nr7 1"),
        header("SUBJECT", "xxx 99"),
        header("SUBJECT", 'say "hi'),
        header("FROM", "zoë <a3@"),
        header("FROM", "b2@example.org"),
        header("TO", "t4@"),
        header("TO", "nobody"),
        header("CC", "x"),
        header("MESSAGE-ID", "<77@X>"),
        SearchKey(Key.SENTON, number=19_740),
        SearchKey(Key.SENTBEFORE, number=19_735),
        SearchKey(Key.SENTSINCE, number=19_750),
        SearchKey(Key.NOT, keys=(header("TO", "t1"),)),
        SearchKey(Key.OR, keys=(header("TO", "t1"), header("SUBJECT", "plan"))),
    ],
    ids=str,
)
async def test_the_same_is_found(key: SearchKey, monkeypatch: pytest.MonkeyPatch) -> None:
    account, inbox = await filled()
    scene = Scene(await account.snapshot(inbox), (), 1_700_000_000.0)

    async def found() -> list[int]:
        hits: Found = await search(key, scene, account, Pace(SettableClock()))
        return hits.uids()

    by_traits = await found()
    assert (await account.traits.sources(5))[0] == COUNT + 1  # they were made for it
    monkeypatch.setattr(search_room, "_KEPT_TEXTS", {})
    monkeypatch.setattr(TraitSearch, "day", lambda _self, _holds, otherwise: otherwise)
    assert by_traits == await found()
    assert len(by_traits) < COUNT


async def test_few_messages_are_looked_at_without_traits() -> None:
    account, inbox = await filled()
    scene = Scene(await account.snapshot(inbox), (), 1_700_000_000.0)
    numbers = SearchKey(Key.UID, set=((5, 20),))
    key = SearchKey(Key.AND, keys=(header("SUBJECT", "lunch"), numbers))
    await search(key, scene, account, Pace(SettableClock()))
    assert (await account.traits.sources(5))[0] == 1


async def test_damaged_traits_do_not_matter() -> None:
    account, inbox = await filled()
    scene = Scene(await account.snapshot(inbox), (), 1_700_000_000.0)
    key = header("SUBJECT", "lunch")
    expected = (await search(key, scene, account, Pace(SettableClock()))).uids()
    await account.traits.forget()
    await account.traits.keep(TraitRow(1, 512, b"x", b"x", b"x"), 1, {})
    assert (await search(key, scene, account, Pace(SettableClock()))).uids() == expected
    await account.traits.forget()
    await complete(account, Eager())
    assert (await search(key, scene, account, Pace(SettableClock()))).uids() == expected


async def test_messages_without_traits_are_asked_themselves() -> None:
    account, _ = await filled()
    known = TraitSearch(account, Eager())
    asked: list[int] = []

    async def otherwise(messages: Any) -> list[bool]:
        asked.extend(messages)
        return [True] * len(messages)

    look = known.text(IN_TO, "t4@", otherwise)
    last = range(COUNT - 30, COUNT + 1)
    assert await look(last) == [(message - 1) % 3 > 0 and (message - 1) % 5 == 4 for message in last]
    assert asked == []
    assert (await look([COUNT + 3]))[0]
    assert asked == [COUNT + 3]
