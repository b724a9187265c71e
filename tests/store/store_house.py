"""What store tests share: strict options, and the check that every closed store must pass."""

from __future__ import annotations

from pathlib import Path

from postroom.store.api import Finding
from postroom.store.embedded import EmbeddedStore, StoreOptions

STRICT = StoreOptions(stray_seconds=0.0)


async def damage(store: EmbeddedStore) -> list[Finding]:
    """What `check` finds, but for rows without folders and folders without rows: tests make one without the other."""
    strange = ("has no folder", "belongs to no account", "is not hosted", "and are not there", "who are not here")
    return [finding async for finding in store.check() if not finding.what.endswith(strange)]


async def must_be_sound(data: Path) -> None:
    """Every invariant holds, and no spool or file is left over."""
    looking = EmbeddedStore(data, slot=None, options=STRICT)
    try:
        found = await damage(looking)
        assert not found, found
    finally:
        await looking.close()
    assert list((data / "queue" / "tmp").iterdir()) == []
