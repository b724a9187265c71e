"""Rules about rows: what no table may hold, in words for people, and the statement that sets it right.

A rule is a question that must have no answer. Where what is wrong can be made anew from the rest, or belongs to nobody,
the rule says how; `postroom check` asks all of them, `check --repair` does what they say. What only a person or a
backup can know has no statement.
Owns: nothing. On failure: apsw.Error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import apsw

from postroom.store.api.store import Finding
from postroom.store.embedded.database import OpenOptions, open_database

_SHOWN: Final = 5
#: what SQLite says of an index that differs from its table, which can be made anew
_OF_AN_INDEX: Final = re.compile(
    r"row \d+ missing from index|wrong # of entries in index|non-unique entry in index|row \d+ values differ from index"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """sql: gives what must not be there, a name in the first column; words: with {} for the names.

    mend: statements that set it right, "" where there are none.
    """

    sql: str
    words: str
    mend: str = ""


def broken(reader: apsw.Connection, place: str, rules: Sequence[Rule]) -> Iterator[Finding]:
    """What rules do not hold."""
    for rule in rules:
        rows: list[Any] = reader.execute(f"SELECT DISTINCT * FROM ({rule.sql}) LIMIT {_SHOWN + 1}").fetchall()
        if rows:
            names = ", ".join(_name(row[0]) for row in rows[:_SHOWN]) + (" and others" if len(rows) > _SHOWN else "")
            yield Finding(place, rule.words.format(names), mendable=bool(rule.mend))


def mend(connection: apsw.Connection, rules: Sequence[Rule]) -> int:
    """Set right what can be, within a transaction; how many rules did not hold."""
    done = 0
    for rule in rules:
        if rule.mend and connection.execute(f"SELECT 1 FROM ({rule.sql}) LIMIT 1").fetchone() is not None:
            connection.execute(rule.mend)
            done += 1
    return done


def _name(value: object) -> str:
    """Values may be anything where something is damaged."""
    text = value.hex() if isinstance(value, bytes) else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text[:80]) or '""'


def check_integrity(reader: apsw.Connection, place: str) -> Iterator[Finding]:
    """What SQLite itself says about the file."""
    said: Any = reader.execute("PRAGMA integrity_check(10)").fetchall()
    lines = [line for (line,) in said if line != "ok"]
    mendable = all(_OF_AN_INDEX.match(line) for line in lines)
    for line in lines:
        yield Finding(place, line, mendable=mendable)


def check_file(
    path: str, place: str, options: OpenOptions, look: Callable[[apsw.Connection], Iterable[Finding]]
) -> Iterator[Finding]:
    """What SQLite says about a file; what `look` finds in one that can be read. Raises apsw.Error."""
    reader = open_database(path, options, cache_kib=options.reader_cache_kib)
    try:
        if not reader.pragma("user_version"):
            return  # it is just being made
        unsound = list(check_integrity(reader, place))
        yield from unsound or look(reader)
    finally:
        reader.close()


def is_sound(connection: apsw.Connection) -> bool:
    """Can rows be read and written? Indexes that differ from their tables are made anew. Outside a transaction."""
    found = list(check_integrity(connection, ""))
    if found and all(one.mendable for one in found):
        connection.execute("REINDEX")
        found = list(check_integrity(connection, ""))
    return not found
