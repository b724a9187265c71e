"""The invariants of packed columns in an account's file that SQL cannot look into: traits, and what it remembers.

Columns of text that traits have are taken apart here; what stands in their other columns is their maker's
business, who makes them anew when he cannot read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import msgspec

from postroom.store.api.past import Placed
from postroom.store.api.store import Finding
from postroom.store.api.traits import KEYS, SEPARATOR, TEXTS, text_column


def check_traits(reader: apsw.Connection, place: str) -> Iterator[Finding]:
    """Every column of text has a value for each message of its row, and none for those that were swept."""
    kept = frozenset(message for (message,) in _rows(reader, "SELECT id FROM message"))
    for first, count, numbers, keys, texts in _rows(reader, "SELECT first, count, numbers, keys, texts FROM traits"):
        try:
            columns = [text_column(keys, number, KEYS) for number in range(KEYS)]
            columns += [text_column(texts, number, TEXTS) for number in range(TEXTS)]
        except ValueError:
            columns = []
        if not numbers or not columns or any(column.count(SEPARATOR) != count - 1 for column in columns):
            yield Finding(place, f"traits of messages from {first} on are cut off", mendable=True)
            continue
        gone = [number - first for number in range(first, first + count) if number not in kept]
        values = [column.split(SEPARATOR) for column in columns] if gone else []
        if any(column[number] for column in values for number in gone):
            yield Finding(place, f"traits from {first} on tell of messages that are gone", mendable=True)


def check_memories(reader: apsw.Connection, place: str) -> Iterator[Finding]:
    """What was brought back, and what was delivered last, can be read."""
    for number, placed in _rows(reader, "SELECT id, placed FROM restored"):
        if not can_be_undone(placed):
            yield Finding(place, f"what restore {number} brought back is lost", mendable=True)
    for mailbox, marks in _rows(reader, "SELECT id, marks FROM mailbox WHERE marks != ''"):
        if not are_marks(marks):
            yield Finding(place, f"mailbox {mailbox}: its newest deliveries cannot be read", mendable=True)


def can_be_undone(placed: bytes) -> bool:
    """Is it a row of the table `restored`?"""
    try:
        msgspec.msgpack.decode(placed, type=list[Placed])
    except (msgspec.MsgspecError, ValueError, TypeError):
        return False
    return True


def are_marks(marks: str) -> bool:
    """Are these deliveries as AccountUnit.remember writes them: a queue id, a recipient and a time on each line?"""
    for mark in marks.strip("\n").split("\n"):
        delivery, tab, time = mark.rpartition("\t")
        if not tab or " " not in delivery or not time.lstrip("-").isdigit():
            return False
    return marks.startswith("\n")


def _rows(reader: apsw.Connection, sql: str) -> list[Any]:
    return reader.execute(sql).fetchall()
