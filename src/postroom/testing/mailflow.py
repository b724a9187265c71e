"""Fakes for the rooms mail flows through: a queue store that can be broken, a clock that stands still, events."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from postroom.queue.outcome import Outcome
from postroom.store.api import (
    Depth,
    Entry,
    NewEntry,
    NewRecipient,
    Place,
    QueueFilter,
    Recipient,
    RecipientState,
    StoreUnavailable,
    new_entry,
)
from postroom.values.address import Address
from postroom.values.content import Content

FINAL = (RecipientState.DELIVERED, RecipientState.BOUNCED, RecipientState.DROPPED)


class StandingClock:
    """Moves when the test says so."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class Events:
    """What was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []

    def __call__(self, name: str, /, **fields: object) -> None:
        self.told.append((name, fields))

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def of(self, name: str) -> list[dict[str, object]]:
        return [fields for each, fields in self.told if each == name]


class FakeQueueStore:
    """What lies in the queue. broken: every call fails; lagging: `finish` writes nothing yet."""

    def __init__(self) -> None:
        self.kept: dict[str, Entry] = {}
        self.broken = False
        self.lazy: list[tuple[str, Sequence[Recipient]]] = []
        self.lagging = False
        self.updates: list[tuple[str, Sequence[Recipient]]] = []
        self.finishes: list[tuple[str, Sequence[Recipient]]] = []
        self.looks = 0
        self.loads = 0

    def _check(self) -> None:
        if self.broken:
            raise StoreUnavailable("disk full")

    async def accept(self, entry: NewEntry) -> Entry:
        self._check()
        content = entry.content.with_prefix(entry.trace)
        kept = new_entry(entry, 0, content)
        self.kept[entry.id] = kept
        return kept

    def finish(self, entry: str, results: Sequence[Recipient]) -> None:
        self.finishes.append((entry, results))
        if self.lagging:
            self.lazy.append((entry, results))
        else:
            self._write(entry, results)

    async def update(self, entry: str, results: Sequence[Recipient]) -> None:
        self._check()
        self.updates.append((entry, results))
        self._write(entry, results)

    def _write(self, entry: str, results: Sequence[Recipient]) -> None:
        kept = self.kept[entry]
        new = {result.index: result for result in results}
        recipients = tuple(new.get(each.index, each) for each in kept.recipients)
        if all(each.state in FINAL for each in recipients):
            del self.kept[entry]
        else:
            self.kept[entry] = replace(kept, recipients=recipients)

    async def due(self, now: float, limit: int = 100, skip: Collection[str] = ()) -> list[Entry]:
        self._check()
        self.looks += 1
        found = [
            entry
            for entry in self.kept.values()
            if entry.id not in skip
            and any(each.state is RecipientState.WAITING and each.next_try <= now for each in entry.recipients)
        ]
        return sorted(found, key=lambda entry: entry.received)[:limit]

    async def look(self, now: float, limit: int, after: Place | None = None) -> tuple[list[Entry], Place | None]:
        self._check()
        self.looks += 1
        places = sorted(
            (min(each.next_try for each in entry.recipients if each.state is RecipientState.WAITING), entry.id)
            for entry in self.kept.values()
            if any(each.state is RecipientState.WAITING and each.next_try <= now for each in entry.recipients)
        )
        places = [place for place in places if after is None or place > after][:limit]
        return [self.kept[number] for _, number in places], places[-1] if len(places) == limit else None

    def load(self, entry: Entry) -> Entry:
        self._check()
        self.loads += 1
        return entry

    async def next_due(self) -> float | None:
        self._check()
        return min(
            (
                each.next_try
                for entry in self.kept.values()
                for each in entry.recipients
                if each.state is RecipientState.WAITING
            ),
            default=None,
        )

    async def depth(self) -> Depth:
        times = [entry.received for entry in self.kept.values()]
        return Depth(len(times), min(times, default=0.0))

    async def entries(self, which: QueueFilter) -> list[Entry]:
        return [entry for entry in self.kept.values() if self._matching(entry, which)][: which.limit]

    def _matching(self, entry: Entry, which: QueueFilter) -> list[Recipient]:
        if which.ids and entry.id not in which.ids:
            return []
        if which.sender not in entry.sender:
            return []
        if which.older_than is not None and entry.received >= which.older_than:
            return []
        return [
            each
            for each in entry.recipients
            if which.recipient in each.address
            and each.address.endswith(which.domain)
            and (which.state is None or each.state is which.state)
        ]

    async def change(
        self,
        which: QueueFilter,
        state: RecipientState | None,
        next_try: float | None,
        nexthop: str | None = None,
    ) -> int:
        count = 0
        for entry in list(self.kept.values()):
            matching = self._matching(entry, which)
            changed = [
                replace(
                    each,
                    state=each.state if state is None else state,
                    next_try=each.next_try if next_try is None else max(next_try, entry.release),
                    nexthop=each.nexthop if nexthop is None else nexthop,
                )
                for each in matching
            ]
            if changed:
                self._write(entry.id, changed)
            count += len(changed)
        return count


class FakeReports:
    """Reports that say only what they are about."""

    def __init__(self, recipients: tuple[NewRecipient, ...] | None = None) -> None:
        self.made: list[tuple[str, str, list[str]]] = []
        self.recipients = recipients
        self.fault: Exception | None = None

    async def report(
        self, new_id: str, entry: Entry, kind: str, outcomes: Sequence[Outcome], until: float
    ) -> NewEntry | None:
        """A report as an entry."""
        if self.fault:
            raise self.fault
        self.made.append((entry.id, kind, [outcome.recipient.address for outcome in outcomes]))
        recipients = self.recipients
        if recipients is None:
            recipients = (NewRecipient(address=str(Address.parse(entry.sender)), route="local"),)
        if not recipients:
            return None
        return NewEntry(
            id=new_id, sender="", recipients=recipients, content=Content.of(b"Subject: report\r\n\r\n"), received=until
        )
