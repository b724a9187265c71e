"""A DNS of a dictionary: {(name, type): records, or an exception, or None for no answer ever}."""

from __future__ import annotations

import asyncio
from typing import Any

from postroom.values.dns import DnsUnavailable, Lookup, NoSuchName, RecordType

A, AAAA, PTR, TXT = RecordType.A, RecordType.AAAA, RecordType.PTR, RecordType.TXT


class FakeDns:
    def __init__(self) -> None:
        self.records: dict[tuple[str, RecordType], Any] = {}
        self.asked: list[str] = []
        self.cancelled = 0
        self.hanging = asyncio.Event()

    def add(self, name: str, kind: RecordType, *records: object) -> None:
        self.records[name, kind] = records

    def hang(self, name: str, kind: RecordType = A) -> None:
        self.records[name, kind] = None

    def fail(self, name: str, kind: RecordType = A) -> None:
        self.records[name, kind] = DnsUnavailable("SERVFAIL")

    def list(self, zone: str, *labels: str, code: str = "127.0.0.2") -> None:
        """A list with its test entries, and what it has beside."""
        for each in ("2.0.0.127", "test", *labels):
            self.add(f"{each}.{zone}", A, code)

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        self.asked.append(name)
        found = self.records.get((name, kind), NoSuchName(name))
        if found is None:
            self.hanging.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        await asyncio.sleep(0)
        if isinstance(found, Exception):
            raise found
        return Lookup(tuple(found))
