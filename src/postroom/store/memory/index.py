"""An index in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from postroom.store.api.index import IndexChange, IndexState, SegmentRow, waiting_after


class MemoryIndex:
    """See postroom.store.api.IndexFile and IndexReading."""

    def __init__(self) -> None:
        self.state = IndexState()
        self._octets: dict[int, bytes] = {}
        self._texts: dict[int, bytes] = {}

    @contextmanager
    def read(self) -> Iterator[MemoryIndex]:
        held = MemoryIndex()
        held.state, held._octets, held._texts = self.state, dict(self._octets), dict(self._texts)
        yield held

    def segment(self, row: SegmentRow) -> Callable[[int, int], bytes]:
        octets = self._octets[row.id]
        return lambda start, end: octets[start:end]

    def texts(self, messages: Sequence[int]) -> dict[int, bytes]:
        return {message: self._texts[message] for message in messages if message in self._texts}

    def change(self, change: IndexChange) -> IndexState:
        rows = [row for row in self.state.segments if row.id not in change.remove]
        number = max((row.id for row in self.state.segments), default=0)
        for block, messages, octets in change.add:
            number += 1
            rows.append(SegmentRow(number, block, messages, len(octets)))
            self._octets[number] = octets
        for gone in change.remove:
            self._octets.pop(gone, None)
        self._texts |= change.texts
        for message in change.forget:
            self._texts.pop(message, None)
        named = {name: getattr(change, name) for name in ("form", "until", "witness", "swept")}
        given = {name: value for name, value in named.items() if value is not None}
        self.state = replace(self.state, segments=tuple(rows), waiting=waiting_after(self.state, change), **given)
        return self.state

    def drop(self) -> None:
        self.state = IndexState()
        self._octets.clear()
        self._texts.clear()

    def report(self) -> None:
        """Memory is never damaged."""

    def close(self) -> None:
        """Nothing is open."""
