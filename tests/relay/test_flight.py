"""The record of open transactions: read after a kill, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.queue.outcome import Kind
from postroom.relay.flight import ENDED, TAKEN, Flight, FlightRecorder, recover
from postroom.relay.recovery import settle
from postroom.store.api import NewEntry, NewRecipient
from postroom.testing.mailflow import Events, FakeQueueStore
from postroom.values.content import Content


def test_records_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "f"
    recorder = FlightRecorder(path)
    one, two = recorder.begin(), recorder.begin()
    recorder.note(one, Flight("a" * 32, "mx.far.test", 0b1011, ENDED))
    recorder.note(two, Flight("b", "mx", 1 << 999, ENDED))
    recorder.note(two, Flight("b", "mx", 1 << 999, TAKEN))
    assert {(each.entry, each.recipients, each.state) for each in recover(path)} == {
        ("a" * 32, 0b1011, ENDED),
        ("b", 1 << 999, TAKEN),
    }
    recorder.end(one)
    assert [each.entry for each in recover(path)] == ["b"]
    recorder.end(two)
    assert recover(path) == []
    recorder.close()
    assert recover(tmp_path / "absent") == []


def test_what_was_found_stays_until_it_is_dealt_with(tmp_path: Path) -> None:
    path = tmp_path / "f"
    first = FlightRecorder(path)
    first.note(first.begin(), Flight("a", "mx", 1, TAKEN))
    second = FlightRecorder(path)
    assert [each.entry for each in second.found] == ["a"]
    records = [second.begin() for _ in range(600)]
    for record in records:
        second.note(record, Flight("x", "mx", 1, ENDED))
    assert records.count(-1) == 600 - 511
    assert [each.entry for each in recover(path) if each.state == TAKEN] == ["a"]
    second.forget()
    assert [each for each in recover(path) if each.state == TAKEN] == []


def test_too_many_recipients_are_sent_without_a_record(tmp_path: Path) -> None:
    recorder = FlightRecorder(tmp_path / "f")
    recorder.note(recorder.begin(), Flight("a", "mx", 1 << 10_000, ENDED))
    recorder.note(-1, Flight("a", "mx", 1, ENDED))
    recorder.end(-1)
    assert recover(tmp_path / "f") == []


@given(place=st.integers(0, 511), octet=st.integers(1, 255))
def test_a_torn_record_is_no_record(tmp_path_factory: pytest.TempPathFactory, place: int, octet: int) -> None:
    path = tmp_path_factory.getbasetemp() / "torn"
    recorder = FlightRecorder(path)
    recorder.note(511, Flight("a" * 30, "mx.far.test", 0b1011, TAKEN))
    data = bytearray(path.read_bytes())
    good = recover(path)
    data[511 * 512 + place] ^= octet
    path.write_bytes(data)
    assert recover(path) in ([], good)  # octets behind the text do not matter
    recorder.close()
    path.unlink()


class Settled:
    def __init__(self) -> None:
        self.outcomes = []

    async def settle(self, entry, outcomes) -> None:
        self.outcomes += [(entry.id, each.recipient.address, each.kind) for each in outcomes]


async def test_after_a_start_what_was_taken_is_not_sent_again() -> None:
    store, queue, events = FakeQueueStore(), Settled(), Events()
    for name in ("one", "two"):
        recipients = tuple(NewRecipient(address=f"{letter}@far.test", route="remote") for letter in "abc")
        await store.accept(
            NewEntry(id=name, sender="x@here.test", recipients=recipients, content=Content.of(b"x"), received=1.0)
        )
    flights = [
        Flight("one", "mx", 0b101, TAKEN),
        Flight("two", "mx", 0b010, ENDED),
        Flight("gone", "mx", 0b1, TAKEN),
    ]
    await settle(flights, store, queue, events)
    assert queue.outcomes == [("one", "a@far.test", Kind.RELAYED), ("one", "c@far.test", Kind.RELAYED)]
    (told,) = events.of("relay.maybe_doubled")
    assert (told["queue_id"], told["recipients"]) == ("two", ["b@far.test"])
