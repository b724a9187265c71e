"""Hostile commands: as large as the limits allow, answered in bounded time, and the next command is understood."""

from __future__ import annotations

import tracemalloc
from time import process_time

import pytest

from postroom.wire.imap.capability import Offer
from postroom.wire.imap.commands import Command
from postroom.wire.imap.events import AppendData, AppendStart, Refused
from postroom.wire.imap.session import Session

FULL = 65_500
ATTACKS = {
    "set": b"FETCH " + b"1," * (FULL // 2) + b"1 FLAGS",
    "set that fails late": b"FETCH " + b"1:" * (FULL // 2) + b" FLAGS",
    "digits": b"FETCH " + b"1" * FULL + b" FLAGS",
    "nested keys": b"SEARCH " + b"(" * 30000 + b"ALL" + b")" * 30000,
    "nested not": b"SEARCH " + b"NOT " * 16000 + b"ALL",
    "nested or": b"SEARCH " + b"OR " * 16000 + b"ALL",
    "many keys": b"SEARCH " + b"ALL " * 16000 + b"ALL",
    "items": b"FETCH 1 (" + b"BODY[1] " * 8000 + b"UID)",
    "parts": b"FETCH 1 BODY[" + b"1." * 30000 + b"1]",
    "fields": b"FETCH 1 BODY[HEADER.FIELDS (" + b"a " * 30000 + b"a)]",
    "flags": b"STORE 1 FLAGS (" + b"a " * 30000 + b"a)",
    "shifts": b"SELECT " + b"&AOk-a" * 10000,
    "open shifts": b"SELECT " + b"&A" * 30000,
    "quoted": b'SELECT "' + b'\\"' * 32000,
    "quoted with end": b'SELECT "' + b"\\\\" * 32000 + b'"',
    "list options": b"LIST (" + b"REMOTE " * 9000 + b'REMOTE) "" *',
    "patterns": b'LIST "" (' + b"* " * 30000 + b"*)",
    "status": b"STATUS x (" + b"SIZE " * 12000 + b"SIZE)",
    "enable": b"ENABLE" + b" a" * 32000,
    "id": b"ID (" + b'"a" "b" ' * 8000 + b")",
    "no spaces": b"x" * FULL,
    "date": b"SEARCH SINCE " + b"1" * 60000,
    "literals": b"x " + b"{0+}\r\n" * 10000,
    "literals after much text": b"x " + b"y" * 60000 + b"{0+}\r\n" * 800,
    "append flags": b"APPEND x (" + b"a " * 30000 + b"a) {3+}\r\nabc",
    "nul": b"NOOP" + b"\0" * 60000,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_largest_commands(attack: bytes) -> None:
    session = Session(Offer())
    session.logged_in()
    session.selected()
    started = process_time()
    session.feed(b"a " + attack + b"\r\nz NOOP\r\n")
    answers = [session.next_event(), session.next_event()]
    assert process_time() - started < 1  # seconds; a tenth of it on a slow machine
    assert answers[1] == Command(b"z", "NOOP")
    assert session.next_event() is None


def test_a_long_line_costs_no_memory() -> None:
    session = Session(Offer())
    tracemalloc.start()
    refused = 0
    for _ in range(1000):
        session.feed(b"a" * 8192)
        while (event := session.next_event()) is not None:
            refused += isinstance(event, Refused)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused == 1
    assert peak < 400_000


def test_an_append_is_not_collected() -> None:
    session = Session(Offer())
    session.logged_in()
    tracemalloc.start()
    session.feed(b"a APPEND x {100000000+}\r\n")
    assert isinstance(session.next_event(), AppendStart)
    session.accept()
    size = 0
    for _ in range(500):
        session.feed(b"b" * 65536)
        while isinstance(event := session.next_event(), AppendData):
            size += len(event.data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 500 * 65536
    assert peak < 400_000


def test_a_waiting_session_is_small() -> None:
    offer = Offer()
    tracemalloc.start()
    sessions = []
    for _ in range(100):
        session = Session(offer)
        session.logged_in()
        session.feed(b"a SELECT INBOX\r\n")
        session.next_event()
        session.selected()
        session.feed(b"b IDLE\r\n" + b" " * 0)
        session.next_event()
        session.next_event()
        sessions.append(session)
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current / 100 < 1500  # octets
