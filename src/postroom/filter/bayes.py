"""How likely unwanted a message is, by its words.

Counts of the whole server and of the reader's own training are added, his own weighing more. A word's odds are those of
its shares in unwanted and in wanted mail, both held back by the same doubt, so that what was seen once in the kind of
which little was learned says more than once in the other. Of the most telling words the mean of the log-odds is taken:
words that contradict each other cancel out, and so do sentences stolen from wanted mail. Measured against Robinson's
shares and Fisher's combination it loses less wanted mail (docs/filter.md).
Pure. On failure: never; with too little training there is no opinion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Final

#: messages of each kind that must have been learned before there is an opinion
LEAST: Final = 30
#: how much one message of a reader's own training counts beside one of everybody's
OWN: Final = 5
_DOUBT: Final = 0.1  # messages of either kind in which every word is taken to have stood besides
_COMBINED: Final = 40  # words at most
_NEVER: Final = (0, 0)
_FEW: Final = 12  # with less words than these an opinion is weaker


@dataclass(frozen=True, slots=True)
class Base:
    """What was learned: messages unwanted and wanted, and for each token asked for, in how many of each it stood."""

    spam: int
    ham: int
    counts: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Opinion:
    """leaning: above zero towards unwanted, the mean of its words' log-odds; words: how many were telling."""

    leaning: float
    words: int

    @property
    def probability(self) -> float:
        """That it is unwanted, 0 to 1, for people."""
        return 1 / (1 + exp(-max(min(self.leaning, 30.0), -30.0)))


def opinion(everybody: Base, own: Base | None = None) -> Opinion | None:
    """None: too little was learned."""
    spam, ham = everybody.spam, everybody.ham
    counts = everybody.counts
    if own is not None and own.spam + own.ham:
        spam += OWN * own.spam
        ham += OWN * own.ham
        counts = [
            (one + OWN * mine, other + OWN * good)
            for (one, other), (mine, good) in zip(everybody.counts, own.counts, strict=True)
        ]
    if spam < LEAST or ham < LEAST:
        return None
    doubt = _DOUBT / (spam + ham)
    # many tokens share their counts: the few there are of each are reckoned once
    known = [pair for pair in counts if pair != _NEVER]
    worth = {pair: log((pair[0] / spam + doubt) / (pair[1] / ham + doubt)) for pair in set(known)}
    odds = [worth[pair] for pair in known]
    odds.sort(key=abs)
    chosen = odds[-_COMBINED:]
    return Opinion(sum(chosen) / max(len(chosen), _FEW), len(chosen))


#: the most that words can say against and for a message: never enough alone to refuse it
MOST_AGAINST: Final = 6.5
MOST_FOR: Final = -4.0
_QUIET: Final = 0.4  # of leaning
#: of leaning; up to there a point each, and above it more, because few wanted messages come so far
_SURE: Final = 2.0
_STEEP: Final = 1.5


def points(found: Opinion) -> float:
    """What an opinion is worth in a score."""
    leaning = found.leaning
    if abs(leaning) < _QUIET:
        return 0.0
    worth = leaning * 1.2 if leaning < 0 else min(leaning, _SURE) + max(leaning - _SURE, 0.0) * _STEEP
    return round(min(max(worth, MOST_FOR), MOST_AGAINST), 1)
