"""A store in memory with two domains, some people, and cheap hashes."""

from __future__ import annotations

import itertools

import pytest

from postroom.config import Passwords
from postroom.identity import Directory, Identity, InlineHasher
from postroom.store.memory import MemoryStore

CHEAP = Passwords(memory_kib=8, passes=1, scram_iterations=4096)


class StandingClock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class CountingHasher(InlineHasher):
    """Counts what it is asked."""

    __slots__ = ("asked",)

    def __init__(self, passwords: Passwords) -> None:
        super().__init__(passwords)
        self.asked: list[tuple[str, str]] = []

    async def verify(self, stored: str, password: str) -> bool:
        self.asked.append((stored, password))
        return await super().verify(stored, password)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher(CHEAP)


@pytest.fixture
async def directory(store: MemoryStore, hasher: CountingHasher, clock: StandingClock) -> Directory:
    ids = itertools.count(1)
    directory = Directory(store, hasher, clock, CHEAP, new_id=lambda: f"id{next(ids)}")
    await directory.add_domain("example.com")
    await directory.add_domain("example.org")
    await directory.add_account("ann@example.com", "ann's good password", name="Ann")
    clock.time += 1
    await directory.add_account("ben@example.com", "ben's good password")
    await directory.add_account("carla@example.org", "carla's good password")
    return directory


@pytest.fixture
def identity(store: MemoryStore, hasher: CountingHasher, clock: StandingClock, directory: Directory) -> Identity:
    return Identity(store.directory, hasher, clock, CHEAP, hostname="mail.example.net")
