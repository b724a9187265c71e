"""The chain of audit records as a text file: one line each, the hash, a space, the record as JSON.

    sha256(hash of the line before + JSON) JSON

Owns: data/audit: `records` (mode 0600) and `head`, the number and hash of the newest record. Writers of all processes
take turns by a lock on the file. A record is synced before its head is written, so after a crash the head may be one
behind; a line that power loss cut short was never answered for, and is taken away by the next writer.
On failure: StoreUnavailable; the act should not be done then.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from postroom.store.api.audit import GENESIS, Act, NewAct, Verdict
from postroom.store.embedded.database import unavailable
from postroom.store.embedded.layout import Layout

_LINE: Final = re.compile(rb"([0-9a-f]{64}) (\{.*\})\n")
_TAIL: Final = 64 * 1024
#: octets of a record; what is longer would make reading slow, and is cut by whoever writes
LONGEST: Final = 1024 * 1024
#: faults that are told; when a chain is broken all over, more of them help nobody
_MOST_FAULTS: Final = 20


class _Body(NewAct, frozen=True, kw_only=True):
    """What is hashed."""

    number: int
    previous: str


_encode = msgspec.json.Encoder(enc_hook=str, order="deterministic").encode
_decode = msgspec.json.Decoder(_Body).decode


class EmbeddedAudit:
    """See postroom.store.api.AuditStore."""

    def __init__(self, layout: Layout) -> None:
        self._records = layout.audit_records
        self._head = layout.audit_head

    async def append(self, act: NewAct) -> Act:
        return await asyncio.to_thread(self.keep, act)

    def keep(self, act: NewAct) -> Act:
        """The same at once, for who has no event loop."""
        try:
            new = not os.path.exists(self._records)
            file = os.open(self._records, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed
                number, previous = self._last(file)
                body = _Body(**msgspec.structs.asdict(act), number=number + 1, previous=previous)
                octets = _encode(body)
                digest = sha256(previous.encode() + octets).hexdigest()
                line = digest.encode() + b" " + octets + b"\n"
                if os.write(file, line) != len(line):
                    raise OSError(28, "the record was cut short", self._records)
                os.fdatasync(file)
                if new:
                    _sync_folder(self._records)
                self._write_head(number + 1, digest)
            finally:
                os.close(file)
        except OSError as fault:
            raise unavailable(fault) from fault
        return Act(**msgspec.structs.asdict(body), hash=digest)

    def _last(self, file: int) -> tuple[int, str]:
        """Number and hash of the last record; what is left of one that was cut short goes."""
        size = os.fstat(file).st_size
        start = max(0, size - LONGEST - _TAIL)
        data = os.pread(file, size - start, start)
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(file, start + whole)
        if not whole:
            return 0, GENESIS
        line = data[data.rfind(b"\n", 0, whole - 1) + 1 : whole]
        match = _LINE.fullmatch(line)
        try:
            return _decode(match[2]).number if match else _count(self._records), line[:64].decode("ascii", "replace")
        except msgspec.DecodeError:
            return _count(self._records), line[:64].decode("ascii", "replace")

    def _write_head(self, number: int, digest: str) -> None:
        temporary = f"{self._head}.new"
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, b"%d %b\n" % (number, digest.encode()))
            os.fdatasync(file)
        finally:
            os.close(file)
        os.rename(temporary, self._head)
        _sync_folder(self._head)

    async def acts(self, since: float = 0.0) -> list[Act]:
        return await asyncio.to_thread(self._acts, since)

    def _acts(self, since: float) -> list[Act]:
        found = []
        for line in self._lines():
            match = _LINE.fullmatch(line)
            with contextlib.suppress(msgspec.DecodeError):
                if match and (body := _decode(match[2])).time >= since:
                    found.append(Act(**msgspec.structs.asdict(body), hash=match[1].decode()))
        return found

    def _lines(self) -> Iterator[bytes]:
        try:
            with open(self._records, "rb") as file:
                yield from file
        except FileNotFoundError:
            return
        except OSError as fault:
            raise unavailable(fault) from fault

    async def verify(self, known: Mapping[int, str]) -> Verdict:
        return await asyncio.to_thread(self.look, known)

    def look(self, known: Mapping[int, str]) -> Verdict:
        """The same at once."""
        faults: list[str] = []
        hashes: dict[int, str] = {}
        number, previous = 0, GENESIS
        for line in self._lines():
            number += 1
            fault, previous = _look(line, number, previous)
            hashes[number] = previous
            if fault:
                faults.append(f"record {number}: {fault}")
        head = self._read_head()
        others = sorted([*known.items(), *([head] if head else [])])
        if head is None and number > 1:
            faults.append("the file `head` is gone or damaged; it would tell whether records are missing at the end")
        for place, digest in dict.fromkeys(others):
            if place > number:
                faults.append(f"record {place} is missing: the chain ends with record {number}")
            elif hashes.get(place) != digest:
                faults.append(f"record {place} is not the one that was written: its hash was {digest}")
        if head is not None and head[0] < number - 1:
            faults.append(f"record {head[0]} was the last by the file `head`, and there are {number}")
        more = [f"and {len(faults) - _MOST_FAULTS} faults more"] if len(faults) > _MOST_FAULTS else []
        return Verdict(number=number, hash=previous, faults=tuple(faults[:_MOST_FAULTS] + more))

    def _read_head(self) -> tuple[int, str] | None:
        try:
            with open(self._head, "rb") as file:
                number, digest = file.read(200).decode("ascii").split()
            return int(number), digest
        except (FileNotFoundError, ValueError):
            return None
        except OSError as fault:
            raise unavailable(fault) from fault


def _look(line: bytes, number: int, previous: str) -> tuple[str, str]:
    """What is wrong with a line ("" for nothing), and its hash."""
    match = _LINE.fullmatch(line)
    if not match:
        return "it cannot be read", line[:64].decode("ascii", "replace")
    digest = match[1].decode()
    if sha256(previous.encode() + match[2]).hexdigest() != digest:
        return "it was changed, or the record before it was changed, removed or put in", digest
    try:
        body = _decode(match[2])
    except msgspec.DecodeError:
        return "it cannot be read", digest
    if body.number != number:
        return f"its number is {body.number}", digest
    return "", digest


def _count(path: str) -> int:
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
