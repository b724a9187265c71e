"""Counters, bans and freezes in dictionaries. See postroom.store.api.LimitsStore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from postroom.store.api.limits import (
    KEEP_BANS,
    KEEP_COUNTS,
    KEEP_PLACES,
    KEEP_SENT,
    KEEP_WAITING,
    SIGN,
    Ban,
    Charge,
    Demand,
    Freeze,
    Lift,
    Rules,
    Suppression,
    Taken,
    Tally,
    Used,
    amounts,
    doubled,
    first_slot,
    frees,
    id_of,
    slot_of,
)
from postroom.store.memory.usage import MemoryUsage


class MemoryLimits:
    """Nothing survives."""

    def __init__(self) -> None:
        self.usage = MemoryUsage()
        self._counts: dict[tuple[str, str], dict[int, int]] = {}
        self._written: dict[str, dict[str, float]] = {}
        self._sent: dict[str, dict[int, float]] = {}
        self._warned: dict[tuple[str, str], float] = {}
        self._waiting: dict[str, tuple[float, float]] = {}
        self._places: dict[str, dict[str, tuple[float, float]]] = {}
        self._bans: dict[str, Ban] = {}
        self._frozen: dict[str, Freeze] = {}
        self._lifts: dict[str, Lift] = {}
        self._suppressed: dict[str, Suppression] = {}
        self._version = 1

    async def take(self, demand: Demand, now: float) -> Taken | Used:
        fresh = self.fresh(demand.account, demand.recipients)
        wanted = amounts(demand, len(fresh))
        for charge, amount in zip(demand.charges, wanted, strict=True):
            used = self.used(charge, now, amount)
            if used.frees:
                return used
        near: list[Used] = []
        for charge, amount in zip(demand.charges, wanted, strict=True):
            self._add(charge.name, charge.kind, slot_of(now, charge.window), amount)
            used = self.used(charge, now)
            place = (charge.name, charge.kind)
            if charge.limit and used.used >= charge.warn * charge.limit and self._warned.get(place, 0.0) <= now:
                self._warned[place] = now + charge.window
                near.append(used)
        if demand.message_id:
            self._sent.setdefault(demand.account, {})[id_of(demand.message_id)] = now
        if demand.account:
            self._written.setdefault(demand.account, {}).update(dict.fromkeys(fresh, now))
        return Taken(demand=demand, at=now, amounts=wanted, fresh=fresh, near=tuple(near))

    def _add(self, name: str, kind: str, slot: int, amount: int) -> None:
        if amount:
            slots = self._counts.setdefault((name, kind), {})
            slots[slot] = max(slots.get(slot, 0) + amount, 0)

    async def give_back(self, taken: Taken) -> None:
        for charge, amount in zip(taken.demand.charges, taken.amounts, strict=True):
            self._add(charge.name, charge.kind, slot_of(taken.at, charge.window), -amount)
        for recipient in taken.fresh:
            self._written.get(taken.demand.account, {}).pop(recipient, None)

    def _slots(self, name: str, kind: str, window: int, now: float) -> list[tuple[int, int]]:
        known = self._counts.get((name, kind), {})
        return sorted(
            (slot, count) for slot, count in known.items() if first_slot(now, window) < slot <= now + window and count
        )

    def used(self, charge: Charge, now: float, asked: int = 0) -> Used:
        slots = self._slots(charge.name, charge.kind, charge.window, now)
        count = sum(count for _, count in slots)
        return Used(charge=charge, used=count, asked=asked, frees=frees(slots, charge, asked))

    def fresh(self, account: str, recipients: Sequence[str]) -> tuple[str, ...]:
        if not account:
            return ()
        known = self._written.get(account, {})
        return tuple([each for each in recipients if each not in known])

    def written(self, account: str, recipient: str) -> float | None:
        return self._written.get(account, {}).get(recipient)

    def answered(self, account: str, message_ids: Sequence[str]) -> bool:
        known = [self._sent.get(account, {})] if account else list(self._sent.values())
        return any(id_of(each) in one for each in message_ids for one in known)

    def correspondents(self, account: str, limit: int) -> list[tuple[str, float]]:
        return sorted(self._written.get(account, {}).items(), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def note(self, tallies: Sequence[Tally], now: float) -> None:
        for tally in tallies:
            self._add(tally.name, tally.kind, slot_of(now, tally.window), tally.amount)

    async def tally(self, tallies: Sequence[Tally], now: float) -> None:
        self.note(tallies, now)

    def sums(self, name: str, windows: Mapping[str, int], now: float) -> dict[str, int]:
        return {
            kind: sum(count for _, count in self._slots(name, kind, window, now)) for kind, window in windows.items()
        }

    async def place(self, account: str, network: str, now: float) -> bool:
        known = self._places.setdefault(account, {})
        new = network not in known
        known[network] = (now if new else known[network][0], now)
        return new

    def places(self, account: str) -> list[tuple[str, float, float]]:
        found = [(network, *times) for network, times in self._places.get(account, {}).items()]
        return sorted(found, key=lambda place: (place[1], place[0]))

    def generation(self) -> int:
        return self._version

    def rules(self) -> Rules:
        return Rules(dict(self._frozen), dict(self._lifts))

    def bans(self, after: int = 0) -> list[Ban]:
        return sorted((ban for ban in self._bans.values() if ban.serial > after), key=lambda ban: ban.serial)

    async def ban(self, ban: Ban, longest: float, forget: float) -> Ban:
        before = self._bans.get(ban.network)
        if before is not None and before.until > ban.since:
            return before
        return await self.put_ban(doubled(ban, before, longest, forget))

    async def put_ban(self, ban: Ban) -> Ban:
        self._version += 1
        kept = self._bans[ban.network] = replace(ban, serial=self._version)
        return kept

    def suppressed(self, address: str, now: float) -> Suppression | None:
        found = self._suppressed.get(address)
        return found if found is not None and found.until > now else None

    def suppressions(self, now: float) -> list[Suppression]:
        return [one for _, one in sorted(self._suppressed.items()) if one.until > now]

    async def suppress(self, suppression: Suppression) -> None:
        known = self._suppressed.get(suppression.address)
        if known is None or known.until < suppression.until or suppression.by:
            self._suppressed[suppression.address] = suppression

    async def unsuppress(self, address: str) -> bool:
        return self._suppressed.pop(address, None) is not None

    async def freeze(self, freeze: Freeze) -> bool:
        if freeze.account in self._frozen:
            return False
        self._frozen[freeze.account] = freeze
        self._version += 1
        return True

    async def unfreeze(self, account: str) -> bool:
        if self._frozen.pop(account, None) is None:
            return False
        for place in [place for place in self._counts if place[0] == account and place[1].startswith(SIGN)]:
            del self._counts[place]
        self._version += 1
        return True

    async def lift(self, lift: Lift) -> None:
        self._lifts[lift.name] = lift
        self._version += 1

    async def forget(self, name: str) -> None:
        for known in (self._counts, self._warned):
            for place in [place for place in known if place[0] == name]:
                del known[place]
        for by_name in (self._written, self._sent, self._places, self._frozen, self._lifts):
            by_name.pop(name, None)
        self.usage.forget(name)
        self._version += 1

    async def wait(self, key: str, first: float, now: float) -> float:
        self._waiting[key] = self._waiting.get(key, (first, now))[0], now
        return self._waiting[key][0]

    def waits(self, key: str) -> float | None:
        return self._waiting[key][0] if key in self._waiting else None

    async def sweep(self, now: float) -> None:
        self._waiting = {key: row for key, row in self._waiting.items() if row[1] >= now - KEEP_WAITING}
        for sent in self._sent.values():
            for one in [one for one, at in sent.items() if at < now - KEEP_SENT]:
                del sent[one]
        for slots in self._counts.values():
            for slot in [slot for slot in slots if slot < now - KEEP_COUNTS]:
                del slots[slot]
        self._warned = {place: until for place, until in self._warned.items() if until > now}
        self._lifts = {name: lift for name, lift in self._lifts.items() if lift.until > now}
        self._suppressed = {name: one for name, one in self._suppressed.items() if one.until > now}
        self._bans = {name: ban for name, ban in self._bans.items() if ban.until > now - KEEP_BANS}
        for known in self._places.values():
            for network in [network for network, (_, last) in known.items() if last < now - KEEP_PLACES]:
                del known[network]
