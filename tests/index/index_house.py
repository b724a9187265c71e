"""An account in memory with messages and an index, and what a search finds in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from postroom.index.keeper import Keeper
from postroom.mailbox.criteria import Scene
from postroom.mailbox.incoming import Incoming
from postroom.mailbox.search import Pace, search
from postroom.mailbox.service import Mailboxes
from postroom.store.api import AccountRow, AccountStore, Store
from postroom.store.memory import MemoryStore
from postroom.store.memory.index import MemoryIndex
from postroom.values.clock import SystemClock
from postroom.values.content import Content
from postroom.wire.imap.commands import Key, SearchKey


async def filled(messages: Sequence[bytes], store: Store | None = None) -> AccountStore:
    """An account with these messages in INBOX, not indexed."""
    store = store or MemoryStore()
    row = AccountRow(id="a1", login="ann@example.org", created=0.0)
    await store.directory.put_account(row)
    await store.create_account("a1", [("INBOX", "")])
    kept = await store.account("a1")
    await add(store, messages)
    return kept


_numbers = count(1)


async def add(store: Store, messages: Sequence[bytes]) -> None:
    """More messages."""
    row = await store.directory.account("a1")
    assert row is not None
    account = await Mailboxes(store, SystemClock(), lambda: f"{next(_numbers):032x}").open(row)
    inbox = await (await store.account("a1")).mailbox("INBOX")
    assert inbox is not None
    for at in range(0, len(messages), 100):
        await account.append(inbox.id, [Incoming(content=Content.of(each)) for each in messages[at : at + 100]])


async def keep(account: AccountStore) -> int:
    """Everything that is to do for the index; how many steps it took."""
    keeper = Keeper(account, SystemClock())
    steps = 0
    while await keeper.step():
        steps += 1
        assert steps < 10_000
    return steps


async def found(account: AccountStore, key: SearchKey) -> list[int]:
    """UIDs in INBOX."""
    inbox = await account.mailbox("INBOX")
    assert inbox is not None
    scene = Scene(snapshot=await account.snapshot(inbox.id), saved=(), now=0.0)
    return (await search(key, scene, account, Pace(SystemClock()))).uids()


class Unindexed:
    """The account as if it had no index."""

    def __init__(self, account: AccountStore) -> None:
        self._account = account
        self.index = MemoryIndex()

    def __getattr__(self, name: str) -> object:
        return getattr(self._account, name)


def body(text: str) -> SearchKey:
    return SearchKey(Key.BODY, text=text)


def text(words: str) -> SearchKey:
    return SearchKey(Key.TEXT, text=words)
