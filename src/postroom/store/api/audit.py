"""What administrators did: a record of each act, in a chain that shows every later change.

Append-only. Each record carries the hash of the one before it and is hashed with it (SHA-256), so that a record that
was changed, removed or put in between breaks the chain from there on; the newest number and hash are also kept
outside the chain, in a file of its own and in the events, so that an end that was cut off is seen too.
Whoever can write to the data folder can make a whole new chain: what proves otherwise then is the log, when it is kept
on another machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

#: what comes before the first record
GENESIS = "0" * 64


class NewAct(Struct, frozen=True, kw_only=True):
    """Something an administrator is about to do, or did.

    who: "user" and "uid" of the system, and what else is known; act: the command ("user set"); on: what it was done to;
    before, after: fields that change, without secrets; note: what went wrong, or what else there is to say.
    """

    time: float
    who: Mapping[str, Any]
    act: str
    on: str = ""
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    note: str = ""


class Act(NewAct, frozen=True, kw_only=True):
    """A record. number: from 1 without a gap; previous: hash of the record before; hash: of this one, in hex."""

    number: int
    previous: str
    hash: str


class Verdict(Struct, frozen=True, kw_only=True):
    """What a look at the chain found. faults: in words, empty when it is whole; number, hash: of its last record."""

    number: int
    hash: str
    faults: tuple[str, ...] = ()


class AuditStore(Protocol):
    """Records of all processes in one chain. Raises StoreUnavailable everywhere."""

    async def append(self, act: NewAct) -> Act:
        """Keep a record; it survives power loss when this returns."""
        ...

    async def acts(self, since: float = 0.0) -> list[Act]:
        """The records from this time on, in order. What cannot be read is left out: see `verify`."""
        ...

    async def verify(self, known: Mapping[int, str]) -> Verdict:
        """Look at the whole chain. known: hashes by number, from other places, that must be in it."""
        ...
