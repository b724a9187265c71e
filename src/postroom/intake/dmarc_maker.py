"""Makes a day's DMARC aggregate reports from the events of all workers.

Owns: the rows while they are counted: MOST_ROWS of all domains together, whoever sends what; messages that would
make more are counted and told of in the report's error element. Everything heavy runs in a thread, some thousand
events at a time.
Trusts: the events. Destinations are asked for anew, and verified (mailauth.dmarc.destinations).
Standards: RFC 9990 3.1 (one report for each policy domain, the last policy seen), 3.5, 4.
On failure: StoreError; a domain whose DNS is silent is asked a second time, then told as unsent.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import msgspec
from msgspec.structs import replace

from postroom.intake.collected import by_author, seen
from postroom.mailauth.dmarc import PolicyRecord, TreeWalk
from postroom.mailauth.dmarc.aggregate import Aggregate, Published, Row, file_name, print_xml, report_id, subject
from postroom.mailauth.dmarc.destinations import Destinations, destinations
from postroom.queue.daily import DailyReport, ReportDay, Submitter, Unsent
from postroom.store.api import EventStore
from postroom.values.dns import Dns, DnsUnavailable
from postroom.values.told import Told

#: rows of all reports of a day together (about 400 octets each), and of one report (a mail of some megabytes)
MOST_ROWS: Final = 100_000
MOST_OF_REPORT: Final = 20_000
GENERATOR: Final = "Postroom"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


@dataclass(slots=True)
class Counted:
    """What was seen of one policy domain. rows: how many messages said the same, by what they said, packed: a third of
    the memory of what is read from it, and nothing for the garbage collector to look through.

    latest, newest: when and what was said last; left_out: messages without a row.
    """

    rows: dict[bytes, int] = field(default_factory=dict)
    latest: float = 0.0
    newest: bytes = b""
    left_out: int = 0

    @property
    def messages(self) -> int:
        """All of them."""
        return sum(self.rows.values()) + self.left_out

    @property
    def published(self) -> Published:
        """The policy that was seen last."""
        return seen(_decode(self.newest))[0].published

    def merged(self) -> list[Row]:
        """The rows; those that differ in the policy alone are one."""
        found: dict[Row, int] = {}
        for key, count in self.rows.items():
            row = seen(_decode(key))[0].row
            found[row] = found.get(row, 0) + count
        return [replace(row, count=count) for row, count in found.items()]


class Tally:
    """Counts a day."""

    def __init__(self, most: int = MOST_ROWS) -> None:
        self.domains: dict[str, Counted] = {}
        self._room = most

    def add(self, events: Iterable[Told]) -> None:
        """Count these."""
        for told in events:
            for domain, one in by_author(told.fields.get("report")):
                self._count(domain, one, told.time)

    def _count(self, domain: str, one: object, time: float) -> None:
        counted = self.domains.get(domain)
        key = _encode(one)
        known = counted.rows.get(key) if counted is not None else None
        if known is None and not seen(one):  # not of our form; looked into once for all that are alike
            return
        if counted is None:
            counted = self.domains[domain] = Counted(newest=key)
        if time >= counted.latest:
            counted.latest, counted.newest = time, key
        if known is not None:
            counted.rows[key] = known + 1
        elif self._room > 0 and len(counted.rows) < MOST_OF_REPORT:
            self._room -= 1
            counted.rows[key] = 1
        else:
            counted.left_out += 1


class DmarcMaker:
    """See postroom.queue.daily.ReportMaker."""

    kind = "dmarc"

    def __init__(self, events: EventStore, dns: Dns) -> None:
        self._events = events
        self._dns = dns

    async def reports(self, day: ReportDay, submitter: Submitter) -> AsyncIterator[DailyReport | Unsent]:
        """One for each policy domain that wants one."""
        tally = Tally()
        async for some in self._events.told("mail.checked", day.begin, day.end + 1):
            await asyncio.to_thread(tally.add, some)
        late: list[str] = []
        for domain in sorted(tally.domains):
            try:
                async for report in self._of(domain, tally.domains[domain], (day, submitter)):
                    yield report
            except DnsUnavailable:
                late.append(domain)
        for domain in late:
            try:
                async for report in self._of(domain, tally.domains[domain], (day, submitter)):
                    yield report
            except DnsUnavailable as fault:
                yield Unsent(domain, f"the DNS does not say where its reports go: {fault}")

    async def _of(
        self, domain: str, counted: Counted, of: tuple[ReportDay, Submitter]
    ) -> AsyncIterator[DailyReport | Unsent]:
        """What goes to one domain. Raises DnsUnavailable."""
        record = await TreeWalk(self._dns).record_at(domain)
        if record is None or not record.aggregate:  # it asks no more
            return
        where = await destinations(self._dns, domain, record.aggregate)
        if where.refused:
            yield Unsent(domain, "; ".join(where.refused))
        if where.addresses and counted.rows:
            yield await asyncio.to_thread(_report, counted, record, where, of)


def _report(
    counted: Counted, record: PolicyRecord, where: Destinations, of: tuple[ReportDay, Submitter]
) -> DailyReport:
    day, submitter = of
    report = _aggregate(counted, record.problems, day, submitter)
    octets = gzip.compress(b"".join(print_xml(report)), mtime=0)
    domain = report.published.domain
    addresses = len({row.ip for row in report.rows})
    return DailyReport(
        name=domain,
        to=where.addresses,
        id=report.id,
        subject=subject(report, submitter.domain),
        words=(
            f"This is a DMARC aggregate report (RFC 9990) from {submitter.org}, for programs to read.\n\n"
            f"On {day.name} (UTC) {submitter.hostname} received {counted.messages} messages in the name of {domain} "
            f"from {addresses} addresses; the attachment says of each address what SPF and DKIM proved.\n\n"
            f"The DMARC record of {domain} asks for it (rua). Questions: {submitter.contact}\n"
        ),
        file=file_name(report, submitter.domain),
        media_type="application/gzip",
        octets=octets,
        messages=counted.messages,
    )


def _aggregate(counted: Counted, problems: Sequence[str], day: ReportDay, submitter: Submitter) -> Aggregate:
    errors = [f"the record: {one}" for one in islice(problems, 5)]
    if counted.left_out:
        errors.append(f"{counted.left_out} more messages are not listed, there were too many kinds of them")
    published = counted.published
    return Aggregate(
        org=submitter.org,
        email=submitter.contact,
        id=report_id(day.name, published.domain, submitter.domain),
        begin=day.begin,
        end=day.end,
        published=published,
        rows=tuple(counted.merged()),
        errors=tuple(errors),
        generator=GENERATOR,
    )
