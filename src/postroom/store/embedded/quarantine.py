"""The QuarantineStore: data/quarantine.db, made at first use, and data/quarantine for the octets of large messages.

As rare as reports, so it works like them: each call opens the file in a thread, does its work in one synced
transaction, and closes it. A large message's file is linked and its folder synced before the row that names it.
On failure: StoreUnavailable, and nothing was kept; a file without a row is removed by the next sweep.
"""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any, Final, TypeVar

import apsw
from msgspec.structs import asdict

from postroom.store.api.errors import NotFound
from postroom.store.api.quarantine import (
    ItemState,
    KeepLimits,
    QuarantineFull,
    QuarantineItem,
    QuarantineQuery,
    StateChange,
)
from postroom.store.embedded import schema
from postroom.store.embedded.brief import BriefFile
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.disk import Disk, discard, keep_file, keep_octets
from postroom.store.embedded.layout import Layout
from postroom.store.embedded.sweep import sweep_strays
from postroom.values.content import Content

T = TypeVar("T")

#: octets above which a message has a file of its own
IN_ROW: Final = 64 * 1024
_SWEPT: Final = 10_000
_NAMES: Final = (
    "id", "entry", "account", "domain", "recipient", "sender", "received", "until", "size", "outgoing", "author",
    "subject", "score", "why", "body", "smtputf8", "state", "changed", "by", "release", "told",
    "guarded",
)  # fmt: skip
_FIELDS: Final = ", ".join(_NAMES)
_FLAGS: Final = frozenset({"outgoing", "smtputf8", "told", "guarded"})


class EmbeddedQuarantine:
    """See postroom.store.api.QuarantineStore."""

    def __init__(self, layout: Layout, options: OpenOptions, disk: Disk, grace: float) -> None:
        """grace: seconds for which a file that no row names may belong to a transaction under way."""
        self._layout = layout
        schema_of = (schema.QUARANTINE, schema.QUARANTINE_VERSION)
        self._file = BriefFile(layout.quarantine, options, schema_of, self._made)
        self._disk = disk
        self._grace = grace

    def _made(self) -> None:
        self._disk.make_folder(self._layout.quarantine_bodies)
        self._disk.sync_folder(self._layout.data)

    # in

    async def keep(self, item: QuarantineItem, content: Content, limits: KeepLimits) -> bool:
        return await self._file.do(lambda db: self._keep(db, item, content, limits))

    def _keep(self, db: apsw.Connection, item: QuarantineItem, content: Content, limits: KeepLimits) -> bool:
        if db.execute("SELECT count(*) FROM item WHERE id = ?", (item.id,)).get:
            return False
        sums = "SELECT count(*), coalesce(sum(size), 0) FROM item WHERE account = ? AND state = 'kept'"
        items, octets = db.execute(sums, (item.account,)).get
        if limits.items and items >= limits.items:
            raise QuarantineFull(f"there are {items} messages in quarantine")
        if limits.octets and octets + item.size > limits.octets:
            raise QuarantineFull(f"there are {octets} octets in quarantine")
        if not db.execute("SELECT count(*) FROM content WHERE entry = ?", (item.entry,)).get:
            self._keep_octets(db, item.entry, content)
        values = asdict(item)
        db.execute(
            f"INSERT INTO item({_FIELDS}) VALUES ({', '.join('?' * len(_NAMES))})",
            [int(values[name]) if name in _FLAGS else values[name] for name in _NAMES],
        )
        return True

    def _keep_octets(self, db: apsw.Connection, entry: str, content: Content) -> None:
        insert = "INSERT INTO content(entry, size, prefix, digest, data) VALUES (?, ?, ?, ?, ?)"
        if not content.path and content.size <= IN_ROW:
            db.execute(insert, (entry, content.size, b"", b"", content.data))
            return
        target = self._layout.quarantine_body(entry)
        discard(self._disk, target)  # of a transaction that a crash ended
        if content.path:
            keep_file(self._disk, content.path, target)
            digest = content.digest
        else:
            keep_octets(self._disk, content.data, target)
            digest = sha256(content.data).digest()
        self._disk.sync_folder(self._layout.quarantine_bodies)
        db.execute(insert, (entry, content.size, content.prefix, digest, None))

    # out

    async def find(self, query: QuarantineQuery) -> list[QuarantineItem]:
        return await self._file.read(lambda db: _find(db, query), [])

    async def content(self, item: str) -> Content:
        sql = "SELECT c.entry, c.size, c.prefix, c.digest, c.data FROM item JOIN content c USING (entry) WHERE id = ?"
        rows: list[Any] = await self._file.read(lambda db: db.execute(sql, (item,)).fetchall(), [])
        if not rows:
            raise NotFound(f"{item} is not in quarantine")
        entry, size, prefix, digest, data = rows[0]
        if data is not None:
            return Content.of(data)
        return Content(size=size, path=self._layout.quarantine_body(entry), prefix=prefix, digest=digest)

    async def put_state(self, items: tuple[str, ...], change: StateChange) -> list[str]:
        def work(db: apsw.Connection) -> list[str]:
            changed = []
            states = ", ".join(f"'{state}'" for state in change.before)
            anew = ", release = ''" if change.state is ItemState.RELEASING else ""
            for item in items:
                db.execute(
                    f"UPDATE item SET state = ?, changed = ?, by = ?{anew} WHERE id = ? AND state IN ({states})",
                    (str(change.state), change.at, change.by, item),
                )
                if db.changes():
                    changed.append(item)
            return changed

        return await self._file.read(work, [])

    async def reserve(self, item: str, release: str) -> str:
        def work(db: apsw.Connection) -> str:
            place = f"id = ? AND state = '{ItemState.RELEASING}'"
            db.execute(f"UPDATE item SET release = ? WHERE {place} AND release = ''", (release, item))
            found: list[Any] = db.execute(f"SELECT release FROM item WHERE {place}", (item,)).fetchall()
            return str(found[0][0]) if found else ""

        known = await self._file.read(work, "")
        if not known:
            raise NotFound(f"{item} is not to be released")
        return known

    # digests

    async def untold(self) -> dict[str, int]:
        sql = "SELECT account, count(*) FROM item WHERE told = 0 AND outgoing = 0 AND state = 'kept' GROUP BY account"

        def work(db: apsw.Connection) -> dict[str, int]:
            found: list[Any] = db.execute(sql).fetchall()
            return dict(found)

        return await self._file.read(work, {})

    async def tell(self, items: tuple[str, ...]) -> None:
        sql = "UPDATE item SET told = 1 WHERE id = ?"
        await self._file.read(lambda db: db.executemany(sql, [(item,) for item in items]) and None, None)

    # the end

    async def counts(self) -> dict[ItemState, int]:
        def work(db: apsw.Connection) -> dict[ItemState, int]:
            found: list[Any] = db.execute("SELECT state, count(*) FROM item GROUP BY state").fetchall()
            return {ItemState(state): count for state, count in found}

        return await self._file.read(work, {})

    async def forget(self, account: str) -> int:
        def work(db: apsw.Connection) -> tuple[int, list[str]]:
            db.execute("DELETE FROM item WHERE account = ?", (account,))
            return db.changes(), _unneeded(db)

        nothing: tuple[int, list[str]] = (0, [])
        count, gone = await self._file.read(work, nothing)
        await asyncio.to_thread(self._discard, gone)
        return count

    async def sweep(self, now: float) -> list[QuarantineItem]:
        where = f"until <= ? AND state != '{ItemState.RELEASING}' ORDER BY until LIMIT {_SWEPT}"

        def work(db: apsw.Connection) -> tuple[list[QuarantineItem], list[str]]:
            rows: list[Any] = db.execute(f"SELECT {_FIELDS} FROM item WHERE {where}", (now,)).fetchall()
            db.executemany("DELETE FROM item WHERE id = ?", [(row[0],) for row in rows])
            return [_item(row) for row in rows], _unneeded(db)

        nothing: tuple[list[QuarantineItem], list[str]] = ([], [])
        items, gone = await self._file.read(work, nothing)
        await asyncio.to_thread(self._discard, gone)
        named = await self._file.read(_files, None)
        if named is not None:
            folder = self._layout.quarantine_bodies
            await asyncio.to_thread(sweep_strays, self._disk, folder, named.__contains__, self._grace)
        return items

    def _discard(self, entries: list[str]) -> None:
        for entry in entries:
            discard(self._disk, self._layout.quarantine_body(entry))


