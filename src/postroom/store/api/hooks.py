"""Calls of webhooks that are still to be made, and what must be known of messages to make them.

A call is kept until its receiver has taken it, or it is too old. It is known by its hook and its id, so that what is
told twice is kept once. All processes share it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Struct

#: calls of one hook that wait; what comes on top is dropped, and counted
MOST_WAITING: Final = 100_000
#: seconds for which a call that was given up can be made again by an administrator
DEAD_KEPT: Final = 7 * 86400.0
#: seconds for which it is known whose a message is that nothing more is heard of
CONTEXT_KEPT: Final = 70 * 86400.0


class Call(Struct, frozen=True, kw_only=True):
    """One call. hook: its name; id: the same for each try; time: of the event, Unix seconds; next: of the next try.

    last: why the last try failed; dead: it was given up.
    """

    hook: str
    id: str
    type: str
    time: float
    body: bytes
    next: float
    attempts: int = 0
    last: str = ""
    dead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookState:
    """How it stands with a hook. oldest: time of the oldest call that waits, 0 for none; last: its newest failure."""

    hook: str
    waiting: int
    dead: int
    oldest: float
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookChange:
    """What a batch of events brings. contexts: of messages by id, None: nothing more comes of it; at: Unix seconds."""

    at: float
    calls: Sequence[Call] = ()
    contexts: Mapping[str, bytes | None]


class HookStore(Protocol):
    """Every method raises StoreUnavailable when the disk will not do it."""

    async def add(self, change: HookChange) -> int:
        """Keep calls and contexts, durable when this returns; how many calls there was no room for."""
        ...

    async def contexts(self, ids: Collection[str]) -> dict[str, bytes]:
        """What was kept of these messages."""
        ...

    async def due(self, now: float, hooks: Collection[str], limit: int) -> list[Call]:
        """Calls of these hooks whose time has come, the oldest first."""
        ...

    async def settle(self, done: Sequence[Call], failed: Sequence[Call]) -> None:
        """These were taken, and go; these are tried again as they say now."""
        ...

    async def states(self) -> list[HookState]:
        """Every hook that has calls, by name."""
        ...

    async def retry(self, hook: str, now: float) -> int:
        """Make all calls of a hook now, also those given up, as if they were new; how many."""
        ...

    async def sweep(self, now: float, hooks: Collection[str]) -> int:
        """Forget what was given up long ago, contexts of long ago, and calls of other hooks than these; how many."""
        ...
