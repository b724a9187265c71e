"""What an account keeps for its filter: scripts, what was seen or answered before, and filing into several mailboxes.

One script at most is active. `serial` grows with every change of any script, so that whoever has compiled them knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Struct

from postroom.store.api.account import NewMessage

#: keys an account remembers; beyond that those that end first go
MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class ScriptInfo:
    """A script without its text. size: octets; changed: Unix seconds."""

    name: str
    size: int
    active: bool
    changed: float


class Filter(Struct, frozen=True):
    """How it stands with the scripts. active: the name of the active one, "" for none."""

    serial: int
    active: str


class Filing(Struct, frozen=True):
    """A message into a mailbox (its id). The same message object in several filings is kept once.

    flags: all system flags it gets there, also those that are not visible; keywords: all of them.
    """

    mailbox: int
    message: NewMessage
    flags: int = 0
    keywords: tuple[str, ...] = ()


class Remembered(Struct, frozen=True):
    """Something that was seen or answered. key: a digest; until: Unix seconds."""

    key: bytes
    until: float


class ScriptLimits(Struct, frozen=True, kw_only=True):
    """How many scripts there may be, and how many octets all of them may have together; 0: any."""

    count: int = 0
    octets: int = 0


class FilterStore(Protocol):
    """Of one account. What changes something is durable on return, except `file`, as `AccountStore.append` says."""

    async def filter(self) -> Filter:
        """Which script is active."""
        ...

    async def scripts(self) -> list[ScriptInfo]:
        """All scripts, by name."""
        ...

    async def script(self, name: str) -> bytes:
        """The text of a script. Raises NotFound."""
        ...

    async def put_script(self, name: str, text: bytes, limits: ScriptLimits | None = None) -> None:
        """Insert or replace a script; an active one stays active. Raises TooManyScripts, OverQuota."""
        ...

    async def rename_script(self, name: str, new: str) -> None:
        """Raises NotFound, ScriptExists."""
        ...

    async def remove_script(self, name: str) -> None:
        """Raises NotFound, ScriptActive."""
        ...

    async def activate_script(self, name: str) -> None:
        """Make it the one that is active; "": none is. Raises NotFound."""
        ...

    async def remembered(self, now: float) -> frozenset[bytes]:
        """Keys that have not ended."""
        ...

    async def remember(self, keys: Sequence[Remembered]) -> None:
        """Keep keys, each until its new end."""
        ...

    async def claim(self, key: Remembered, now: float) -> bool:
        """Remember a key that is not remembered; False when it is, and nothing is changed."""
        ...

    async def file(
        self,
        filings: Sequence[Filing],
        *,
        delivery: tuple[str, str],
        home: int,
        remember: Sequence[Remembered] = (),
        quota: tuple[int, int] = (0, 0),
    ) -> list[tuple[int, int]]:
        """File a message that was delivered, all or nothing, in one commit: (UID, message id) of each filing.

        delivery: (queue id, recipient), the second time raises DeliveredAlready; home: the mailbox it is put down to,
        also when nothing is filed; remember: kept with it; quota: octets and messages the account may hold, 0 any.
        Raises NotFound, OverQuota, TooManyKeywords.
        """
        ...
