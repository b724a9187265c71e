"""The LimitsStore: counts, bans and freezes in policy.db, shared by all processes.

Owns: a reader for looks on the event loop, and what is known of freezes and lifts. Whether they changed is told by a
stamp in shared memory (stamp.py); a process may die between its commit and the stamp, so the file is asked once a
second all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import apsw

from postroom.store.api.limits import (
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
    first_slot,
)
from postroom.store.embedded import limits_file, schema
from postroom.store.embedded.committer import Committer
from postroom.store.embedded.database import OpenOptions, open_database, set_up, unavailable
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.limits_file import LimitsFile, LimitsUnit
from postroom.store.embedded.stamp import Stamp
from postroom.values.clock import Clock

T = TypeVar("T")

#: how long the stamp alone is believed
_ASK_SECONDS: Final = 1.0


class EmbeddedLimits:
    """See postroom.store.api.LimitsStore."""

    def __init__(self, layout: Layout, options: OpenOptions, committer: Committer, clock: Clock) -> None:
        self._stamp = Stamp(layout.policy_stamp)
        self._seen = b""
        self._asked = 0.0
        self._clock = clock
        self._reader = open_database(layout.policy, options, cache_kib=options.reader_cache_kib, create=True)
        set_up(self._reader, schema.POLICY, schema.POLICY_VERSION)
        self._file = LimitsFile(layout.policy, options, clock)
        self._committer = committer
        self._version = 0
        self._rules = Rules()
        self._rules_version = -1

    def close(self) -> None:
        """Close both connections; the committer has ended."""
        self._file.close()
        self._reader.close()
        self._stamp.close()

    async def do(self, work: Callable[[apsw.Connection], T]) -> T:
        """Internal: one transaction. Raises StoreUnavailable."""

        def run(unit: LimitsUnit) -> Callable[[], T]:
            result = work(unit.connection)
            return lambda: result

        return await self._committer.submit(self._file, run)

    async def _change(self, work: Callable[[apsw.Connection], T]) -> T:
        """A change of what all processes know."""
        result = await self.do(work)
        self._stamp.change()
        return result

    def rows(self, sql: str, *bindings: Any) -> list[Any]:
        """Internal: a look. Raises StoreUnavailable."""
        try:
            return self._reader.execute(sql, bindings).fetchall()
        except apsw.Error as fault:
            raise unavailable(fault) from fault

    # counts

    async def take(self, demand: Demand, now: float) -> Taken | Used:
        return await self.do(lambda db: limits_file.take(db, demand, now))

    async def give_back(self, taken: Taken) -> None:
        await self.do(lambda db: limits_file.give_back(db, taken))

    def used(self, charge: Charge, now: float, asked: int = 0) -> Used:
        try:
            return limits_file.how_much(self._reader, charge, now, asked)
        except apsw.Error as fault:
            raise unavailable(fault) from fault

    def fresh(self, account: str, recipients: Sequence[str]) -> tuple[str, ...]:
        try:
            return limits_file.unwritten(self._reader, account, recipients)
        except apsw.Error as fault:
            raise unavailable(fault) from fault

    def written(self, account: str, recipient: str) -> float | None:
        rows = self.rows("SELECT since FROM correspondent WHERE account = ? AND address = ?", account, recipient)
        return rows[0][0] if rows else None

    def answered(self, account: str, message_ids: Sequence[str]) -> bool:
        try:
            return limits_file.answered(self._reader, account, message_ids)
        except apsw.Error as fault:
            raise unavailable(fault) from fault

    def correspondents(self, account: str, limit: int) -> list[tuple[str, float]]:
        return self.rows(
            "SELECT address, since FROM correspondent WHERE account = ? ORDER BY since DESC, address LIMIT ?",
            account,
            limit,
        )

    def note(self, tallies: Sequence[Tally], now: float) -> None:
        def run(unit: LimitsUnit) -> Callable[[], None]:
            limits_file.tally(unit.connection, tallies, now)
            return lambda: None

        self._committer.submit_lazy(self._file, run)

    async def tally(self, tallies: Sequence[Tally], now: float) -> None:
        await self.do(lambda db: limits_file.tally(db, tallies, now))

    def sums(self, name: str, windows: Mapping[str, int], now: float) -> dict[str, int]:
        found = dict.fromkeys(windows, 0)
        for kind, slot, count in self.rows("SELECT kind, slot, count FROM used WHERE name = ?", name):
            window = windows.get(kind)
            if window is not None and first_slot(now, window) < slot <= now + window:
                found[kind] += count
        return found

    async def place(self, account: str, network: str, now: float) -> bool:
        return await self.do(lambda db: limits_file.place(db, account, network, now))

    def places(self, account: str) -> list[tuple[str, float, float]]:
        return self.rows("SELECT network, first, last FROM place WHERE account = ? ORDER BY first, network", account)

    # what all processes know

    def generation(self) -> int:
        stamp = self._stamp.value()
        now = self._clock.monotonic()
        if stamp != self._seen or not 0 <= now - self._asked < _ASK_SECONDS:
            self._seen, self._asked = stamp, now
            [(self._version,)] = self.rows("SELECT number FROM version")
        return self._version

    def rules(self) -> Rules:
        version = self.generation()
        if version != self._rules_version:
            frozen = self.rows("SELECT account, since, score, reasons, author FROM frozen")
            lifts = self.rows("SELECT name, since, until, author FROM lift")
            self._rules = Rules({row[0]: _freeze(row) for row in frozen}, {row[0]: _lift(row) for row in lifts})
            self._rules_version = version
        return self._rules

    def bans(self, after: int = 0) -> list[Ban]:
        rows = self.rows("SELECT * FROM ban WHERE serial > ? ORDER BY serial", after)
        return [limits_file.read_ban(row) for row in rows]

    async def ban(self, ban: Ban, longest: float, forget: float) -> Ban:
        return await self._change(lambda db: limits_file.ban_again(db, ban, longest, forget))

    async def put_ban(self, ban: Ban) -> Ban:
        return await self._change(lambda db: limits_file.put_ban(db, ban))

    async def wait(self, key: str, first: float, now: float) -> float:
        return await self.do(lambda db: limits_file.wait(db, key, first, now))

    def waits(self, key: str) -> float | None:
        rows = self.rows("SELECT first FROM waiting WHERE name = ?", key)
        return rows[0][0] if rows else None

    def suppressed(self, address: str, now: float) -> Suppression | None:
        rows = self.rows("SELECT * FROM suppression WHERE address = ? AND until > ?", address, now)
        return _suppression(rows[0]) if rows else None

    def suppressions(self, now: float) -> list[Suppression]:
        return [_suppression(row) for row in self.rows("SELECT * FROM suppression WHERE until > ? ORDER BY 1", now)]

    async def suppress(self, suppression: Suppression) -> None:
        await self.do(lambda db: limits_file.suppress(db, suppression))

    async def unsuppress(self, address: str) -> bool:
        return await self.do(lambda db: limits_file.unsuppress(db, address))

    async def freeze(self, freeze: Freeze) -> bool:
        return await self._change(lambda db: limits_file.freeze(db, freeze))

    async def unfreeze(self, account: str) -> bool:
        return await self._change(lambda db: limits_file.unfreeze(db, account))

    async def lift(self, lift: Lift) -> None:
        await self._change(lambda db: limits_file.lift(db, lift))

    async def forget(self, name: str) -> None:
        await self._change(lambda db: limits_file.forget(db, name))

    async def sweep(self, now: float) -> None:
        await self.do(lambda db: limits_file.sweep(db, now))


def _freeze(row: Any) -> Freeze:
    account, since, score, reasons, author = row
    return Freeze(account=account, since=since, score=score, reasons=tuple(json.loads(reasons)), by=author)


def _suppression(row: Any) -> Suppression:
    address, since, until, reason, author = row
    return Suppression(address=address, since=since, until=until, reason=reason, by=author)


def _lift(row: Any) -> Lift:
    name, since, until, author = row
    return Lift(name=name, since=since, until=until, by=author)
