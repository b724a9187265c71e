"""The spam filter of a worker, as the configuration wants it.

On failure: ConfigError when the file of rules cannot be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postroom.app.rules_file import read_rules
from postroom.config import Config
from postroom.filter.judge import Judge, Sources
from postroom.filter.scoring import Thresholds
from postroom.identity.tagging import Tagging
from postroom.intake.bounces import Bounces
from postroom.intake.filtering import Filtering
from postroom.intake.scanning import Scanning
from postroom.intake.sent_filter import SentFilter, SentRooms
from postroom.policy.blocklists import OF_PEERS, Blocklists, Event
from postroom.policy.suspicion import Suspicion
from postroom.store.api import Store

if TYPE_CHECKING:
    from postroom.app.rooms import Core
    from postroom.values.clock import Clock
    from postroom.values.dns import Dns


def make_judge(config: Config, store: Store, dns: Dns, clock: Clock, event: Event) -> Judge:
    """Raises ConfigError."""
    lists = [one for one in config.blocklist if one.kind not in OF_PEERS]
    return Judge(
        Sources(
            training=store.training,
            limits=store.limits,
            directory=store.directory,
            blocklists=Blocklists(dns, lists, clock, event),
            accounts=store.account,
            rules=read_rules(config, event),
            thresholds=Thresholds(
                junk=config.filter.junk, quarantine=config.filter.quarantine, refuse=config.filter.refuse
            ),
        )
    )


def make_filtering(judge: Judge | None, store: Store, scanning: Scanning | None) -> Filtering:
    """What intake asks about mail from outside."""
    return Filtering(judge, store.directory, scanning)


def make_bounces(core: Core, config: Config, tags: Tagging) -> Bounces:
    """What intake asks about reports from outside."""
    rooms = (core.identity, tags)
    return Bounces(config.bounces, core.store.limits, rooms, core.clock, core.events)


def make_sent_filter(core: Core, config: Config, judge: Judge | None, suspicion: Suspicion) -> SentFilter | None:
    """What intake asks about mail of our own people."""
    if judge is None:
        return None
    rooms = SentRooms(
        judge=judge,
        directory=core.store.directory,
        clock=core.clock,
        event=core.events,
        flagged=suspicion.flagged,
        post=core.notices,
    )
    return SentFilter(rooms, config.filter)
