"""The rooms that a worker has once, wired: store, queue, delivery and what they rest on.

They live as long as the worker, and follow another configuration. What connections are made of is in app.services.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from postroom.app.bounds import index_limits, mailbox_limits, make_schedule
from postroom.app.guids import Guids
from postroom.app.plan import Plan
from postroom.app.runfolder import RunFolder
from postroom.app.secrets import link_secret
from postroom.app.sieve import SorterRooms, make_sorter, sieve_limits
from postroom.config import Config
from postroom.delivery.one_by_one import OneByOne
from postroom.delivery.quarantine import QuarantineDelivery
from postroom.delivery.reacting import ROUTE as REACTIONS
from postroom.delivery.reacting import Reacting
from postroom.delivery.releasing import MailedReleases
from postroom.delivery.reports import ReportDelivery
from postroom.delivery.sent import SentCopies
from postroom.delivery.service import Delivery
from postroom.delivery.traps import TrapDelivery
from postroom.filter.training import Trainer
from postroom.identity.client import HashingClient
from postroom.identity.service import Identity
from postroom.intake.notices import Notices
from postroom.intake.routing import QUARANTINE, RELEASE, REPORTS, SENT, TRAP, Routes
from postroom.intake.signing import Signer
from postroom.mailbox.happenings import Happenings
from postroom.mailbox.search import Pace
from postroom.mailbox.service import Mailboxes
from postroom.mailbox.teaching import Teaching
from postroom.mailbox.trait_keeper import Latecomers
from postroom.net.resolver import Resolver
from postroom.net.wheel import Wheel
from postroom.observe.log import Events
from postroom.policy.fullness import Fullness
from postroom.queue.ids import Ids
from postroom.queue.reports import SenderReports
from postroom.queue.service import Queue
from postroom.relay.flight import FlightRecorder
from postroom.relay.tls_results import TlsResults
from postroom.store.embedded import EmbeddedStore
from postroom.values.clock import Clock, SystemClock


@dataclass(slots=True, kw_only=True)
class Core:
    """What a worker has once."""

    plan: Plan
    slot: int
    clock: Clock
    events: Events
    wheel: Wheel
    store: EmbeddedStore
    hasher: HashingClient
    identity: Identity
    mailboxes: Mailboxes
    queue: Queue
    delivery: Delivery
    reacting: Reacting
    quarantine: QuarantineDelivery
    quiet: tuple[OneByOne, ...]  # consumers of the other routes
    signer: Signer
    tls_results: TlsResults
    notices: Notices
    mailed: MailedReleases
    traps: TrapDelivery
    reports: SenderReports
    resolver: Resolver
    secret: bytes
    flights: FlightRecorder
    trainer: Trainer

    def follow(self, config: Config) -> None:
        """Work by another configuration from now on: what has none of its own connections to keep."""
        server = config.server
        self.identity.follow(config.passwords, server.hostname, server.postmaster)
        self.mailboxes.follow(mailbox_limits(config))
        if self.mailboxes.happenings is not None:
            self.mailboxes.happenings.server = config.sieve.imap_script
        if self.mailboxes.teaching is not None:
            self.mailboxes.teaching.on = config.filter.enabled
        self.traps.learn = self.trainer.trapped if config.filter.enabled else None
        self.trainer.hostname = server.hostname
        self.queue.schedule = make_schedule(config)
        self.delivery.limits = index_limits(config)
        self.delivery.fullness = Fullness(self.store.usage, config.mailboxes, self.clock)
        if self.delivery.sorter is not None:
            self.delivery.sorter.programs.follow(sieve_limits(config))
        self.reports.hostname = server.hostname
        self.signer.enabled = config.signing.enabled
        self.notices.postmaster = server.postmaster
        self.resolver.follow(server.dns)

    async def stop(self) -> None:
        """Finish what is being delivered."""
        if self.mailboxes.latecomers is not None:
            await self.mailboxes.latecomers.close()
        await self.trainer.settled()
        await self.notices.settled()
        await self.tls_results.flush()
        await self.delivery.stop()
        await self.reacting.stop()
        await self.quarantine.stop()
        for consumer in self.quiet:
            await consumer.stop()
        await self.queue.stop()
        self.resolver.close()
        self.hasher.close()


def _identity(config: Config, store: EmbeddedStore, hasher: HashingClient, clock: Clock) -> Identity:
    """Who is who."""
    server = config.server
    return Identity(
        store.directory, hasher, clock, config.passwords, hostname=server.hostname, postmaster=server.postmaster
    )


def build_core(plan: Plan, slot: int, events: Events, wheel: Wheel) -> Core:
    """The rooms that a worker has once. Raises StoreError, OSError."""
    config, clock = plan.config, SystemClock()
    folder = RunFolder(config.server.data)
    store = EmbeddedStore(config.server.data, slot, clock=clock)
    hasher = HashingClient(plan.hashing[slot][0])
    identity = _identity(config, store, hasher, clock)
    mailboxes = Mailboxes(store, clock, Guids(), mailbox_limits(config))
    mailboxes.latecomers = Latecomers(lambda: Pace(clock))
    trainer = Trainer(store, clock, events, config.server.hostname)
    mailboxes.teaching = Teaching(trainer.teach, on=config.filter.enabled)
    routes = Routes(identity)
    signer = Signer(store.directory, events, enabled=config.signing.enabled)
    reports = SenderReports(config.server.hostname, routes, clock, signer.own)
    queue = Queue(store.queue, Ids(clock, random.getrandbits, slot), make_schedule(config), clock, reports, events)
    delivery = Delivery(queue, mailboxes, identity.find, events, index_limits(config))
    delivery.fullness = Fullness(store.usage, config.mailboxes, clock)
    sorter = make_sorter(config, SorterRooms(store, identity, queue, routes, signer, clock, events))
    delivery.sorter = sorter
    reacting = Reacting(queue, mailboxes, store.directory, sorter)
    queue.subscribe(REACTIONS, reacting.take, silent=True)
    mailboxes.happenings = Happenings(store.directory, reacting.note, events, config.sieve.imap_script)
    queue.subscribe("local", delivery.take)
    apart = QuarantineDelivery(queue, (store.quarantine, store.directory), identity.find, clock, events)
    queue.subscribe(QUARANTINE, apart.take)
    quiet: dict[str, OneByOne] = {
        REPORTS: ReportDelivery(queue, store.reports, store.directory, events),
        SENT: SentCopies(queue, mailboxes, identity.find, clock, events),
    }
    traps = quiet[TRAP] = TrapDelivery(queue, trainer.trapped if config.filter.enabled else None, events)
    notices = Notices(queue, routes, config.server.postmaster, clock, events, signer.own)
    mailed = quiet[RELEASE] = MailedReleases(queue, store, clock, events, notices)
    for route, consumer in quiet.items():
        queue.subscribe(route, consumer.take)
    return Core(
        plan=plan,
        slot=slot,
        clock=clock,
        events=events,
        wheel=wheel,
        store=store,
        hasher=hasher,
        identity=identity,
        mailboxes=mailboxes,
        queue=queue,
        delivery=delivery,
        reacting=reacting,
        quarantine=apart,
        quiet=tuple(quiet.values()),
        signer=signer,
        tls_results=TlsResults(store.transport, clock, events),
        notices=notices,
        mailed=mailed,
        traps=traps,
        reports=reports,
        resolver=Resolver(config.server.dns, clock),
        secret=link_secret(config.server.data),
        flights=FlightRecorder(folder.flight(slot)),
        trainer=trainer,
    )
