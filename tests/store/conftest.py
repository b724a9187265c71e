"""Stores for tests: every embedded one is checked after it was closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from store_house import STRICT, must_be_sound

from postroom.store.api import Store
from postroom.store.embedded import EmbeddedStore
from postroom.store.memory import MemoryStore
from postroom.testing.store_contract import SettableClock


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture(params=["embedded", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SettableClock) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore(clock=clock)
        return
    opened = EmbeddedStore(tmp_path / "data", clock=clock, options=STRICT)
    try:
        yield opened
    finally:
        await opened.close()
    await must_be_sound(tmp_path / "data")


@pytest.fixture
async def embedded(tmp_path: Path, clock: SettableClock) -> AsyncIterator[EmbeddedStore]:
    opened = EmbeddedStore(tmp_path / "data", clock=clock, options=STRICT)
    try:
        yield opened
    finally:
        await opened.close()
    await must_be_sound(tmp_path / "data")
