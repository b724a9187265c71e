"""Reasons, the score they add up to, and what follows from it.

Standards: none; a score of 5 is what other filters call spam too, so people's habits fit.
Pure. On failure: never.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """One finding. name: short and stable, such as "LINK_MISMATCH"; points: above zero speaks against the message;
    text: for people.
    """

    name: str
    points: float
    text: str

    def __str__(self) -> str:
        return f"{self.name} ({self.points:+.1f}): {self.text}"


class Act(StrEnum):
    """What becomes of a message for one recipient, from mild to strict."""

    ACCEPT = "accept"
    JUNK = "junk"
    QUARANTINE = "quarantine"
    REFUSE = "refuse"


def stricter(one: Act, other: Act) -> Act:
    """The stricter of two."""
    order = list(Act)
    return max(one, other, key=order.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Scores from which on; 0 switches one off."""

    junk: float = 5.0
    quarantine: float = 0.0
    refuse: float = 15.0

    def act(self, score: float) -> Act:
        """The strictest that the score reaches."""
        for act, bound in ((Act.REFUSE, self.refuse), (Act.QUARANTINE, self.quarantine), (Act.JUNK, self.junk)):
            if bound and score >= bound:
                return act
        return Act.ACCEPT


DEFAULT: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Score:
    """All reasons, those that weigh most first."""

    points: float
    reasons: tuple[Reason, ...]

    @classmethod
    def of(cls, reasons: Iterable[Reason]) -> Score:
        """Add up."""
        found = tuple(sorted(reasons, key=lambda reason: -abs(reason.points)))
        return cls(round(sum(reason.points for reason in found), 2), found)

    def words(self, most: int = 5) -> str:
        """In one line for people."""
        told = "; ".join(f"{one.text} ({one.points:+.1f})" for one in self.reasons[:most] if one.points)
        return told or "nothing was found"
