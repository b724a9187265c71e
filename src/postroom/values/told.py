"""An event that was told: when, its name in the catalogue (observe.catalogue), and its fields.

Owns: nothing. Fields are plain values (text, numbers, lists of them); times are Unix seconds.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Told(Struct, frozen=True, array_like=True):
    """One event. fields: those of the catalogue, and whatever else was told with it."""

    time: float
    name: str
    fields: dict[str, Any]

    @property
    def id(self) -> str:
        """The mail transaction it belongs to, "" when to none."""
        found = self.fields.get("queue_id")
        return found if isinstance(found, str) else ""
