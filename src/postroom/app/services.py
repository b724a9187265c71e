"""What the connections of a worker are made of: the rooms that follow the configuration, wired.

They are made anew at a reload: new connections get the new ones, sessions that stand keep theirs.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from postroom import __version__
from postroom.app.filtering import make_bounces, make_filtering, make_judge, make_sent_filter
from postroom.app.outcomes import Outcomes, hold_mail
from postroom.app.outside import relay_means, srs, tagging
from postroom.app.scanning import make_scanners
from postroom.app.sieve import make_refuses, sieve_limits, sieve_url
from postroom.app.web import Ways, http_services
from postroom.config import Config, Listener
from postroom.config import Protocol as Spoken
from postroom.filter.judge import Judge
from postroom.filter.scanners import Scanners
from postroom.intake.answers import Answers
from postroom.intake.lists import Lists
from postroom.intake.outside import Means, Outside
from postroom.intake.rooms import Rooms as IntakeRooms
from postroom.intake.scanning import Scanning
from postroom.intake.sent_filter import SentFilter
from postroom.intake.service import Intake
from postroom.net.link import Driver, Link
from postroom.policy import Bans, Conduct, ConnectionGate, LoginThrottle, Outgoing, Rates
from postroom.policy.greylist import Greylist
from postroom.policy.strangers import Strangers
from postroom.policy.suspicion import Suspicion
from postroom.relay.service import Relay
from postroom.servers.imap import service as imap
from postroom.servers.login import Logins
from postroom.servers.managesieve import service as managesieve
from postroom.servers.pop3 import service as pop3
from postroom.servers.smtp import service as smtp

if TYPE_CHECKING:
    from postroom.app.rooms import Core
    from postroom.servers.http import HttpService


class Service(Protocol):
    """What drives the connections of a protocol."""

    def driver(self, link: Link, listener: Listener) -> Driver: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The policies on peers."""

    bans: Bans
    conduct: Conduct
    rates: Rates
    gate: ConnectionGate
    throttle: LoginThrottle
    suspicion: Suspicion

    async def settled(self) -> None:
        """Wait until what was noticed is written down."""
        await self.bans.settled()
        await self.suspicion.settled()


@dataclass(slots=True, kw_only=True)
class Services:
    """What connections are made of. before: services of older configurations whose sessions still stand."""

    of: dict[Spoken, Service]
    imap: imap.ImapService
    pop3: pop3.Pop3Service
    managesieve: managesieve.ManageSieveService
    smtp: smtp.SmtpService
    relay: Relay
    outgoing: Outgoing
    doors: Doors
    http: Mapping[str, HttpService]
    scanners: Scanners | None
    sent: SentFilter | None
    before: list[Services] = field(default_factory=list)

    def sessions(self) -> dict[str, int]:
        """Open connections by protocol."""
        counts = {
            "smtp": self.smtp.connections,
            "imap": self.imap.connections,
            "pop3": self.pop3.connections,
            "managesieve": self.managesieve.connections,
            **{name: service.connections for name, service in self.http.items()},
        }
        for older in self.before:
            for name, count in older.sessions().items():
                counts[name] = counts.get(name, 0) + count
        return counts

    async def recheck(self) -> None:
        """The directory changed: sessions of accounts that may no longer log in are ended."""
        for services in (self, *self.before):
            await services.imap.recheck()
            await services.pop3.recheck()
            await services.managesieve.recheck()
            await services.smtp.recheck()

    def retire(self, newer: Services) -> None:
        """Newer services take over."""
        if self.scanners is not None:
            self.scanners.close()
        newer.before = [older for older in (*self.before, self) if any(older.sessions().values()) or older.relay.busy]

    def attach(self, core: Core) -> None:
        """From now on the queue works with these."""
        core.queue.subscribe("remote", self.relay.take)
        core.trainer.elsewhere = self.scanners.teach if self.scanners is not None and self.scanners.learns else None
        if core.delivery.sorter is not None:
            core.delivery.sorter.outgoing.limits = self.outgoing
        core.queue.watch = Outcomes(self.doors.suspicion, core.store.directory, core.events)

    async def stop(self) -> None:
        """Say goodbye to every client, wait for what they are in the middle of, and finish what is being relayed."""
        everything = (self, *self.before)
        for services in everything:
            for service in (services.imap, services.pop3, services.managesieve, services.smtp):
                service.stop()
            for http in services.http.values():
                http.stop()
        for services in everything:
            await services.smtp.settled()
            await services.imap.settled()
            await services.pop3.settled()
            for http in services.http.values():
                await http.settled()
        for services in everything:
            if services.sent is not None:
                await services.sent.settled()
            await services.relay.stop()
            await services.doors.settled()
            if services.scanners is not None:
                services.scanners.close()


