"""Where an account's full-text index is kept: octets that the room `index` packs and reads.

Everything in it can be made again from the messages, so nothing is synced on purpose, a crash may take the last
changes, and what is damaged is thrown away. The calls are synchronous, because whoever makes them is in a thread or a
process of its own; several threads may call. One process changes an index (the one that holds the lock), any may read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from postroom.store.api.errors import StoreError


class IndexDamaged(StoreError):
    """The index cannot be read, or is not what was written: it must be made anew."""


class SegmentRow(Struct, frozen=True, array_like=True):
    """A segment. block: high half of the ids of its messages; size: octets."""

    id: int
    block: int
    messages: int
    size: int


class IndexState(Struct, frozen=True, kw_only=True):
    """What the index holds.

    form: of what its makers put in; an index of another form is made anew. until: messages up to this id are in it.
    witness: GUID of the last of them, so that an index which belongs to other messages (mail restored from a backup) is
    noticed. swept: Unix seconds when messages that are gone were last taken out; waiting: messages whose attachments
    are still to be read, with the number of tries.
    """

    form: int = 0
    until: int = 0
    witness: str = ""
    swept: float = 0.0
    segments: tuple[SegmentRow, ...] = ()
    waiting: Mapping[int, int] = {}


class IndexReading(Protocol):
    """The index at one moment, whatever is changed meanwhile. All calls raise IndexDamaged, StoreUnavailable."""

    @property
    def state(self) -> IndexState: ...

    def segment(self, row: SegmentRow) -> Callable[[int, int], bytes]:
        """Reads octets start to end of a segment."""
        ...

    def texts(self, messages: Sequence[int]) -> dict[int, bytes]:
        """What was kept of messages by IndexChange.texts; those without are left out."""
        ...


class IndexChange(Struct, frozen=True, kw_only=True):
    """One step. add: new segments as (block, messages, octets); remove: ids of segments; texts: what was taken out of
    messages' attachments; forget: messages whose texts go; waits: more messages whose attachments are to be read, with
    the number of tries; done: messages that do not wait any more; the rest: see IndexState, None leaves it.
    """

    add: Sequence[tuple[int, int, bytes]] = ()
    remove: Sequence[int] = ()
    texts: Mapping[int, bytes] = {}
    forget: Sequence[int] = ()
    waits: Mapping[int, int] = {}
    done: Sequence[int] = ()
    form: int | None = None
    until: int | None = None
    witness: str | None = None
    swept: float | None = None


def waiting_after(state: IndexState, change: IndexChange) -> Mapping[int, int]:
    """The messages whose attachments are still to be read when a change has been made."""
    if not change.waits and not change.done:
        return state.waiting
    done = frozenset(change.done)
    return {message: tries for message, tries in state.waiting.items() if message not in done} | dict(change.waits)


class IndexFile(Protocol):
    """An account's index. All calls raise StoreUnavailable, and IndexDamaged unless they say otherwise."""

    def read(self) -> AbstractContextManager[IndexReading]:
        """Hold one moment of it; of an index that is not there, an empty one."""
        ...

    def change(self, change: IndexChange) -> IndexState:
        """All of the change or nothing; what the index holds then. Made at first use."""
        ...

    def drop(self) -> None:
        """Throw it away, damaged or not. Only the process that changes it may; readers notice."""
        ...

    def report(self) -> None:
        """It was found damaged: whoever keeps it looks at it soon. On the event loop; never raises."""
        ...

    def close(self) -> None:
        """Give files and memory back; at the next use it is opened again."""
        ...
