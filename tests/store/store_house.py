"""What store tests share: strict options, and the check that every closed store must pass."""

from __future__ import annotations

from pathlib import Path

from postroom.store.embedded import EmbeddedStore, StoreOptions

STRICT = StoreOptions(stray_seconds=0.0)


async def must_be_sound(data: Path) -> None:
    """Every invariant holds, and no spool or file is left over."""
    looking = EmbeddedStore(data, slot=None, options=STRICT)
    try:
        found = [finding async for finding in looking.check()]
        assert [one for one in found if not one.what.endswith("has no folder")] == []
    finally:
        await looking.close()
    assert list((data / "queue" / "tmp").iterdir()) == []
