"""Scripts of an account, what they remember, and filing by them: reads, and work for the committer.

Filing several copies of one message keeps its octets once, as COPY does.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import apsw

from postroom.store.api.errors import (
    DeliveredAlready,
    NotFound,
    OverQuota,
    ScriptActive,
    ScriptExists,
    TooManyScripts,
)
from postroom.store.api.filters import MOST_REMEMBERED, Filing, Filter, Remembered, ScriptInfo, ScriptLimits
from postroom.store.api.pages import Page
from postroom.store.embedded.account_file import AccountUnit
from postroom.store.embedded.account_read import signed
from postroom.store.embedded.account_write import REFER, check_quota, insert_message

T = TypeVar("T")

_REMEMBER: Final = (
    "INSERT INTO remembered VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET until = max(until, excluded.until)"
)
_CHANGED: Final = "UPDATE filter SET serial = serial + 1"


class Read(Protocol):
    """A read on the account's connection. Raises StoreUnavailable."""

    def __call__(self, function: Callable[..., T], *arguments: object) -> T: ...


class Write(Protocol):
    """Work for the committer."""

    def __call__(
        self, work: Callable[[AccountUnit], Callable[[], T]], octets: int = 0, *, relaxed: bool = False
    ) -> Awaitable[T]: ...


class EmbeddedFilters:
    """See postroom.store.api.FilterStore."""

    __slots__ = ("_read", "_write")

    def __init__(self, read: Read, write: Write) -> None:
        self._read = read
        self._write = write

    async def filter(self) -> Filter:
        return self._read(_read_filter)

    async def scripts(self) -> list[ScriptInfo]:
        return self._read(_read_scripts)

    async def script(self, name: str) -> bytes:
        return self._read(_read_script, name)

    async def put_script(self, name: str, text: bytes, limits: ScriptLimits | None = None) -> None:
        await self._write(_Put(name, text, limits or ScriptLimits()), len(text))

    async def rename_script(self, name: str, new: str) -> None:
        await self._write(_Rename(name, new))

    async def remove_script(self, name: str) -> None:
        await self._write(_Remove(name))

    async def activate_script(self, name: str) -> None:
        await self._write(_Activate(name))

    async def remembered(self, now: float) -> frozenset[bytes]:
        return self._read(_read_remembered, now)

    async def remember(self, keys: Sequence[Remembered]) -> None:
        await self._write(_Remember(tuple(keys)))

    async def claim(self, key: Remembered, now: float) -> bool:
        return await self._write(_Claim(key, now))

    async def file(
        self,
        filings: Sequence[Filing],
        *,
        delivery: tuple[str, str],
        home: int,
        remember: Sequence[Remembered] = (),
        quota: tuple[int, int] = (0, 0),
    ) -> list[tuple[int, int]]:
        octets = sum({id(each.message): len(each.message.content.data) for each in filings}.values())
        work = File(tuple(filings), delivery, home, tuple(remember), quota)
        return await self._write(work, octets, relaxed=True)


# reading


def _read_filter(reader: apsw.Connection) -> Filter:
    row: Any = reader.execute("SELECT serial, active FROM filter").fetchone()
    return Filter(*row)


def _read_scripts(reader: apsw.Connection) -> list[ScriptInfo]:
    sql = "SELECT name, size, name = (SELECT active FROM filter), changed FROM script ORDER BY name"
    rows: list[Any] = reader.execute(sql).fetchall()
    return [ScriptInfo(name, size, bool(active), changed) for name, size, active, changed in rows]


