"""Events of messages' lives, kept for some weeks so that anybody can be told what became of a message.

Unlike everything else here they are not durable when `add` returns: they are written within a second, and the last
second is lost when the process dies. No mail depends on them. `flush` makes what was added readable for everyone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

from msgspec import Struct

from postroom.values.told import Told

#: fields by whose value, in any case, an event is found; no brackets stand around it
KEYS: Final = frozenset({"queue_id", "sender", "recipient", "message_id", "from", "login", "ip", "peer", "original"})
#: a field that is a list of such values
KEY_LIST: Final = "to"


def key(text: str) -> str:
    """A word in the form in which values are compared: without angle brackets and spaces around, in one case."""
    return text.strip("<> \t\r\n").lower()


def keys_of(event: str, fields: Mapping[str, Any]) -> set[str]:
    """Everything an event is found by: its name, and values of its fields."""
    found = {value.lower() for name, value in fields.items() if name in KEYS and isinstance(value, str)}
    found.update(value.lower() for value in fields.get(KEY_LIST, ()) if isinstance(value, str))
    found.add(event)
    found.discard("")
    return found


class EventQuery(Struct, frozen=True, kw_only=True):
    """What to look for.

    word: an id, address, Message-ID, IP address or name of an event, whole, in any case; "" is everything.

    since, until: Unix seconds; a life counts when one of its events that has the word lies between them.
    limit: how many lives at most, the newest. alone: also events that belong to no transaction.
    """

    word: str = ""
    since: float = 0.0
    until: float = 1e18
    limit: int = 20
    alone: bool = True


class Life(Struct, frozen=True):
    """What became of one mail transaction. id: "" for an event that belongs to none, which is alone then.

    events: all that are kept of it, in the order of their times.
    """

    id: str
    events: tuple[Told, ...]


class EventStore(Protocol):
    """The events of this process are added; those of all processes are found."""

    def add(self, time: float, name: str, fields: Mapping[str, Any]) -> None:
        """Keep an event, within a second. Costs half a microsecond and never raises. On the event loop's thread.

        fields: must not be changed any more.
        """
        ...

    async def flush(self) -> None:
        """What was added can be found when this returns. Raises StoreUnavailable when it could not be written."""
        ...

    async def find(self, query: EventQuery) -> list[Life]:
        """Lives with an event that has the word, newest first. Raises StoreUnavailable."""
        ...

    def told(self, name: str, since: float, until: float) -> AsyncIterator[list[Told]]:
        """Every event of this name of all processes, since <= time < until, some at a time and in no order.

        For a whole day: what is in memory at once is bounded, and nothing waits for it. What cannot be read is left
        out.
        """
        ...

    async def sweep(self, before: float) -> int:
        """Forget what is older than this, by whole days (UTC); how many files or days went."""
        ...