def _find(db: apsw.Connection, query: QuarantineQuery) -> list[QuarantineItem]:
    states = ", ".join(f"'{state}'" for state in query.states)
    where = [f"state IN ({states})", "received >= ?", "received < ?"]
    values: list[Any] = [query.since, query.before]
    for name in ("account", "domain"):
        if given := getattr(query, name):
            where.append(f"{name} = ?")
            values.append(given)
    if query.sender:
        where.append("instr(lower(sender || char(10) || author), ?)")
        values.append(query.sender.lower())
    if query.outgoing is not None:
        where.append(f"outgoing = {int(query.outgoing)}")
    if query.untold:
        where.append("told = 0")
    if query.ids:
        where.append("id IN (SELECT value FROM json_each(?))")
        values.append("[" + ",".join(f'"{one}"' for one in query.ids if '"' not in one and "\\" not in one) + "]")
    order = "DESC" if query.newest else ""
    sql = f"SELECT {_FIELDS} FROM item WHERE {' AND '.join(where)} ORDER BY received {order}, id {order} LIMIT ?"
    rows: list[Any] = db.execute(sql, (*values, query.limit)).fetchall()
    return [_item(row) for row in rows]


def _item(row: Any) -> QuarantineItem:
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    values.update({name: bool(values[name]) for name in _FLAGS})
    values["state"] = ItemState(values["state"])
    return QuarantineItem(**values)


def _unneeded(db: apsw.Connection) -> list[str]:
    """Remove octets that no item needs; the entries of those that have a file."""
    stale = "entry NOT IN (SELECT entry FROM item)"
    files: list[Any] = db.execute(f"SELECT entry FROM content WHERE data IS NULL AND {stale}").fetchall()
    db.execute(f"DELETE FROM content WHERE {stale}")
    return [entry for (entry,) in files]


def _files(db: apsw.Connection) -> set[str] | None:
    rows: list[Any] = db.execute("SELECT entry FROM content WHERE data IS NULL").fetchall()
    return {entry for (entry,) in rows}
