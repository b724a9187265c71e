"""What each reader of a shared mailbox has seen, where \\Seen is everybody's own.

The flags of a message belong to its mailbox; a reader's marks lie beside them and say for some messages whether this
reader has seen them, and when that changed. Mailboxes without such readers know nothing of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from postroom.store.api.account import StoreFlagsResult

#: messages whose marks are kept together: UIDs with the same value of UID >> 9
CHUNK_BITS: Final = 9


class SeenMode(StrEnum):
    """Whose \\Seen is. DEFAULT: the reader's own in a person's mailbox, everybody's in one without a log-in."""

    DEFAULT = ""
    PRIVATE = "private"
    SHARED = "shared"


class Chunk(Struct, frozen=True, eq=False):
    """Marks of neighbours: uids ('I'), ascending; values ('Q'): MODSEQ of the last change << 1 | seen."""

    uids: array[int]
    values: array[int]


class Marks(Struct, frozen=True, eq=False):
    """All marks of a reader in a mailbox, as of the mailbox's MODSEQ. Chunks by UID >> CHUNK_BITS.

    mode: whose \\Seen is there; where it is everybody's, marks mean nothing.
    """

    modseq: int
    mode: SeenMode
    chunks: Mapping[int, Chunk]


class MarkStore(Protocol):
    """The marks of an account's mailboxes. Methods raise NotFound when the mailbox is gone, StoreUnavailable."""

    async def read(self, mailbox: int, reader: str, known: Marks | None = None) -> Marks:
        """What a reader has marked. known: an earlier answer, whose chunks are shared where they did not change."""
        ...

    async def mark(
        self, mailbox: int, reader: str, uids: Sequence[int], seen: bool, *, unchanged_since: int | None = None
    ) -> StoreFlagsResult:
        """Mark messages (ascending UIDs) as seen by a reader, or not. Takes the account's next MODSEQ.

        unchanged_since counts both the message's changes and the reader's (RFC 7162 3.1.3).
        """
        ...

    async def set_mode(self, mailbox: int, mode: SeenMode) -> None:
        """Say whose \\Seen is. All messages count as changed, because readers see other flags from now on."""
        ...
