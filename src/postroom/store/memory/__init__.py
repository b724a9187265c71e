"""The store in memory, for tests."""

from postroom.store.memory.store import MemoryStore

__all__ = ["MemoryStore"]
