"""What is between another server and our queue just now: a record that outlives this process.

Between the end of a text and the commit that says "relayed" a crash would send the mail again. Each transaction
therefore keeps a small record in a file that is mapped into memory: it costs two microseconds and no sync, and the
kernel keeps it when the process is killed. After a start `recover` knows which recipients other servers had taken,
so that they are not sent to again, and which may have taken theirs, which is told as an event.
Owns: one file for each worker slot. Trusts: a record only with its checksum; of power loss nothing may be left, and
then mail may arrive twice, as RFC 5321 6.1 accepts.
On failure: OSError when the file cannot be made; a transaction without a free record is sent without one.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from postroom.relay.job import Job
from postroom.store.api import Recipient
from postroom.wire.smtp.client_types import Finished

_FREE: Final = 0
ENDED: Final = 1  # the end of the text was sent, nothing came back yet
TAKEN: Final = 2  # the server has taken it
_SIZE: Final = 512  # a sector: written whole or not at all
_RECORDS: Final = 512
_HEAD = struct.Struct("<BBBH")  # state, octets of id, host and recipients
_SUM = struct.Struct("<I")
_ROOM: Final = _SIZE - _HEAD.size - _SUM.size


class Flight(Struct, frozen=True):
    """A transaction that was open when the process ended. recipients: bits of their index; state: ENDED or TAKEN."""

    entry: str
    host: str
    recipients: int
    state: int


class FlightRecorder:
    """The records of this process. found: what was open when the last process ended; kept until `forget`."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, _SIZE * _RECORDS)
            self._map = mmap.mmap(fd, _SIZE * _RECORDS)
        finally:
            os.close(fd)
        old = {number: _read(self._map[at : at + _SIZE]) for number, at in enumerate(range(0, len(self._map), _SIZE))}
        self._free = [number for number, flight in old.items() if flight is None]
        self._old = [number for number, flight in old.items() if flight is not None]
        self.found = [flight for flight in old.values() if flight is not None]

    def forget(self) -> None:
        """What was found is dealt with."""
        for record in self._old:
            self.end(record)
        self._old, self.found = [], []

    def close(self) -> None:
        """No more records."""
        self._map.close()

    def begin(self) -> int:
        """Reserve a record; -1 when there is none."""
        return self._free.pop() if self._free else -1

    def note(self, record: int, flight: Flight) -> None:
        """Write down where a transaction stands."""
        if record < 0:
            return
        entry, host = flight.entry.encode(), flight.host.encode("ascii", "replace")[:100]
        bits = flight.recipients.to_bytes((flight.recipients.bit_length() + 7) // 8, "little")
        text = _HEAD.pack(flight.state, len(entry), len(host), len(bits)) + entry + host + bits
        if len(text) > _SIZE - _SUM.size:
            return  # too many recipients to note; it is sent all the same
        at = record * _SIZE
        self._map[at : at + _SIZE] = text.ljust(_SIZE - _SUM.size, b"\0") + _SUM.pack(zlib.crc32(text))

    def end(self, record: int) -> None:
        """The queue knows: the record is free."""
        if record >= 0:
            self._map[record * _SIZE] = _FREE
            self._free.append(record)


class Flying:
    """One transaction in the record that outlives us."""

    __slots__ = ("_flights", "_host", "_job", "_record")

    def __init__(self, flights: FlightRecorder | None, job: Job, host: str) -> None:
        self._flights = flights
        self._job = job
        self._host = host
        self._record = -1

    def _note(self, recipients: Sequence[Recipient], state: int) -> None:
        assert self._flights is not None
        bits = 0
        for recipient in recipients:
            bits |= 1 << recipient.index
        self._flights.note(self._record, Flight(self._job.entry.id, self._host, bits, state))

    def ending(self) -> None:
        """The server may have it from now on."""
        if self._flights is not None:
            self._record = self._flights.begin()
            self._note(self._job.recipients, ENDED)

    def answered(self, finished: Finished) -> None:
        """The server has said what it took."""
        if self._flights is None or self._record < 0:
            return
        pairs = zip(self._job.recipients, finished.results, strict=True)
        taken = [recipient for recipient, result in pairs if result.reply.ok]
        if taken:
            self._note(taken, TAKEN)

    def over(self) -> None:
        """The queue knows, or it ended without a word."""
        if self._flights is not None:
            self._flights.end(self._record)
        self._record = -1


def recover(path: Path) -> list[Flight]:
    """What was open when the last process that used this file ended, for a slot that is no more. Raises OSError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = (_read(data[at : at + _SIZE]) for at in range(0, len(data) - _SIZE + 1, _SIZE))
    return [flight for flight in found if flight is not None]


def _read(octets: bytes) -> Flight | None:
    state, entry, host, bits = _HEAD.unpack_from(octets)
    end = _HEAD.size + entry + host + bits
    if state not in (ENDED, TAKEN) or end > _ROOM + _HEAD.size:
        return None
    if zlib.crc32(octets[:end]) != _SUM.unpack_from(octets, _SIZE - _SUM.size)[0]:
        return None
    at = _HEAD.size
    name, place = octets[at : at + entry], octets[at + entry : at + entry + host]
    return Flight(name.decode(), place.decode(), int.from_bytes(octets[end - bits : end], "little"), state)
