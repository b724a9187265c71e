"""The stores that tests of scripts run on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sorting_house import BOB, EVE, House

from postroom.store.api import Store
from postroom.store.embedded.store import EmbeddedStore
from postroom.store.memory.store import MemoryStore


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else EmbeddedStore(tmp_path / "data")
    for row in (BOB, EVE):
        await store.create_account(row.id, [("INBOX", ""), ("Junk", "\\Junk"), ("Lists", ""), ("Sent", "\\Sent")])
        await store.directory.put_account(row)
    yield store
    await store.close()


@pytest.fixture
def house(store: Store) -> House:
    return House(store)
