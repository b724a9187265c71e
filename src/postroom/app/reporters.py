"""Who makes daily reports in a worker, and what they work with.

A new kind of report is one more maker in `makers`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from postroom.app.daily import REPORTS_LOCK, DailyReports, DailyRooms
from postroom.app.runfolder import RunFolder
from postroom.config import Config
from postroom.intake.dmarc_maker import DmarcMaker
from postroom.intake.routing import Routes
from postroom.queue.daily import ReportMaker
from postroom.store.api import Store
from postroom.values.dns import Dns

if TYPE_CHECKING:
    from postroom.app.rooms import Core


def makers(store: Store, dns: Dns) -> Sequence[ReportMaker]:
    """Every kind of report."""
    return (DmarcMaker(store.events, dns),)


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
        )

    return DailyReports(rooms, lambda: makers(core.store, core.resolver), config, folder.lock(REPORTS_LOCK))
