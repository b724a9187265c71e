"""What sending to other domains needs beside the configuration: passwords, secrets, who listens where.

Owns: nothing. Its secrets are the installation's (app.secrets).
On failure: OSError with the path.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from postroom.app import secrets
from postroom.app.runfolder import RunFolder
from postroom.config import Config, Protocol
from postroom.identity.batv import Batv
from postroom.identity.srs import Srs
from postroom.identity.tagging import Tagging
from postroom.relay.dial import Means
from postroom.relay.flight import recover
from postroom.relay.mta_sts import MtaSts, StsMeans
from postroom.relay.protection import Protection, StrictTls
from postroom.relay.recovery import settle
from postroom.relay.tls_policy import NeverWeaker
from postroom.store.api import DirectoryStore

if TYPE_CHECKING:
    from postroom.app.rooms import Core


def relay_means(core: Core, config: Config) -> Means:
    """What the relay works with. Raises OSError when a password cannot be read."""
    authorities = config.relay.authorities or None
    return Means(
        wheel=core.wheel,
        event=core.events,
        clock=core.clock,
        random=random.random,
        dns=core.resolver,
        hosts=core.resolver.addresses,
        passwords=relay_passwords(config),
        listening=tuple((one.address, one.port) for one in config.listener if one.protocol is Protocol.SMTP),
        srs=srs(config),
        tags=tagging(core.store.directory, config),
        suppressions=core.store.limits,
        flights=core.flights,
        resign=core.signer.again,
        workers=core.plan.workers,
        authorities=authorities,
        security=NeverWeaker(_protection(core, authorities), core.store.transport, core.clock.now),
    )


def _protection(core: Core, authorities: str | None) -> Protection:
    """What other domains demand of connections to them."""
    strict = StrictTls(authorities)
    policies = mta_sts(core, strict)
    return Protection(
        core.resolver, core.clock, policies, authorities=authorities, strict=strict, told=core.tls_results.told
    )


def mta_sts(core: Core, strict: StrictTls) -> MtaSts:
    """The MTA-STS policies of other domains."""
    return MtaSts(
        StsMeans(
            dns=core.resolver,
            hosts=core.resolver.addresses,
            store=core.store.transport,
            clock=core.clock,
            event=core.events,
            tls=strict,
        )
    )


def relay_passwords(config: Config) -> dict[str, str]:
    """The passwords for smart hosts, by file. Raises OSError."""
    files = {config.relay.password_file, *(route.password_file for route in config.route)} - {""}
    return {path: first_line(path) for path in files}


async def settle_flights(core: Core, workers: int) -> None:
    """Before anything is sent: results that a crash kept from being written. Slot 0 looks after slots that are gone."""
    await settle(core.flights.found, core.store.queue, core.queue, core.events)
    core.flights.forget()
    if core.slot:
        return
    for slot, path in RunFolder(core.plan.config.server.data).flights():
        if slot >= workers:
            await settle(recover(path), core.store.queue, core.queue, core.events)
            path.unlink()


def first_line(path: str) -> str:
    """The password in a file. Raises OSError."""
    return (Path(path).read_text(encoding="utf-8").splitlines() or [""])[0]


def srs(config: Config) -> Srs:
    """The scheme of return addresses with this site's secrets. Raises OSError."""
    return Srs(secrets.lines(config.server.data, secrets.SRS))


def tagging(directory: DirectoryStore, config: Config) -> Tagging:
    """Tags on envelope senders, where domains want them. Raises OSError."""
    return Tagging(directory, Batv(secrets.lines(config.server.data, secrets.SRS)))
