"""Takes in the reports that others send about our domains: the consumer of the queue's route "reports".

Owns: nothing; the store keeps each report once. One mail at a time, read in a thread.
Trusts: the queue's `proven`, the domain that DMARC proved when the mail came. A report is about a domain we host, or
one below it; about others it is dropped. Mail to the sender of our own reports is dropped unread.
Standards: RFC 9990 3.5.4 (duplicates), 8.1, 8.2; RFC 8460 5; RFC 5965.
On failure: an event with the reason; nobody is told by mail. Only a store that cannot write makes a mail wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from postroom.delivery.one_by_one import OneByOne
from postroom.delivery.report_reading import LARGEST_MAIL, Found, NoReport, pack, reports_in
from postroom.delivery.service import Event, Queue
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import (
    DirectoryStore,
    Entry,
    KeptReport,
    Recipient,
    ReportStore,
    StoreError,
    TooMany,
)

_DAY: Final = 86400.0
#: how long a report may tell of, how old it may be, and how far the reporter's clock may be ahead
_LONGEST, _OLDEST, _AHEAD = 40 * _DAY, 400 * _DAY, 2 * _DAY


class ReportDelivery(OneByOne):
    """One per worker. Give `take` to the queue as the consumer of the route "reports"."""

    def __init__(self, queue: Queue, store: ReportStore, directory: DirectoryStore, event: Event) -> None:
        super().__init__(queue)
        self._store = store
        self._directory = directory
        self._event = event

    async def outcomes(self, entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Read an entry, once for all its recipients."""
        kind, status, reply = Kind.DELIVERED, "2.0.0", "Read"
        try:
            await self._read(entry, recipients)
        except StoreError as fault:
            kind, status, reply = Kind.DEFERRED, "4.3.0", f"The report cannot be kept now: {fault}"
        except Exception as fault:  # accepted mail never waits for ever for a fault of ours
            self._event("delivery.fault", queue_id=entry.id, recipient=recipients[0].address, reason=repr(fault))
            reply = "Dropped: it could not be read"
        return [Outcome(recipient=each, kind=kind, status=status, reply=reply) for each in recipients]

    async def _read(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """Raises StoreError."""
        address = recipients[0].address
        if all(each.address.startswith("noreply-") for each in recipients):
            return self._drop(entry, address, "what comes back to a report of ours is dropped")
        if entry.size > LARGEST_MAIL:
            return self._drop(entry, address, f"the mail has {entry.size} octets")
        try:
            found = await asyncio.to_thread(lambda: reports_in(entry.content.read(), entry.received))
        except NoReport as fault:
            return self._drop(entry, address, str(fault))
        for one in found:
            await self._keep(entry, address, one)
        return None

    async def _keep(self, entry: Entry, address: str, found: Found) -> None:
        """Raises StoreError."""
        domain = await self._hosted(found, address)
        if not domain:
            return self._drop(entry, address, f"it is about {', '.join(found.domains[:3])}, which is not hosted here")
        if not _timely(found, entry.received):
            return self._drop(entry, address, "the time it tells of cannot be true")
        report = KeptReport(
            kind=found.kind,
            domain=domain,
            proven=entry.proven,
            org=found.org[:200],
            id=found.id[:500],
            begin=float(found.begin),
            end=float(found.end),
            received=entry.received,
            data=await asyncio.to_thread(pack, found.report),
        )
        try:
            new = await self._store.keep(report)
        except TooMany as fault:
            return self._drop(entry, address, str(fault))
        told = {"kind": report.kind, "domain": domain, "org": report.org, "proven": report.proven, "report": report.id}
        self._event("reports.received", queue_id=entry.id, **told, new=new)
        return None

    async def _hosted(self, found: Found, address: str) -> str:
        """The hosted domain it is about; "" for none. A feedback that names none is about whom it was sent to."""
        for name in found.domains[:20]:
            labels = name.split(".")
            for place in range(min(len(labels), 10)):
                domain = ".".join(labels[place:])
                if domain and await self._directory.domain(domain) is not None:
                    return domain
        return address.rpartition("@")[2].lower() if found.kind == "feedback" else ""

    def _drop(self, entry: Entry, address: str, reason: str) -> None:
        self._event("reports.unusable", queue_id=entry.id, recipient=address, sender=entry.sender, reason=reason)


def _timely(found: Found, received: float) -> bool:
    return (
        found.end - found.begin <= _LONGEST
        and found.begin >= received - _OLDEST
        and found.end <= received + _LONGEST
        and found.begin <= received + _AHEAD
    )
