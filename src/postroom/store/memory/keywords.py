"""Keywords of a mailbox in memory: a tuple of names, in the order they were learned, compared without case."""

from __future__ import annotations

from collections.abc import Iterable

from postroom.store.api import TooManyKeywords
from postroom.values.keywords import MOST, too_many


def place_of(known: tuple[str, ...], name: str) -> int | None:
    """Where in the mailbox's keywords the name is; None when it is new."""
    folded = name.lower()  # RFC 9051 2.3.2: keywords are case-insensitive
    return next((place for place, other in enumerate(known) if other.lower() == folded), None)


def learned(known: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    """The mailbox's keywords with these added. Raises TooManyKeywords."""
    before = len(known)
    for name in names:
        if place_of(known, name) is None:
            known = (*known, name)
    if len(known) > before and too_many(known):
        raise TooManyKeywords(f"a mailbox can have {MOST} different keywords")
    return known


def named_as(known: tuple[str, ...], names: Iterable[str]) -> frozenset[str]:
    """Keywords spelled as the mailbox first learned them."""
    return frozenset(known[place] for name in names if (place := place_of(known, name)) is not None)
