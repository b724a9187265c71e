"""Addresses that are turned away: by the server for a while, by the administrator for as long as wanted.

Owns: what this worker knows of the bans, which lie in the store and hold for all workers and after a restart. Whether
anything changed is asked at each connection, and costs half a microsecond.
Trusts: addresses come from the socket or a believed proxy.
On failure: when the store cannot be read, what was known before holds; nobody is turned away for that.
"""

from __future__ import annotations

import asyncio
from typing import Final

from postroom.policy.decision import Admission
from postroom.policy.networks import Prefix, number_of, prefix_of
from postroom.policy.outgoing import Event
from postroom.policy.words import moment, shown, span
from postroom.store.api import Ban, LimitsStore, StoreError
from postroom.values.clock import Clock

#: seconds without a ban after which the next one is short again
FORGIVEN: Final = 86400.0
#: bans a worker knows at once at the most, and the number from which those that are over are looked for
MOST: Final = 100_000
_MANY: Final = 10_000


class Bans:
    """The bans of all workers, as one knows them. first, longest: seconds of a ban of the server's own."""

    __slots__ = ("_by_length", "_clock", "_event", "_first", "_generation", "_longest", "_serial", "_store", "_tasks")

    def __init__(self, store: LimitsStore, clock: Clock, event: Event, first: float, longest: float) -> None:
        self._store = store
        self._clock = clock
        self._event = event
        self._first = first
        self._longest = max(first, longest)
        self._generation = -1
        self._serial = 0
        self._by_length: dict[tuple[int, int], dict[int, Ban]] = {}  # (version, length): first address: ban
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def find(self, ip: str) -> Ban | None:
        """The ban that holds for the address now."""
        try:
            generation = self._store.generation()
            if generation != self._generation:
                self._learn(generation)
        except StoreError as fault:
            self._event("ban.unreadable", reason=str(fault))
        if not self._by_length:
            return None
        version, number = number_of(ip)
        bits = 32 if version == 4 else 128
        for (kind, length), bans in self._by_length.items():
            if kind == version:
                start = number >> bits - length << bits - length
                ban = bans.get(start)
                if ban is not None:
                    if ban.until > self._clock.now():
                        return ban
                    self._drop((kind, length, start))
                    return self.find(ip)
        return None

    @property
    def count(self) -> int:
        """How many networks are banned now."""
        self.find("")
        now = self._clock.now()
        return sum(ban.until > now for bans in self._by_length.values() for ban in bans.values())

    def barred(self, ip: str) -> bool:
        """Is it banned? For who asks before there is a way to say so."""
        return self.find(ip) is not None

    def refusal(self, ip: str) -> Admission | None:
        """Why the address is turned away; None when it is not."""
        ban = self.find(ip)
        if ban is None:
            return None
        if ban.until == float("inf"):
            return Admission(False, f"{shown(ban.network)} may not connect here: {shown(ban.reason)}", final=True)
        now = self._clock.now()
        until = f"until {moment(ban.until, now)} (in {span(ban.until - now)})"
        return Admission(False, f"{shown(ban.network)} is turned away {until}: {shown(ban.reason)}")

    def impose(self, network: str, reason: str) -> None:
        """Ban a network soon, longer than the last time."""
        if network not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._impose(network, reason))
            self._tasks[network] = task
            task.add_done_callback(lambda _: self._tasks.pop(network, None))

    async def settled(self) -> None:
        """Wait until what was imposed holds."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _impose(self, network: str, reason: str) -> None:
        now = self._clock.now()
        try:
            ban = await self._store.ban(
                Ban(network=network, since=now, until=now + self._first, reason=reason), self._longest, FORGIVEN
            )
        except StoreError as fault:
            self._event("ban.unreadable", reason=str(fault))
            return
        if ban.since == now:
            self._event("ban.made", network=network, until=ban.until, times=ban.times, reason=reason)

    def _learn(self, generation: int) -> None:
        """Read what changed since the last look."""
        now = self._clock.now()
        if self._size() > _MANY:
            self._prune(now)
        room = MOST - self._size()
        for ban in self._store.bans(self._serial):
            self._serial = ban.serial
            try:
                prefix, _ = prefix_of(ban.network)
            except ValueError:
                continue
            if ban.until > now and room > 0:
                room -= 1
                self._by_length.setdefault(prefix[:2], {})[prefix[2]] = ban
            else:
                self._drop(prefix)
        self._generation = generation

    def _size(self) -> int:
        return sum(len(bans) for bans in self._by_length.values())

    def _prune(self, now: float) -> None:
        """Forget bans that are over."""
        kept = {
            key: {start: ban for start, ban in bans.items() if ban.until > now} for key, bans in self._by_length.items()
        }
        self._by_length = {key: bans for key, bans in kept.items() if bans}

    def _drop(self, prefix: Prefix) -> None:
        bans = self._by_length.get(prefix[:2], {})
        bans.pop(prefix[2], None)
        if not bans:
            self._by_length.pop(prefix[:2], None)
