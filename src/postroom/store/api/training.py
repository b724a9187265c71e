"""What the spam filter has learned: counts of tokens, what each message was learned as, and standings of senders.

Training of one account lies in that account's folder and goes with it; training of everybody is the account "".
Learning is idempotent by message: learned twice counts once, and learned as the opposite takes the first back.
All of it can be made again from the mail; so it survives a crash of the process, but is not synced for its own sake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

#: the account of what everybody's training is added to
EVERYBODY: Final = ""
#: a standing loses half its weight in so many seconds
HALF_LIFE: Final = 30 * 86400.0
#: tokens that stood in one message only are forgotten after so many seconds, and lessons after LESSONS_KEPT
RARE_KEPT: Final = 60 * 86400.0
LESSONS_KEPT: Final = 400 * 86400.0


class Lesson(Struct, frozen=True, kw_only=True):
    """A message and what it is. id: the same whenever the same message is learned; tokens: 32-bit numbers, each once.

    spam: None takes back what was learned.
    """

    id: str
    tokens: tuple[int, ...]
    spam: bool | None


class Learned(Struct, frozen=True, kw_only=True):
    """Messages learned as spam and as wanted, and for each token asked for, in how many of each it stood."""

    spam: int = 0
    ham: int = 0
    counts: tuple[tuple[int, int], ...] = ()


class Standing(Struct, frozen=True, kw_only=True):
    """What came from somebody: weights of wanted and unwanted messages, with age taken off."""

    good: float = 0.0
    bad: float = 0.0


class TrainingStore(Protocol):
    """Every method raises StoreUnavailable when the disk will not do it, NotFound for an account without a folder.

    Times are Unix seconds.
    """

    def learned(self, account: str, tokens: Sequence[int]) -> Learned:
        """What was learned of these tokens; an account that never trained is cheap to ask."""
        ...

    async def learn(self, account: str, lessons: Sequence[Lesson], now: float) -> int:
        """Learn these messages, in one transaction; how many changed something."""
        ...

    def lesson(self, account: str, id: str) -> bool | None:
        """What a message was learned as: True spam, False wanted, None not at all."""
        ...

    async def unlearn(self, account: str) -> None:
        """Forget all training of an account, or of everybody."""
        ...

    def standings(self, keys: Sequence[str], now: float) -> list[Standing]:
        """How these stand, in the same order; keys such as "ip:192.0.2.0/24", "domain:example.org"."""
        ...

    async def rate(self, keys: Sequence[str], good: float, bad: float, now: float) -> None:
        """Add a message to what came from all of these; what is taken back has aged, so nothing goes below zero."""
        ...

    async def sweep(self, now: float) -> int:
        """Forget rare tokens and lessons of everybody of long ago, and standings that weigh no more; how many rows."""
        ...
