"""Counts of learned tokens, those asked for lately from memory.

Most tokens of a message stood in messages before it, so few are left for the file. What is kept is what the file said
since it was last changed: any commit of another connection to it (`PRAGMA data_version`) empties the memory.
Owns: the counts of at most 2 * `kept` tokens, and those of one message. Not safe between threads.
On failure: what SQLite raises; nothing wrong is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

import apsw

from postroom.store.api.training import Learned

Pair = tuple[int, int]
_NONE: Final = (0, 0)
_COUNTS: Final = "SELECT id, spam, ham FROM carray(?) AS wanted CROSS JOIN token ON token.id = wanted.value"


def read_learned(db: apsw.Connection, tokens: Sequence[int]) -> Learned:
    """What a file has of these tokens."""
    spam, ham = _totals(db)
    if not (spam or ham):
        return Learned(counts=(_NONE,) * len(tokens))
    found = _read(db, tokens)
    return Learned(spam=spam, ham=ham, counts=tuple([found.get(token, _NONE) for token in tokens]))


class RecentTokens:
    """Of one file that is read by one connection. kept: how many tokens make the older ones be forgotten."""

    __slots__ = ("_db", "_kept", "_old", "_pairs", "_totals", "_version", "_young")

    def __init__(self, db: apsw.Connection, kept: int) -> None:
        self._db = db
        self._kept = kept
        self._version = -1
        self._totals: Pair = _NONE
        self._young: dict[int, Pair] = {}
        self._old: dict[int, Pair] = {}
        self._pairs: dict[Pair, Pair] = {}  # each pair of counts is kept once, however many tokens have it

    def of(self, db: apsw.Connection) -> bool:
        """Is it this connection's?"""
        return self._db is db

    @property
    def size(self) -> int:
        """Tokens in memory."""
        return len(self._young) + len(self._old)

    def learned(self, tokens: Sequence[int]) -> Learned:
        """The same as read_learned."""
        self._check()
        spam, ham = self._totals
        if not (spam or ham):
            return Learned(counts=(_NONE,) * len(tokens))
        counts: list[Any] = list(map(self._young.get, tokens))
        if None in counts:
            self._find([token for token, found in zip(tokens, counts, strict=True) if found is None])
            counts = list(map(self._young.get, tokens))
        if len(self._young) > self._kept:
            self._old, self._young = self._young, {}
        return Learned(spam=spam, ham=ham, counts=tuple(counts))

    def _check(self) -> None:
        """Forget everything when the file is not what it was."""
        row: Any = self._db.execute("PRAGMA data_version").fetchone()
        if row[0] != self._version:
            self._young, self._old, self._pairs = {}, {}, {}
            self._totals = _totals(self._db)
            self._version = row[0]

    def _find(self, missing: list[int]) -> None:
        """Put these into the younger half."""
        young, old, pairs = self._young, self._old, self._pairs
        unknown: list[int] = []
        for token in missing:
            found = old.get(token)
            if found is None:
                unknown.append(token)
            else:
                young[token] = found
        if unknown:
            read = _read(self._db, unknown)
            for token in unknown:
                found = read.get(token, _NONE)
                young[token] = pairs.setdefault(found, found)


def _totals(db: apsw.Connection) -> Pair:
    row: Any = db.execute("SELECT spam, ham FROM total").fetchone()
    return row[0], row[1]


def _read(db: apsw.Connection, tokens: Sequence[int]) -> dict[int, Pair]:
    """In the order of the file, so that each of its pages is looked at once."""
    wanted = array("q", sorted(tokens))
    return {token: (spam, ham) for token, spam, ham in db.execute(_COUNTS, (apsw.carray(wanted),))} if wanted else {}
