"""Filters of accounts, wired: what sorts mail at delivery."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from postroom import __version__
from postroom.config import Config, Protocol
from postroom.delivery.outgoing import Means
from postroom.delivery.refusing import Refuses
from postroom.delivery.service import Delivery
from postroom.delivery.sorting import Sorter
from postroom.identity.service import Identity
from postroom.intake.routing import Routes
from postroom.intake.signing import Signer
from postroom.mailbox.service import Mailboxes
from postroom.observe.log import Events
from postroom.queue.service import Queue
from postroom.sieve.run import Limits
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import Clock

_MANAGESIEVE: Final = 4190
#: RFC 6785 4.2 and 4.5: what these are at delivery
_NOT_BY_IMAP: Final = {"imap.user": "", "imap.email": "", "imap.changedflags": ""}


@dataclass(frozen=True, slots=True)
class SorterRooms:
    """What a filter works with."""

    store: EmbeddedStore
    identity: Identity
    queue: Queue
    routes: Routes
    signer: Signer
    clock: Clock
    events: Events


def sieve_limits(config: Config) -> Limits:
    """How much a script may do."""
    sieve = config.sieve
    return Limits(
        script=sieve.script_size, actions=sieve.actions, redirects=sieve.redirects, seconds=sieve.seconds,
        steps=int(sieve.seconds * 1_000_000),
    )  # fmt: skip


def local_zone(now: float) -> int:
    """Seconds east of Greenwich of this machine at a time."""
    return time.localtime(now).tm_gmtoff


def make_sorter(config: Config, rooms: SorterRooms) -> Sorter:
    """What delivery asks for accounts that have a script."""
    hostname = config.server.hostname
    means = Means(
        queue=rooms.queue,
        answered=rooms.store.queue.answered,
        routes=rooms.routes,
        hosted=rooms.identity.is_hosted,
        may_send_as=rooms.identity.may_send_as,
        sign=rooms.signer.own,
        directory=rooms.store.directory,
        clock=rooms.clock,
        event=rooms.events,
        hostname=hostname,
    )
    return Sorter(means, sieve_limits(config), local_zone, environment_items(hostname))


def make_refuses(delivery: Delivery, mailboxes: Mailboxes, identity: Identity) -> Refuses | None:
    """What intake asks before it accepts mail for one recipient."""
    return None if delivery.sorter is None else Refuses(delivery.sorter, mailboxes, identity.find)


def sieve_url(config: Config) -> str:
    """RFC 5804 3: where clients keep scripts, "" when they cannot."""
    ports = [one.port for one in config.listener if one.protocol is Protocol.MANAGESIEVE and one.port]
    if not ports:
        return ""
    port = _MANAGESIEVE if _MANAGESIEVE in ports else ports[0]
    return f"sieve://{config.server.hostname}" + (f":{port}" if port != _MANAGESIEVE else "")


def environment_items(hostname: str) -> dict[str, str]:
    """RFC 5183 4.1: what a script is told of where it runs."""
    return {
        "name": "Postroom",
        "version": __version__,
        "host": hostname,
        "location": "MDA",
        "phase": "during",
        **_NOT_BY_IMAP,
    }
