"""Audit records in memory, for tests: nobody can change them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from postroom.store.api.audit import GENESIS, Act, NewAct, Verdict


class MemoryAudit:
    """See postroom.store.api.AuditStore."""

    def __init__(self) -> None:
        self._acts: list[Act] = []

    async def append(self, act: NewAct) -> Act:
        previous = self._acts[-1].hash if self._acts else GENESIS
        number = len(self._acts) + 1
        digest = sha256(previous.encode() + msgspec.json.encode(act, enc_hook=str)).hexdigest()
        kept = Act(**msgspec.structs.asdict(act), number=number, previous=previous, hash=digest)
        self._acts.append(kept)
        return kept

    async def acts(self, since: float = 0.0) -> list[Act]:
        return [act for act in self._acts if act.time >= since]

    async def verify(self, known: Mapping[int, str]) -> Verdict:
        hashes = {act.number: act.hash for act in self._acts}
        faults = [f"record {number} is not there as it was" for number in known if hashes.get(number) != known[number]]
        last = self._acts[-1] if self._acts else None
        return Verdict(number=len(self._acts), hash=last.hash if last else GENESIS, faults=tuple(faults))
