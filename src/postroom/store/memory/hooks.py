"""Calls of webhooks in memory, for tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from postroom.store.api.hooks import CONTEXT_KEPT, DEAD_KEPT, MOST_WAITING, Call, HookChange, HookState


class MemoryHooks:
    """See postroom.store.api.HookStore."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], Call] = {}
        self._contexts: dict[str, tuple[float, bytes]] = {}

    async def add(self, change: HookChange) -> int:
        dropped = 0
        for call in change.calls:
            if sum(one.hook == call.hook and not one.dead for one in self._calls.values()) >= MOST_WAITING:
                dropped += 1
            else:
                self._calls.setdefault((call.hook, call.id), call)
        for name, data in change.contexts.items():
            if data is None:
                self._contexts.pop(name, None)
            else:
                self._contexts[name] = change.at, data
        return dropped

    async def contexts(self, ids: Collection[str]) -> dict[str, bytes]:
        return {one: self._contexts[one][1] for one in ids if one in self._contexts}

    async def due(self, now: float, hooks: Collection[str], limit: int) -> list[Call]:
        found = [one for one in self._calls.values() if one.hook in hooks and not one.dead and one.next <= now]
        return sorted(found, key=lambda call: (call.next, call.id))[:limit]

    async def settle(self, done: Sequence[Call], failed: Sequence[Call]) -> None:
        for one in done:
            self._calls.pop((one.hook, one.id), None)
        for one in failed:
            if (one.hook, one.id) in self._calls:
                self._calls[one.hook, one.id] = one

    async def states(self) -> list[HookState]:
        return [self._state(hook) for hook in sorted({one.hook for one in self._calls.values()})]

    def _state(self, hook: str) -> HookState:
        calls = [one for one in self._calls.values() if one.hook == hook]
        waiting = [one.time for one in calls if not one.dead]
        last = max((one for one in calls if one.last), key=lambda one: one.next, default=None)
        return HookState(
            hook=hook,
            waiting=len(waiting),
            dead=len(calls) - len(waiting),
            oldest=min(waiting, default=0.0),
            last=last.last if last is not None else "",
        )

    async def retry(self, hook: str, now: float) -> int:
        mine = [one for one in self._calls.values() if one.hook == hook]
        for one in mine:
            time = max(one.time, now) if one.dead else one.time
            self._calls[one.hook, one.id] = replace(one, dead=False, next=now, time=time)
        return len(mine)

    async def sweep(self, now: float, hooks: Collection[str]) -> int:
        self._contexts = {name: kept for name, kept in self._contexts.items() if kept[0] >= now - CONTEXT_KEPT}
        gone = [
            place
            for place, one in self._calls.items()
            if one.hook not in hooks or (one.dead and one.next < now - DEAD_KEPT)
        ]
        for place in gone:
            del self._calls[place]
        return len(gone)
