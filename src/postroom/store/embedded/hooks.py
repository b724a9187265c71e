"""The HookStore: data/webhooks.db, made at first use.

Only touched where webhooks are configured, about once a second; each call opens the file in a thread, does its work in
one synced transaction, and closes it.
On failure: StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import apsw

from postroom.store.api.hooks import CONTEXT_KEPT, DEAD_KEPT, MOST_WAITING, Call, HookChange, HookState
from postroom.store.embedded import schema
from postroom.store.embedded.brief import BriefFile
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.layout import Layout

T = TypeVar("T")

_FIELDS = "hook, id, type, time, body, next, attempts, last, dead"


class EmbeddedHooks:
    """See postroom.store.api.HookStore."""

    def __init__(self, layout: Layout, options: OpenOptions) -> None:
        self._file = BriefFile(layout.webhooks, options, (schema.WEBHOOKS, schema.WEBHOOKS_VERSION))

    async def add(self, change: HookChange) -> int:
        return await self._file.do(lambda db: _add(db, change))

    async def contexts(self, ids: Collection[str]) -> dict[str, bytes]:
        def work(db: apsw.Connection) -> dict[str, bytes]:
            found = {}
            for one in ids:
                row = db.execute("SELECT data FROM context WHERE id = ?", (one,)).fetchone()
                if row is not None:
                    found[one] = row[0]
            return found

        return await self._file.read(work, {})

    async def due(self, now: float, hooks: Collection[str], limit: int) -> list[Call]:
        def work(db: apsw.Connection) -> list[Call]:
            rows: list[Any] = []
            for hook in hooks:
                rows += db.execute(
                    f"SELECT {_FIELDS} FROM call WHERE hook = ? AND dead = 0 AND next <= ? ORDER BY next, id LIMIT ?",
                    (hook, now, limit),
                ).fetchall()
            return sorted((_call(row) for row in rows), key=lambda call: (call.next, call.id))[:limit]

        return await self._file.read(work, [])

    async def settle(self, done: Sequence[Call], failed: Sequence[Call]) -> None:
        def work(db: apsw.Connection) -> bool:
            for one in done:
                db.execute("DELETE FROM call WHERE hook = ? AND id = ?", (one.hook, one.id))
            for one in failed:
                db.execute(
                    "UPDATE call SET next = ?, attempts = ?, last = ?, dead = ? WHERE hook = ? AND id = ?",
                    (one.next, one.attempts, one.last, int(one.dead), one.hook, one.id),
                )
            return True

        await self._file.read(work, True)

    async def states(self) -> list[HookState]:
        def work(db: apsw.Connection) -> list[HookState]:
            rows: list[Any] = db.execute(
                "SELECT hook, sum(dead = 0), sum(dead), coalesce(min(CASE WHEN dead = 0 THEN time END), 0.0)"
                " FROM call GROUP BY hook ORDER BY hook"
            ).fetchall()
            return [
                HookState(hook=hook, waiting=waiting, dead=dead, oldest=oldest, last=_last(db, hook))
                for hook, waiting, dead, oldest in rows
            ]

        return await self._file.read(work, [])

    async def retry(self, hook: str, now: float) -> int:
        def work(db: apsw.Connection) -> int:
            db.execute("UPDATE call SET dead = 0, next = ?1, time = max(time, ?1 * dead) WHERE hook = ?2", (now, hook))
            return db.changes()

        return await self._file.read(work, 0)

    async def sweep(self, now: float, hooks: Collection[str]) -> int:
        def work(db: apsw.Connection) -> int:
            db.execute("DELETE FROM context WHERE at < ?", (now - CONTEXT_KEPT,))
            db.execute("DELETE FROM call WHERE dead = 1 AND next < ?", (now - DEAD_KEPT,))
            gone = db.changes()
            for (hook,) in db.execute("SELECT DISTINCT hook FROM call").fetchall():
                if hook not in hooks:
                    db.execute("DELETE FROM call WHERE hook = ?", (hook,))
                    gone += db.changes()
            return gone

        return await self._file.read(work, 0)


def _add(db: apsw.Connection, change: HookChange) -> int:
    room: dict[str, int] = {}
    dropped = 0
    for call in change.calls:
        if call.hook not in room:
            count: int = db.execute("SELECT count(*) FROM call WHERE hook = ? AND dead = 0", (call.hook,)).get
            room[call.hook] = MOST_WAITING - count
        if room[call.hook] <= 0:
            dropped += 1
            continue
        values = (
            call.hook,
            call.id,
            call.type,
            call.time,
            call.body,
            call.next,
            call.attempts,
            call.last,
            int(call.dead),
        )
        db.execute(f"INSERT OR IGNORE INTO call({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        room[call.hook] -= db.changes()
    for name, data in change.contexts.items():
        if data is None:
            db.execute("DELETE FROM context WHERE id = ?", (name,))
        else:
            db.execute("REPLACE INTO context(id, at, data) VALUES (?, ?, ?)", (name, change.at, data))
    return dropped


def _call(row: Any) -> Call:
    hook, name, kind, time, body, at, attempts, last, dead = row
    return Call(
        hook=hook,
        id=name,
        type=kind,
        time=time,
        body=body,
        next=at,
        attempts=attempts,
        last=last,
        dead=bool(dead),
    )


def _last(db: apsw.Connection, hook: str) -> str:
    found: str | None = db.execute(
        "SELECT last FROM call WHERE hook = ? AND last != '' ORDER BY next DESC LIMIT 1", (hook,)
    ).get
    return found or ""
