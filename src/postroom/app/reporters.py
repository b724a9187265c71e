"""Who makes daily reports in a worker, and what they work with.

A new kind of report is one more maker in `makers`.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from postroom.app.daily import REPORTS_LOCK, DailyReports, DailyRooms
from postroom.app.runfolder import RunFolder
from postroom.config import Config
from postroom.intake.dmarc_maker import DmarcMaker
from postroom.intake.routing import Routes
from postroom.net import https
from postroom.queue.daily import DailyReport, ReportMaker
from postroom.relay.protection import StrictTls
from postroom.relay.tls_maker import TlsMaker
from postroom.relay.tls_report import https_target
from postroom.store.api import Store
from postroom.values.dns import Dns, DnsProblem

if TYPE_CHECKING:
    from postroom.app.rooms import Core


def makers(store: Store, dns: Dns) -> Sequence[ReportMaker]:
    """Every kind of report."""
    return (DmarcMaker(store.events, dns), TlsMaker(store.transport, dns))


class Poster:
    """Posts a report to an https URI (RFC 8460 5.4). hosts: addresses of a name."""

    def __init__(self, hosts: Callable[[str], Awaitable[tuple[str, ...]]], tls: Callable[[], ssl.SSLContext]) -> None:
        self._hosts = hosts
        self._tls = tls

    async def __call__(self, uri: str, report: DailyReport) -> None:
        """Raises OSError."""
        target = https_target(uri)
        if target is None:
            raise OSError("it is no place to post to")
        host, path = target
        try:
            addresses = await self._hosts(host)
            fields = (("Content-Type", report.media_type),)
            request = https.Request(
                host=host, addresses=addresses, path=path, method="POST", fields=fields, body=report.octets
            )
            response = await https.ask(request, self._tls())
        except (https.FetchFailed, DnsProblem) as fault:
            raise OSError(str(fault)) from fault
        if response.status // 100 != 2:
            raise OSError(f"{host} answers with status {response.status}")


def daily_reports(core: Core, config: Callable[[], Config], folder: RunFolder) -> DailyReports:
    """The worker's; config: the one in force now."""

    def rooms() -> DailyRooms:
        return DailyRooms(
            store=core.store,
            accept=core.queue.accept,
            new_id=core.queue.new_id,
            route=Routes(core.identity),
            signer=core.signer,
            clock=core.clock,
            events=core.events,
            random=random.random,
            post=Poster(core.resolver.addresses, StrictTls(config().relay.authorities or None)),
        )

    return DailyReports(rooms, lambda: makers(core.store, core.resolver), config, folder.lock(REPORTS_LOCK))