def build_services(core: Core, config: Config) -> Services:
    """The rooms that follow the configuration. Raises OSError when the relay's password cannot be read."""
    doors = _doors(core, config)
    relay = Relay(core.queue, config, relay_means(core, config))
    stores = (core.store.limits, core.store.directory)
    outgoing = Outgoing(config.sending, stores, core.clock, core.events, core.notices, doors.suspicion)
    scanners = make_scanners(config, core.clock, core.events)
    judge = make_judge(config, core.store, core.resolver, core.clock, core.events) if config.filter.enabled else None
    sent = make_sent_filter(core, config, judge, doors.suspicion)
    intake = _intake(core, config, outgoing, scanners, (judge, sent))
    strangers = Strangers(core.resolver, config, core.clock, core.events)
    mail = smtp.SmtpService(
        smtp.Rooms(
            store=core.store,
            intake=intake,
            logins=_logins(core, config, doors, "submission"),
            gate=doors.gate,
            conduct=doors.conduct,
            log=core.events,
            rates=doors.rates,
            strangers=strangers if strangers.active else None,
        ),
        config,
    )
    drops = _pop3(core, config, doors)
    boxes = _imap(core, config, doors)
    scripts = _managesieve(core, config, doors)
    spoken: dict[Spoken, Service] = {
        Spoken.SMTP: mail,
        Spoken.SUBMISSION: mail,
        Spoken.LMTP: mail,
        Spoken.IMAP: boxes,
        Spoken.POP3: drops,
        Spoken.MANAGESIEVE: scripts,
    }
    ways = Ways(gate=doors.gate, intake=intake, logins=_logins(core, config, doors, "http"))
    http = http_services(core, config, ways)
    spoken.update({Spoken(name): service for name, service in http.items()})
    return Services(
        of=spoken,
        imap=boxes,
        pop3=drops,
        managesieve=scripts,
        smtp=mail,
        relay=relay,
        outgoing=outgoing,
        doors=doors,
        http=http,
        scanners=scanners,
        sent=sent,
    )


def _logins(core: Core, config: Config, doors: Doors, service: str) -> Logins:
    """How people log in to a service."""
    return Logins(
        service=service,
        identity=core.identity,
        throttle=doors.throttle,
        log=core.events,
        nonce=lambda: secrets.token_urlsafe(18),
        decoy=core.secret,
        scram_iterations=config.passwords.scram_iterations,
        plaintext_on_loopback=config.passwords.plaintext_on_loopback,
        entered=doors.suspicion.entered,
        used=doors.suspicion.used,
        certificates={one.sha256.replace(":", "").lower(): one.account for one in config.client_certificate},
    )


def _doors(core: Core, config: Config) -> Doors:
    """Who may come in, and how much they may do."""
    tables, slot, clock = core.plan.tables, core.slot, core.clock
    bans = Bans(core.store.limits, clock, core.events, config.bans.first, config.bans.longest)
    conduct = Conduct(config, tables, slot, clock, bans)
    rates = Rates(config.limits, tables, slot, clock)
    return Doors(
        bans=bans,
        conduct=conduct,
        rates=rates,
        gate=ConnectionGate(config.limits, tables, slot, rates, bans),
        throttle=LoginThrottle(config.limits, tables, slot, clock, conduct.note),
        suspicion=Suspicion(
            config,
            core.store.limits,
            clock,
            core.events,
            core.notices,
            lambda account: hold_mail(core.store.queue, account),
        ),
    )


def _managesieve(core: Core, config: Config, doors: Doors) -> managesieve.ManageSieveService:
    rooms = managesieve.Rooms(
        store=core.store,
        logins=_logins(core, config, doors, "managesieve"),
        gate=doors.gate,
        log=core.events,
        version=__version__,
        limits=sieve_limits(config),
        conduct=doors.conduct,
    )
    return managesieve.ManageSieveService(rooms, config)


def _pop3(core: Core, config: Config, doors: Doors) -> pop3.Pop3Service:
    return pop3.Pop3Service(
        pop3.Rooms(
            mailboxes=core.mailboxes,
            directory=core.store.directory,
            logins=_logins(core, config, doors, "pop3"),
            gate=doors.gate,
            conduct=doors.conduct,
            clock=core.clock,
            log=core.events,
            holder=lambda: secrets.token_hex(8),
        ),
        config,
    )


def _imap(core: Core, config: Config, doors: Doors) -> imap.ImapService:
    return imap.ImapService(
        imap.Rooms(
            store=core.store,
            mailboxes=core.mailboxes,
            logins=_logins(core, config, doors, "imap"),
            gate=doors.gate,
            conduct=doors.conduct,
            clock=core.clock,
            log=core.events,
            sieve=sieve_url(config),
            script=config.sieve.imap_script,
        ),
        config.limits,
        config.server.hostname,
        config.imap,
    )


def _intake(
    core: Core,
    config: Config,
    outgoing: Outgoing,
    scanners: Scanners | None,
    filters: tuple[Judge | None, SentFilter | None],
) -> Intake:
    """What decides on mail, with the limits on what leaves."""
    judge, sent = filters
    scanning = Scanning(scanners, config.server.hostname) if scanners is not None else None
    outside = None
    if config.authentication.verify:
        means = Means(
            directory=core.store.directory,
            dns=core.resolver,
            hostname=config.server.hostname,
            events=core.events,
            signer=core.signer,
            lists=Lists(core.store.limits, core.identity, core.resolver),
            filtering=make_filtering(judge, core.store, scanning),
        )
        outside = Outside(means, config.authentication)
    greylist = Greylist(core.store.limits, config, core.clock)
    tags = tagging(core.store.directory, config)
    rooms = IntakeRooms(
        store=core.store,
        queue=core.queue,
        identity=core.identity,
        clock=core.clock,
        outgoing=outgoing,
        signer=core.signer,
        outside=outside,
        srs=srs(config),
        tags=tags,
        bounces=make_bounces(core, config, tags),
        answers=Answers(core.secret, core.clock),
        greylist=greylist if greylist.active else None,
        suppressed=core.store.limits.suppressed,
        refuses=make_refuses(core.delivery, core.mailboxes, core.identity),
        sent=sent,
        scanning=scanning,
    )
    return Intake(rooms, config)
