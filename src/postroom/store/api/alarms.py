"""What an administrator must see and has not dealt with: open alarms.

An alarm is named by its event and its subject (a login, a host, …). When it happens again while it is open its count
grows; it is over when an event ends it, or when an administrator says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from msgspec import Struct


class Alarm(Struct, frozen=True, kw_only=True):
    """An open alarm. first, last: Unix seconds; fields: of the newest event."""

    id: int
    name: str
    subject: str
    first: float
    last: float
    count: int
    fields: Mapping[str, Any]


class AlarmStore(Protocol):
    """Alarms of all processes."""

    def note(self, time: float, name: str, subject: str, fields: Mapping[str, Any]) -> None:
        """It happened; kept within a second. Never raises. On the event loop's thread."""
        ...

    def end(self, names: Collection[str], subject: str) -> None:
        """These alarms with this subject are over; kept within a second. Never raises."""
        ...

    async def flush(self) -> None:
        """What was noted is kept when this returns."""
        ...

    async def open(self) -> list[Alarm]:
        """The open ones, newest last. Raises StoreUnavailable."""
        ...

    async def close(self, ids: Collection[int]) -> int:
        """An administrator has dealt with them; how many were open. Raises StoreUnavailable."""
        ...
