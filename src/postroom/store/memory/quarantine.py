"""Quarantine in memory, for tests."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from postroom.store.api.errors import NotFound
from postroom.store.api.quarantine import (
    ItemState,
    KeepLimits,
    QuarantineFull,
    QuarantineItem,
    QuarantineQuery,
    StateChange,
)
from postroom.values.content import Content

_SWEPT = 10_000


class MemoryQuarantine:
    """See postroom.store.api.QuarantineStore."""

    def __init__(self) -> None:
        self._items: dict[str, QuarantineItem] = {}
        self._octets: dict[str, Content] = {}

    async def keep(self, item: QuarantineItem, content: Content, limits: KeepLimits) -> bool:
        if item.id in self._items:
            return False
        same = [one for one in self._items.values() if one.account == item.account and one.state is ItemState.KEPT]
        if limits.items and len(same) >= limits.items:
            raise QuarantineFull(f"there are {len(same)} messages in quarantine")
        octets = sum(one.size for one in same)
        if limits.octets and octets + item.size > limits.octets:
            raise QuarantineFull(f"there are {octets} octets in quarantine")
        self._items[item.id] = item
        self._octets.setdefault(item.entry, Content.of(content.read()))
        return True

    async def find(self, query: QuarantineQuery) -> list[QuarantineItem]:
        found = [one for one in self._items.values() if _fits(one, query)]
        found.sort(key=lambda one: (one.received, one.id), reverse=query.newest)
        return found[: query.limit]

    async def content(self, item: str) -> Content:
        if item not in self._items:
            raise NotFound(f"{item} is not in quarantine")
        return self._octets[self._items[item].entry]

    async def put_state(self, items: tuple[str, ...], change: StateChange) -> list[str]:
        changed = [one for one in items if one in self._items and self._items[one].state in change.before]
        for one in changed:
            known = self._items[one]
            release = "" if change.state is ItemState.RELEASING else known.release
            self._items[one] = replace(known, state=change.state, changed=change.at, by=change.by, release=release)
        return changed

    async def reserve(self, item: str, release: str) -> str:
        known = self._items.get(item)
        if known is None or known.state is not ItemState.RELEASING:
            raise NotFound(f"{item} is not to be released")
        if not known.release:
            self._items[item] = known = replace(known, release=release)
        return known.release

    async def untold(self) -> dict[str, int]:
        query = QuarantineQuery(outgoing=False, untold=True)
        return dict(Counter(one.account for one in self._items.values() if _fits(one, query)))

    async def tell(self, items: tuple[str, ...]) -> None:
        for one in items:
            if one in self._items:
                self._items[one] = replace(self._items[one], told=True)

    async def counts(self) -> dict[ItemState, int]:
        return dict(Counter(one.state for one in self._items.values()))

    async def forget(self, account: str) -> int:
        return self._drop([one for one in self._items.values() if one.account == account])

    async def sweep(self, now: float) -> list[QuarantineItem]:
        gone = [one for one in self._items.values() if one.until <= now and one.state is not ItemState.RELEASING]
        gone = sorted(gone, key=lambda one: one.until)[:_SWEPT]
        self._drop(gone)
        return gone

    def _drop(self, gone: list[QuarantineItem]) -> int:
        for one in gone:
            del self._items[one.id]
        needed = {one.entry for one in self._items.values()}
        self._octets = {entry: octets for entry, octets in self._octets.items() if entry in needed}
        return len(gone)


def _fits(item: QuarantineItem, query: QuarantineQuery) -> bool:
    return (
        (not query.ids or item.id in query.ids)
        and query.account in ("", item.account)
        and query.domain in ("", item.domain)
        and (not query.sender or query.sender.lower() in f"{item.sender}\n{item.author}".lower())
        and query.since <= item.received < query.before
        and item.state in query.states
        and query.outgoing in (None, item.outgoing)
        and not (query.untold and item.told)
    )
