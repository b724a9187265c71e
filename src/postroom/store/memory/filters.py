"""Scripts of an account in a dictionary, and filing by them (see store.api.filters)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from postroom.store.api import (
    MOST_REMEMBERED,
    DeliveredAlready,
    Filing,
    Filter,
    NotFound,
    OverQuota,
    Remembered,
    ScriptActive,
    ScriptExists,
    ScriptInfo,
    ScriptLimits,
    TooManyScripts,
)
from postroom.store.memory.boxes import Item, octets_of
from postroom.store.memory.keywords import learned
from postroom.values.clock import Clock
from postroom.values.content import Content

if TYPE_CHECKING:
    from postroom.store.memory.account import MemoryAccount


class MemoryFilters:
    """See postroom.store.api.FilterStore. It reaches into its account, whose other half it is."""

    def __init__(self, clock: Clock, account: MemoryAccount) -> None:
        self._clock = clock
        self._account = account
        self._scripts: dict[str, tuple[bytes, float]] = {}
        self._serial = 0
        self._active = ""
        self._remembered: dict[bytes, float] = {}

    async def filter(self) -> Filter:
        return Filter(self._serial, self._active)

    async def scripts(self) -> list[ScriptInfo]:
        return [
            ScriptInfo(name, len(text), name == self._active, changed)
            for name, (text, changed) in sorted(self._scripts.items(), key=lambda item: item[0].encode())
        ]

    async def script(self, name: str) -> bytes:
        return self._held(name)[0]

    def _held(self, name: str) -> tuple[bytes, float]:
        if name not in self._scripts:
            raise NotFound(f"no script {name}")
        return self._scripts[name]

    async def put_script(self, name: str, text: bytes, limits: ScriptLimits | None = None) -> None:
        after = {**self._scripts, name: (text, self._clock.now())}
        if limits and limits.count and len(after) > limits.count:
            raise TooManyScripts(str(len(after)))
        if limits and limits.octets and sum(len(each) for each, _ in after.values()) > limits.octets:
            raise OverQuota("scripts")
        self._scripts = after
        self._serial += 1

    async def rename_script(self, name: str, new: str) -> None:
        held = self._held(name)
        if new in self._scripts:
            raise ScriptExists(new)
        del self._scripts[name]
        self._scripts[new] = held
        self._active = new if self._active == name else self._active
        self._serial += 1

    async def remove_script(self, name: str) -> None:
        self._held(name)
        if name == self._active:
            raise ScriptActive(name)
        del self._scripts[name]
        self._serial += 1

    async def activate_script(self, name: str) -> None:
        if name:
            self._held(name)
        self._active = name
        self._serial += 1

    async def remembered(self, now: float) -> frozenset[bytes]:
        return frozenset(key for key, until in self._remembered.items() if until > now)

    async def remember(self, keys: Sequence[Remembered]) -> None:
        self._keep(keys)

    def _keep(self, keys: Sequence[Remembered]) -> None:
        for each in keys:
            self._remembered[each.key] = max(each.until, self._remembered.get(each.key, each.until))
        for key, _ in sorted(self._remembered.items(), key=lambda item: item[1])[: -MOST_REMEMBERED or None]:
            if len(self._remembered) > MOST_REMEMBERED:
                del self._remembered[key]

    async def claim(self, key: Remembered, now: float) -> bool:
        if self._remembered.get(key.key, now) > now:
            return False
        self._remembered.pop(key.key, None)
        self._keep((key,))
        return True

    async def file(
        self,
        filings: Sequence[Filing],
        *,
        delivery: tuple[str, str],
        home: int,
        remember: Sequence[Remembered] = (),
        quota: tuple[int, int] = (0, 0),
    ) -> list[tuple[int, int]]:
        placed = _file(self._account, filings, delivery, quota)
        self._keep(remember)
        return placed


def _file(
    account: MemoryAccount, filings: Sequence[Filing], delivery: tuple[str, str], quota: tuple[int, int]
) -> list[tuple[int, int]]:
    boxes = [account._box(each.mailbox) for each in filings]
    if delivery in account._delivered:
        raise DeliveredAlready(delivery[0])
    account._check_quota(quota, [each.message.content.size for each in filings])
    for box, each in zip(boxes, filings, strict=True):
        learned(box.keywords, each.keywords)
    account._delivered.add(delivery)
    made: dict[int, int] = {}
    places = []
    for box, each in zip(boxes, filings, strict=True):
        new, number = each.message, made.setdefault(id(each.message), account._next_message)
        if number == account._next_message:
            account._next_message += 1
            octets = octets_of(new)
            account._messages[number] = (structs.replace(new, content=Content.of(octets)), octets)
        item = Item(0, each.flags, frozenset(each.keywords), 0, number, new.content.size, new.internaldate, 0)
        places.append((account._put(box, [item])[0], number))
    return places
