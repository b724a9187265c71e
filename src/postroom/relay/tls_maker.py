"""Makes a day's reports about TLS out of the counts of all workers, for the domains that want them.

Owns: nothing. Trusts: the counts; each domain's wish is asked of the DNS when its report is made.
Standards: RFC 8460 3, 4, 5.
On failure: StoreError; a domain whose DNS is silent is asked a second time, then told as unsent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from postroom.queue.daily import DailyReport, ReportDay, Submitter, Unsent
from postroom.relay.tls_report import Wish, read_record, report
from postroom.store.api import TransportStore
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName, RecordType

_AT_ONCE: Final = 20  # domains whose records are asked for at a time


class TlsMaker:
    """See postroom.queue.daily.ReportMaker."""

    kind = "tls"

    def __init__(self, store: TransportStore, dns: Dns) -> None:
        self._store = store
        self._dns = dns

    async def reports(self, day: ReportDay, submitter: Submitter) -> AsyncIterator[DailyReport | Unsent]:
        """One for each domain that wants one."""
        domains = self._store.tls_domains(day.name)
        late: list[str] = []
        for last in (False, True):
            for start in range(0, len(domains), _AT_ONCE):
                some = domains[start : start + _AT_ONCE]
                for domain, wish in zip(some, await self._wishes(some), strict=True):
                    if isinstance(wish, DnsUnavailable):
                        if last:
                            yield Unsent(domain, f"the DNS does not say where its reports go: {wish}")
                        late.append(domain)
                    elif wish.to or wish.post:
                        yield report(domain, self._store.tls_counts(day.name, domain), wish, day, submitter)
            domains, late = late, []

    async def _wishes(self, domains: Sequence[str]) -> list[Wish | DnsUnavailable]:
        return await asyncio.gather(*(self._wish(domain) for domain in domains))

    async def _wish(self, domain: str) -> Wish | DnsUnavailable:
        try:
            answer = await self._dns.lookup(f"_smtp._tls.{domain}", RecordType.TXT)
        except NoSuchName:
            return Wish()
        except DnsUnavailable as fault:
            return fault
        return read_record(answer.records)
