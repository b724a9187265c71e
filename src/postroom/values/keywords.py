"""Keywords: how many a mailbox knows, and which there is always room for.

Standards: RFC 9051 2.3.2 (names are compared without case; some are to be supported everywhere), RFC 5788 (the
registry), RFC 8457 ($Important).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

#: a bit for each in a column of 64
MOST: Final = 64
#: a mailbox has room for these whatever else its clients have made up: some are set by the server itself
RESERVED: Final = (
    "$Forwarded",
    "$Important",
    "$Junk",
    "$MDNSent",
    "$NotJunk",
    "$Phishing",
    "$Submitted",
    "$Suspicious",
)
_RESERVED: Final = frozenset(name.lower() for name in RESERVED)
_OWN: Final = MOST - len(RESERVED)


def too_many(known: Sequence[str]) -> bool:
    """More than a mailbox can have: of all, or of those that are nobody's but its clients'."""
    return len(known) > _OWN and (len(known) > MOST or len(made_up(known)) > _OWN)


def room_for_more(known: Sequence[str]) -> bool:
    """Can its clients make up another one?"""
    return len(known) < _OWN or len(made_up(known)) < _OWN


def made_up(known: Iterable[str]) -> list[str]:
    """Those that are not reserved."""
    return [name for name in known if name.lower() not in _RESERVED]


def missing(known: Iterable[str]) -> list[str]:
    """Reserved ones that the mailbox does not know yet."""
    have = {name.lower() for name in known}
    return [name for name in RESERVED if name.lower() not in have]
