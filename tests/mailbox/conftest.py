"""An account on each store, with time that stands still until it is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from postroom.mailbox.limits import MailboxLimits
from postroom.mailbox.service import Account, Mailboxes
from postroom.store.api import AccountRow, Store
from postroom.store.embedded import EmbeddedStore
from postroom.store.memory import MemoryStore


class HandClock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: HandClock) -> AsyncIterator[Store]:
    made: Store = (
        MemoryStore(clock=clock) if request.param == "memory" else EmbeddedStore(tmp_path / "data", clock=clock)
    )
    await made.directory.put_account(AccountRow(id="a1", login="ann@example.org", created=0.0))
    await made.create_account("a1", [("INBOX", ""), ("Trash", "\\Trash"), ("Sent", "\\Sent")])
    yield made
    findings = [finding async for finding in made.check("a1")]
    await made.close()
    assert findings == []


@pytest.fixture
def mailboxes(store: Store, clock: HandClock) -> Mailboxes:
    numbers = count(1)
    limits = MailboxLimits(message_size=1_000_000, mailboxes=20)
    return Mailboxes(store, clock, lambda: f"{next(numbers):032x}", limits)


@pytest.fixture
async def account(store: Store, mailboxes: Mailboxes) -> Account:
    row = await store.directory.account("a1")
    assert row is not None
    return await mailboxes.open(row)
