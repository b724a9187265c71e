"""Open alarms in memory, for tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count
from typing import Any

from msgspec.structs import replace

from postroom.store.api.alarms import Alarm


class MemoryAlarms:
    """See postroom.store.api.AlarmStore."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Alarm] = {}
        self._ids = count(1)

    def note(self, time: float, name: str, subject: str, fields: Mapping[str, Any]) -> None:
        place = name, subject
        known = self._open.get(place)
        if known is None:
            self._open[place] = Alarm(
                id=next(self._ids), name=name, subject=subject, first=time, last=time, count=1, fields=dict(fields)
            )
        else:
            self._open[place] = replace(known, last=time, count=known.count + 1, fields=dict(fields))

    def end(self, names: Collection[str], subject: str) -> None:
        for name in names:
            self._open.pop((name, subject), None)

    async def flush(self) -> None:
        """Everything is there already."""

    async def open(self) -> list[Alarm]:
        return sorted(self._open.values(), key=lambda alarm: (alarm.last, alarm.id))

    async def close(self, ids: Collection[int]) -> int:
        gone = [place for place, alarm in self._open.items() if alarm.id in ids]
        for place in gone:
            del self._open[place]
        return len(gone)
