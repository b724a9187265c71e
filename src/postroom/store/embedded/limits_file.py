"""policy.db for writing: transactions that wait for the disk once a second only.

Owns: the writer connection (committer's thread only). A commit is synced when the last synced one of this process is a
second old, and it syncs what other commits left before it; so a power loss takes back a second of counting at most,
and a crash of the process nothing.
Every function here works inside an open transaction.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw

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
from postroom.store.embedded.database import OpenOptions, open_database, rollback
from postroom.values.clock import Clock

_FULL: Final = 2
_NORMAL: Final = 1
_SYNC_SECONDS: Final = 1.0
_UNREACHED: Final = float("-inf")

_ADD: Final = """
INSERT INTO used VALUES (?, ?, ?, ?)
ON CONFLICT (name, kind, slot) DO UPDATE SET count = max(count + excluded.count, 0)
"""


class LimitsUnit:
    """One transaction on policy.db."""

    __slots__ = ("_file", "_synced", "connection")

    def __init__(self, file: LimitsFile, connection: apsw.Connection, synced: float | None) -> None:
        self.connection = connection
        self._file = file
        self._synced = synced

    def changed(self) -> int:
        """Grows with every change."""
        return self.connection.total_changes()

    def commit(self) -> Callable[[], None] | None:
        """Commit."""
        self.connection.execute("COMMIT")
        if self._synced is not None:
            self._file.synced = self._synced
        return None

    def rollback(self) -> None:
        """As if it never was."""
        rollback(self.connection)


class LimitsFile:
    """policy.db as the committer sees it."""

    def __init__(self, path: str, options: OpenOptions, clock: Clock) -> None:
        self.synced = _UNREACHED
        self._path = path
        self._options = options
        self._clock = clock
        self._level = _FULL
        self._writer: apsw.Connection | None = None

    def begin(self, durable: bool = True) -> LimitsUnit:
        """Open a transaction. Raises apsw.Error."""
        if self._writer is None:
            self._writer = open_database(self._path, self._options, cache_kib=self._options.writer_cache_kib)
            self._level = _FULL
        now = self._clock.monotonic()
        sync = not 0 <= now - self.synced < _SYNC_SECONDS
        level = _FULL if sync else _NORMAL
        if level != self._level:
            self._writer.pragma("synchronous", level)
            self._level = level
        self._writer.execute("BEGIN IMMEDIATE")
        return LimitsUnit(self, self._writer, now if sync else None)

    def close(self) -> None:
        """Close; a checkpoint syncs what is not synced yet."""
        if self._writer is not None:
            with contextlib.suppress(apsw.Error):
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            with contextlib.suppress(apsw.Error):
                self._writer.close()
            self._writer = None


# counts


def take(db: apsw.Connection, demand: Demand, now: float) -> Taken | Used:
    """See LimitsStore.take."""
    fresh = unwritten(db, demand.account, demand.recipients)
    wanted = amounts(demand, len(fresh))
    before = []
    for charge, amount in zip(demand.charges, wanted, strict=True):
        used = how_much(db, charge, now, amount) if charge.limit else Used(charge=charge, used=0)
        if used.frees:
            return used
        before.append(used)
    near: list[Used] = []
    for used, amount in zip(before, wanted, strict=True):
        charge = used.charge
        if amount:
            db.execute(_ADD, (charge.name, charge.kind, slot_of(now, charge.window), amount))
        total = used.used + amount
        if charge.limit and total >= charge.warn * charge.limit and _not_warned(db, charge, now):
            near.append(Used(charge=charge, used=total))
    if demand.message_id:
        db.execute("REPLACE INTO sent_id VALUES (?, ?, ?)", (id_of(demand.message_id), demand.account, now))
    if fresh:
        db.executemany("INSERT INTO correspondent VALUES (?, ?, ?)", [(demand.account, each, now) for each in fresh])
    return Taken(demand=demand, at=now, amounts=wanted, fresh=fresh, near=tuple(near))


def _not_warned(db: apsw.Connection, charge: Charge, now: float) -> bool:
    place = (charge.name, charge.kind)
    until: float | None = db.execute("SELECT until FROM warned WHERE name = ? AND kind = ?", place).get
    if until is not None and until > now:
        return False
    db.execute("REPLACE INTO warned VALUES (?, ?, ?)", (*place, now + charge.window))
    return True


def give_back(db: apsw.Connection, taken: Taken) -> None:
    """See LimitsStore.give_back."""
    for charge, amount in zip(taken.demand.charges, taken.amounts, strict=True):
        add(db, charge.name, charge.kind, slot_of(taken.at, charge.window), -amount)
    account = taken.demand.account
    db.executemany(
        "DELETE FROM correspondent WHERE account = ? AND address = ? AND since = ?",
        [(account, each, taken.at) for each in taken.fresh],
    )


def add(db: apsw.Connection, name: str, kind: str, slot: int, amount: int) -> None:
    """Add to a slot; a count is never below zero."""
    if amount > 0:
        db.execute(_ADD, (name, kind, slot, amount))
    elif amount < 0:
        db.execute(
            "UPDATE used SET count = max(count + ?, 0) WHERE name = ? AND kind = ? AND slot = ?",
            (amount, name, kind, slot),
        )


def tally(db: apsw.Connection, tallies: Sequence[Tally], now: float) -> None:
    """See LimitsStore.note."""
    for each in tallies:
        add(db, each.name, each.kind, slot_of(now, each.window), each.amount)


def how_much(db: apsw.Connection, charge: Charge, now: float, asked: int) -> Used:
    """See LimitsStore.used."""
    reach = (charge.name, charge.kind, first_slot(now, charge.window), now + charge.window)
    count: int = db.execute(
        "SELECT coalesce(sum(count), 0) FROM used WHERE name = ? AND kind = ? AND slot > ? AND slot <= ?", reach
    ).get
    if not charge.limit or count + asked <= charge.limit:
        return Used(charge=charge, used=count, asked=asked)
    slots: list[Any] = db.execute(
        "SELECT slot, count FROM used WHERE name = ? AND kind = ? AND slot > ? AND slot <= ? ORDER BY slot", reach
    ).fetchall()
    return Used(charge=charge, used=count, asked=asked, frees=frees(slots, charge, asked))


def unwritten(db: apsw.Connection, account: str, recipients: Sequence[str]) -> tuple[str, ...]:
    """See LimitsStore.fresh."""
    if not account:
        return ()
    sql = "SELECT 1 FROM correspondent WHERE account = ? AND address = ?"
    return tuple([each for each in recipients if db.execute(sql, (account, each)).fetchone() is None])


def answered(db: apsw.Connection, account: str, message_ids: Sequence[str]) -> bool:
    """See LimitsStore.answered."""
    sql = "SELECT 1 FROM sent_id WHERE id = ?1 AND account = ?2" if account else "SELECT 1 FROM sent_id WHERE id = ?1"
    return any(db.execute(sql, (id_of(each), account)[: 1 + bool(account)]).fetchone() for each in message_ids)


# exceptions


def next_version(db: apsw.Connection) -> int:
    """Every process looks again."""
    number: int = db.execute("UPDATE version SET number = number + 1 RETURNING number").get
    return number


def read_ban(row: Any) -> Ban:
    """A row of the table ban."""
    network, since, until, reason, times, author, serial = row
    return Ban(network=network, since=since, until=until, reason=reason, times=times, by=author, serial=serial)


def put_ban(db: apsw.Connection, ban: Ban) -> Ban:
    """See LimitsStore.put_ban."""
    row = (ban.network, ban.since, ban.until, ban.reason, ban.times, ban.by, next_version(db))
    db.execute("REPLACE INTO ban VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return read_ban(row)


def ban_again(db: apsw.Connection, ban: Ban, longest: float, forget: float) -> Ban:
    """See LimitsStore.ban."""
    row = db.execute("SELECT * FROM ban WHERE network = ?", (ban.network,)).fetchone()
    before = read_ban(row) if row is not None else None
    if before is not None and before.until > ban.since:
        return before
    return put_ban(db, doubled(ban, before, longest, forget))


def freeze(db: apsw.Connection, made: Freeze) -> bool:
    """See LimitsStore.freeze."""
    row = (made.account, made.since, made.score, json.dumps(made.reasons), made.by)
    db.execute("INSERT OR IGNORE INTO frozen VALUES (?, ?, ?, ?, ?)", row)
    if not db.changes():
        return False
    next_version(db)
    return True


def unfreeze(db: apsw.Connection, account: str) -> bool:
    """See LimitsStore.unfreeze."""
    db.execute("DELETE FROM frozen WHERE account = ?", (account,))
    if not db.changes():
        return False
    db.execute("DELETE FROM used WHERE name = ? AND kind >= ? AND kind < ?", (account, SIGN, SIGN + "\U0010ffff"))
    next_version(db)
    return True


def lift(db: apsw.Connection, made: Lift) -> None:
    """See LimitsStore.lift."""
    db.execute("REPLACE INTO lift VALUES (?, ?, ?, ?)", (made.name, made.since, made.until, made.by))
    next_version(db)


def place(db: apsw.Connection, account: str, network: str, now: float) -> bool:
    """See LimitsStore.place."""
    db.execute("UPDATE place SET last = ? WHERE account = ? AND network = ?", (now, account, network))
    if db.changes():
        return False
    db.execute("INSERT INTO place VALUES (?1, ?2, ?3, ?3)", (account, network, now))
    return True


def forget(db: apsw.Connection, name: str) -> None:
    """See LimitsStore.forget."""
    for table in ("used", "warned", "lift"):
        db.execute(f"DELETE FROM {table} WHERE name = ?", (name,))
    for table in ("correspondent", "sent_id", "place", "frozen"):
        db.execute(f"DELETE FROM {table} WHERE account = ?", (name,))
    db.execute("DELETE FROM held WHERE account = ?", (name,))
    db.execute("DELETE FROM held_domain WHERE domain = ?", (name,))
    next_version(db)


def suppress(db: apsw.Connection, one: Suppression) -> None:
    """See LimitsStore.suppress."""
    db.execute(
        "INSERT INTO suppression VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET since = ?2, until = ?3,"
        " reason = ?4, author = ?5 WHERE until < ?3 OR ?5 != ''",
        (one.address, one.since, one.until, one.reason, one.by),
    )


def unsuppress(db: apsw.Connection, address: str) -> bool:
    """See LimitsStore.unsuppress."""
    db.execute("DELETE FROM suppression WHERE address = ?", (address,))
    return db.changes() > 0


def wait(db: apsw.Connection, key: str, first: float, now: float) -> float:
    """See LimitsStore.wait."""
    db.execute(
        "INSERT INTO waiting VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET last = excluded.last", (key, first, now)
    )
    since: Any = db.execute("SELECT first FROM waiting WHERE name = ?", (key,)).get
    return float(since)


def sweep(db: apsw.Connection, now: float) -> None:
    """See LimitsStore.sweep."""
    db.execute("DELETE FROM used WHERE slot < ?", (now - KEEP_COUNTS,))
    db.execute("DELETE FROM warned WHERE until <= ?", (now,))
    db.execute("DELETE FROM lift WHERE until <= ?", (now,))
    db.execute("DELETE FROM suppression WHERE until <= ?", (now,))
    db.execute("DELETE FROM ban WHERE until <= ?", (now - KEEP_BANS,))
    db.execute("DELETE FROM place WHERE last < ?", (now - KEEP_PLACES,))
    db.execute("DELETE FROM waiting WHERE last < ?", (now - KEEP_WAITING,))
    db.execute("DELETE FROM sent_id WHERE at < ?", (now - KEEP_SENT,))
