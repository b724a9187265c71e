"""The queue in a dictionary. See postroom.store.api.QueueStore."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from postroom.store.api import (
    Depth,
    Entry,
    NewEntry,
    NotFound,
    Once,
    Place,
    QueueFilter,
    Recipient,
    RecipientState,
    StoreError,
    new_entry,
)
from postroom.store.api.queue import ANSWERS_KEPT
from postroom.values.content import Content

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TERMINAL = frozenset({RecipientState.DELIVERED, RecipientState.BOUNCED, RecipientState.DROPPED})


class MemoryQueue:
    """Entries of one slot."""

    def __init__(self, slot: int) -> None:
        self._slot = slot
        self._entries: dict[str, Entry] = {}
        self._answers: dict[bytes, tuple[float, Once]] = {}
        self._claimed: set[bytes] = set()

    async def accept(self, entry: NewEntry) -> Entry:
        if not _SAFE_ID.fullmatch(entry.id) or entry.id in self._entries:
            raise StoreError(f"queue id {entry.id!r} is unfit or in use")
        content = Content.of(entry.trace + entry.content.read())
        kept = new_entry(entry, self._slot, content)
        self._entries[entry.id] = kept
        if entry.once is not None:
            self._answers[entry.once.key] = entry.received, entry.once
        return kept

    async def answered(self, key: bytes, now: float) -> Once | None:
        at, once = self._answers.get(key, (0.0, None))
        return once if at >= now - ANSWERS_KEPT else None

    @contextmanager
    def claim(self, key: bytes) -> Iterator[bool]:
        if key in self._claimed:
            yield False
            return
        self._claimed.add(key)
        try:
            yield True
        finally:
            self._claimed.discard(key)

    def finish(self, entry: str, results: Sequence[Recipient]) -> None:
        kept = self._entries.get(entry)
        if kept is None:
            return
        waiting = RecipientState.WAITING
        self._merge(
            kept,
            [
                replace(result, state=kept.recipients[result.index].state) if result.state is waiting else result
                for result in results
            ],
        )

    def _merge(self, kept: Entry, results: Sequence[Recipient]) -> None:
        entry, recipients = kept.id, list(kept.recipients)
        for result in results:
            recipients[result.index] = result
        if all(item.state in _TERMINAL for item in recipients):
            del self._entries[entry]
        else:
            self._entries[entry] = replace(kept, recipients=tuple(recipients))

    async def update(self, entry: str, results: Sequence[Recipient]) -> None:
        self.finish(entry, results)

    async def due(self, now: float, limit: int = 100, skip: Collection[str] = ()) -> list[Entry]:
        found = [
            entry
            for entry in self._entries.values()
            if (when := _next_try(entry)) is not None and when <= now and entry.id not in skip
        ]
        found.sort(key=lambda entry: _next_try(entry) or 0.0)
        return found[:limit]

    async def look(self, now: float, limit: int, after: Place | None = None) -> tuple[list[Entry], Place | None]:
        places = sorted(
            (when, entry.id)
            for entry in self._entries.values()
            if (when := _next_try(entry)) is not None and when <= now and (after is None or (when, entry.id) > after)
        )[:limit]
        return [self._entries[number] for _, number in places], places[-1] if len(places) == limit else None

    def load(self, entry: Entry) -> Entry:
        try:
            return replace(entry, content=self._entries[entry.id].content)
        except KeyError:
            raise NotFound(entry.id) from None

    async def next_due(self) -> float | None:
        return min((when for entry in self._entries.values() if (when := _next_try(entry)) is not None), default=None)

    async def depth(self) -> Depth:
        times = [entry.received for entry in self._entries.values()]
        return Depth(len(times), min(times, default=0.0))

    async def entries(self, which: QueueFilter) -> list[Entry]:
        found = [entry for entry in self._entries.values() if _chosen(entry, which)]
        found.sort(key=lambda entry: (entry.received, entry.id))
        return found[: which.limit]

    async def change(
        self,
        which: QueueFilter,
        state: RecipientState | None,
        next_try: float | None,
        nexthop: str | None = None,
    ) -> int:
        changed = await self.entries(which)
        for entry in changed:
            results = [
                replace(
                    item,
                    state=item.state if state is None else state,
                    next_try=item.next_try if next_try is None else max(next_try, entry.release),
                    nexthop=item.nexthop if nexthop is None else nexthop,
                )
                for item in _chosen(entry, which)
            ]
            self._merge(entry, results)
        return len(changed)


def _next_try(entry: Entry) -> float | None:
    return min((item.next_try for item in entry.recipients if item.state is RecipientState.WAITING), default=None)


def _chosen(entry: Entry, which: QueueFilter) -> list[Recipient]:
    """The recipients a filter means."""
    if which.ids and entry.id not in which.ids:
        return []
    if which.sender.lower() not in entry.sender.lower():
        return []
    if which.older_than is not None and entry.received >= which.older_than:
        return []
    return [item for item in entry.recipients if _means(which, item)]


def _means(which: QueueFilter, item: Recipient) -> bool:
    if which.recipient.lower() not in item.address.lower():
        return False
    if which.domain and item.address.rpartition("@")[2].lower() != which.domain.lower():
        return False
    return item.state not in _TERMINAL if which.state is None else item.state is which.state
