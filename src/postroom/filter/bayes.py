"""How likely unwanted a message is, by its words: Robinson's combination of what was learned of each.

Counts of the whole server and of the reader's own training are added, his own weighing more. Each word's share is
pulled towards one half until it was seen often; the most telling words are combined by Fisher's method, which gives
about one half when they contradict each other, instead of a false certainty.
Sources: G. Robinson, "A statistical approach to the spam problem", Linux Journal 107 (2003).
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
_STRENGTH: Final = 0.45  # of the belief that a word says nothing
_TELLING: Final = 0.1  # distance from one half of words that count
_COMBINED: Final = 150  # words at most
_CLOSEST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Base:
    """What was learned: messages unwanted and wanted, and for each token asked for, in how many of each it stood."""

    spam: int
    ham: int
    counts: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Opinion:
    """probability: that it is unwanted, 0 to 1; words: how many were telling."""

    probability: float
    words: int


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
    telling = sorted((_word(bad / spam, good / ham, bad + good) for bad, good in counts if bad or good), key=_distance)
    chosen = [share for share in telling[-_COMBINED:] if abs(share - 0.5) >= _TELLING]
    return Opinion(_combined(chosen), len(chosen))


def _word(bad: float, good: float, seen: int) -> float:
    return (_STRENGTH * 0.5 + seen * bad / (bad + good)) / (_STRENGTH + seen)


def _distance(share: float) -> float:
    return abs(share - 0.5)


def _combined(shares: Sequence[float]) -> float:
    if not shares:
        return 0.5
    spam = _chi_square(-2 * sum(log(max(1 - share, _CLOSEST)) for share in shares), 2 * len(shares))
    ham = _chi_square(-2 * sum(log(max(share, _CLOSEST)) for share in shares), 2 * len(shares))
    return (1 + ham - spam) / 2


def _chi_square(value: float, degrees: int) -> float:
    """The probability of a sum of squares at least this large by chance; degrees: even."""
    half = value / 2
    if half > 700:
        return 0.0
    total = term = exp(-half)
    for step in range(1, degrees // 2):
        term *= half / step
        total += term
    return min(total, 1.0)


#: probability from which on, and the points it is worth; the first row that fits holds
_POINTS: Final = (
    (0.9999, 6.5),
    (0.999, 5.5),
    (0.99, 4.0),
    (0.95, 2.5),
    (0.8, 1.0),
    (0.4, 0.0),
    (0.2, -0.3),
    (0.05, -1.0),
    (0.01, -2.0),
)
_SURELY_WANTED: Final = -3.0


def points(found: Opinion) -> float:
    """What an opinion is worth in a score."""
    return next((worth for bound, worth in _POINTS if found.probability >= bound), _SURELY_WANTED)