def _read_script(reader: apsw.Connection, name: str) -> bytes:
    row: Any = reader.execute("SELECT data FROM script WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"no script {name}")
    text: bytes = row[0]
    return text


def _read_remembered(reader: apsw.Connection, now: float) -> frozenset[bytes]:
    rows: list[Any] = reader.execute("SELECT key FROM remembered WHERE until > ?", (now,)).fetchall()
    return frozenset(key for (key,) in rows)


# changing


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class _Put:
    name: str
    text: bytes
    limits: ScriptLimits

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        row: Any = unit.connection.execute(
            "SELECT count(*), coalesce(sum(size), 0) FROM script WHERE name != ?", (self.name,)
        ).fetchone()
        count, octets = row
        if self.limits.count and count + 1 > self.limits.count:
            raise TooManyScripts(f"the account holds {count} of {self.limits.count} scripts")
        if self.limits.octets and octets + len(self.text) > self.limits.octets:
            raise OverQuota(f"the account's scripts would have more than {self.limits.octets} octets")
        unit.next_modseq()
        unit.connection.execute(
            "INSERT INTO script (name, size, changed, data) VALUES (?, ?, ?, ?) ON CONFLICT (name)"
            " DO UPDATE SET size = excluded.size, changed = excluded.changed, data = excluded.data",
            (self.name, len(self.text), unit.now, self.text),
        )
        unit.connection.execute(_CHANGED)
        return _nothing


def _must_exist(unit: AccountUnit, name: str) -> None:
    if unit.connection.execute("SELECT 1 FROM script WHERE name = ?", (name,)).fetchone() is None:
        raise NotFound(f"no script {name}")


@dataclass(frozen=True, slots=True)
class _Rename:
    name: str
    new: str

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        _must_exist(unit, self.name)
        if unit.connection.execute("SELECT 1 FROM script WHERE name = ?", (self.new,)).fetchone() is not None:
            raise ScriptExists(self.new)
        unit.next_modseq()
        unit.connection.execute("UPDATE script SET name = ? WHERE name = ?", (self.new, self.name))
        unit.connection.execute("UPDATE filter SET active = ? WHERE active = ?", (self.new, self.name))
        unit.connection.execute(_CHANGED)
        return _nothing


@dataclass(frozen=True, slots=True)
class _Remove:
    name: str

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        _must_exist(unit, self.name)
        if _read_filter(unit.connection).active == self.name:
            raise ScriptActive(self.name)
        unit.next_modseq()
        unit.connection.execute("DELETE FROM script WHERE name = ?", (self.name,))
        unit.connection.execute(_CHANGED)
        return _nothing


@dataclass(frozen=True, slots=True)
class _Activate:
    name: str

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        if self.name:
            _must_exist(unit, self.name)
        unit.next_modseq()
        unit.connection.execute("UPDATE filter SET active = ?", (self.name,))
        unit.connection.execute(_CHANGED)
        return _nothing


@dataclass(frozen=True, slots=True)
class _Remember:
    keys: tuple[Remembered, ...]

    def __call__(self, unit: AccountUnit) -> Callable[[], None]:
        if self.keys:
            unit.next_modseq()
            _keep(unit, self.keys)
        return _nothing


def _keep(unit: AccountUnit, keys: Sequence[Remembered]) -> None:
    unit.connection.executemany(_REMEMBER, [(each.key, each.until) for each in keys])
    row: Any = unit.connection.execute("SELECT count(*) FROM remembered").fetchone()
    if row[0] > MOST_REMEMBERED:
        unit.connection.execute(
            "DELETE FROM remembered WHERE key IN (SELECT key FROM remembered ORDER BY until LIMIT ?)",
            (row[0] - MOST_REMEMBERED,),
        )


@dataclass(frozen=True, slots=True)
class _Claim:
    key: Remembered
    now: float

    def __call__(self, unit: AccountUnit) -> Callable[[], bool]:
        row: Any = unit.connection.execute("SELECT until FROM remembered WHERE key = ?", (self.key.key,)).fetchone()
        if row is not None and row[0] > self.now:
            return lambda: False
        unit.next_modseq()
        _keep(unit, (self.key,))
        return lambda: True


@dataclass(frozen=True, slots=True)
class File:
    """Put messages into mailboxes, and down as delivered."""

    filings: tuple[Filing, ...]
    delivery: tuple[str, str]
    home: int
    remember: tuple[Remembered, ...]
    quota: tuple[int, int]

    def __call__(self, unit: AccountUnit) -> Callable[[], list[tuple[int, int]]]:
        if unit.is_delivered(self.delivery):
            raise DeliveredAlready(self.delivery[0])
        totals = unit.totals
        octets, count = sum(each.message.content.size for each in self.filings), len(self.filings)
        check_quota(totals, octets, count, self.quota)
        home = unit.open(self.home)
        bits = self._keyword_bits(unit)
        modseq = unit.next_modseq()
        home.row.modseq = max(home.row.modseq, modseq)  # its row holds what is put down
        unit.remember(self.home, self.delivery)
        known: dict[int, int] = {}
        places: list[tuple[int, int]] = []
        for each, keywords in zip(self.filings, bits, strict=True):
            number = known.get(id(each.message))
            if number is None:
                number = known[id(each.message)] = totals.next_message
                totals.next_message += 1
                insert_message(unit, number, each.message)
            else:
                unit.connection.execute(REFER, (apsw.carray(signed(array("Q", [number]))),))
            box, new = unit.open(each.mailbox), each.message
            if keywords:
                uid = box.add(_page(each, number, keywords), modseq)[0]
            else:
                uid = box.add_one(number, new.content.size, new.internaldate, each.flags, modseq)
            places.append((uid, number))
        totals.octets += octets
        totals.messages += count
        if self.remember:
            _keep(unit, self.remember)
        return lambda: places

    def _keyword_bits(self, unit: AccountUnit) -> list[int]:
        """Of each filing; mailboxes learn what they do not know. Raises before anything is changed."""
        found: list[int] = []
        for each in self.filings:
            box = unit.open(each.mailbox)
            box.room_for(len(self.filings))
            found.append(box.keyword_bits(each.keywords, learn=True) if each.keywords else 0)
        return found


def _page(filing: Filing, number: int, keywords: int) -> Page:
    return Page(
        array("I"),
        bytes((filing.flags,)),
        array("Q", (keywords,)),
        array("Q"),
        array("Q", (number,)),
        array("I", (filing.message.content.size,)),
        array("q", (filing.message.internaldate,)),
        array("I"),
    )
