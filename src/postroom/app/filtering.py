"""The spam filter of a worker, as the configuration wants it.

On failure: ConfigError when the file of rules cannot be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from postroom.app.rules_file import read_rules
from postroom.config import BlocklistKind, Config
from postroom.filter.judge import Judge, Sources
from postroom.filter.scoring import Thresholds
from postroom.intake.filtering import Filtering
from postroom.intake.scanning import Scanning
from postroom.policy.blocklists import Blocklists, Event
from postroom.store.api import Store

if TYPE_CHECKING:
    from postroom.values.clock import Clock
    from postroom.values.dns import Dns


def make_judge(config: Config, store: Store, dns: Dns, clock: Clock, event: Event) -> Judge:
    """Raises ConfigError."""
    lists = [one for one in config.blocklist if one.kind is BlocklistKind.URL]
    return Judge(
        Sources(
            training=store.training,
            limits=store.limits,
            directory=store.directory,
            blocklists=Blocklists(dns, lists, clock, event),
            rules=read_rules(config, event),
            thresholds=Thresholds(
                junk=config.filter.junk, quarantine=config.filter.quarantine, refuse=config.filter.refuse
            ),
        )
    )


def make_filtering(
    config: Config, store: Store, dns: Dns, means: tuple[Clock, Event], scanning: Scanning | None
) -> Filtering | None:
    """What intake asks about mail from outside; None when there is nothing to ask. Raises ConfigError."""
    if not config.filter.enabled and scanning is None:
        return None
    judge = make_judge(config, store, dns, *means) if config.filter.enabled else None
    return Filtering(judge, store.directory, scanning)
