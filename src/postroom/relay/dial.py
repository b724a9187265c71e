"""Making a connection: the servers of a route one after the other, until one is ready for mail.

Owns: the order of tries and what each failure means. Trusts: nothing of servers and DNS; TLS is what
`tls_policy.TransportSecurity` demands.
Standards: RFC 5321 5.1 (several servers and addresses), RFC 7435 4 (in the clear only when nothing demands TLS),
RFC 8689 4.2 (REQUIRETLS).
On failure: Unopened; its reply is 5yz only when no later try can help.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct, structs

from postroom.config import Config, OutgoingTls
from postroom.identity.srs import Srs
from postroom.identity.tagging import Tagging
from postroom.net.link import TlsSource
from postroom.net.resolver import this_machine
from postroom.net.wheel import Wheel
from postroom.relay import mx
from postroom.relay.attempt import Connector, TlsFailed, Unopened
from postroom.relay.connection import Connection, Endpoint
from postroom.relay.flight import FlightRecorder
from postroom.relay.mx import Ourselves, Server, Unroutable
from postroom.relay.pool import Pool
from postroom.relay.routes import Nexthop
from postroom.relay.sources import Origin
from postroom.relay.tls_policy import (
    NO_TLS_REQUIRED,
    OpportunisticTls,
    TlsLevel,
    TlsRequirement,
    TlsResult,
    TransportSecurity,
)
from postroom.store.api import Suppression
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName
from postroom.wire.smtp.client_types import Reply

_REQUIRETLS = "REQUIRETLS"
#: what is left of a policy that its domain is only trying out, once it has failed
_NO_DEMANDS = TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason="a policy that is being tested has failed")
#: addresses tried before the mail waits for the next time (RFC 5321 5.1: at least two)
MOST_TRIES = 5
_NONE: frozenset[str] = frozenset()


class Event(Protocol):
    """Where lives of messages are told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


class Suppressions(Protocol):
    """Where addresses are kept that nothing is sent to."""

    async def suppress(self, suppression: Suppression) -> None: ...


@dataclass(slots=True, kw_only=True)
class Means:
    """What the relay works with.

    dns None: no way by MX. hosts: addresses of a host that the configuration names (net.resolver), an address is its
    own; the default knows this machine only. random: from 0 up to 1. passwords: by the path of their file. listening:
    address and port of our SMTP listeners, to notice mail that would come back. idle: seconds a connection waits for
    more mail. authorities: PEM file to verify servers by, None for the system's. srs: makes return addresses of ours.
    tags: knows whose envelope senders are tagged.
    suppressions: takes addresses that their servers call unknown. flights: remembers over a crash what is open.
    workers: that share what the configuration allows all.
    resign: new signatures for mail of our own people that was converted, at a time (Unix seconds).
    """

    wheel: Wheel
    event: Event
    clock: Clock
    random: Callable[[], float]
    dns: Dns | None = None
    hosts: Callable[[str], Awaitable[tuple[str, ...]]] = this_machine
    security: TransportSecurity | None = None
    passwords: Mapping[str, str] = field(default_factory=dict)
    listening: tuple[tuple[str, int], ...] = ()
    authorities: str | None = None
    idle: float = 10.0
    srs: Srs | None = None
    tags: Tagging | None = None
    suppressions: Suppressions | None = None
    flights: FlightRecorder | None = None
    workers: int = 1
    resign: Callable[[Content, float], Awaitable[Content]] | None = None


class Candidate(Struct, frozen=True):
    """One address to try."""

    server: Server
    address: str
    requirement: TlsRequirement


class Dialer:
    """Opens connections for nexthops."""

    def __init__(self, means: Means, config: Config, pool: Pool) -> None:
        self._means = means
        self._pool = pool
        self._ip = config.relay.ip
        self._us = Ourselves(config.server.hostname, means.listening)
        self._fixed = OpportunisticTls(means.authorities)
        self._security: TransportSecurity = means.security or self._fixed
        self._connector = Connector(means.wheel, means.clock)

    async def open(
        self, hop: Nexthop, origin: Origin, need: str, avoid: frozenset[str] = _NONE
    ) -> Connection | Unopened:
        """A session that is ready for mail. need: "required" (REQUIRETLS), "optional" (TLS-Required: No) or "".

        avoid: addresses that are not tried.
        """
        failure: Unopened | None = None
        tries = 0
        try:
            async for candidate in self._candidates(hop, need):
                if avoid and isinstance(candidate, Candidate) and candidate.address in avoid:
                    continue
                result = candidate if isinstance(candidate, Unopened) else await self._try(hop, origin, need, candidate)
                if isinstance(result, Connection):
                    return result
                if failure is None or failure.reply.code >= 500 or result.reply.code < 500:
                    failure = result
                tries += not isinstance(candidate, Unopened)
                if tries >= MOST_TRIES:
                    break
        except Unroutable as fault:
            return failure or Unopened(fault.reply)
        return failure or _unopened(451, "4.4.4", f"{hop.place} has no address that can be used")

    # whom to try

    async def _candidates(self, hop: Nexthop, need: str) -> AsyncIterator[Candidate | Unopened]:
        """Addresses in order, and what stands against one that cannot be tried. Raises Unroutable."""
        means = self._means
        if hop.host:
            server = Server(hop.host)
            requirement = _demanded(_configured(hop), need)
            for address in await self._look_up(hop):
                yield Candidate(server, address, requirement)
            return
        if means.dns is None:
            raise Unroutable(451, "4.4.4", f"no route to {hop.domain}: no DNS server is configured (server.dns)")
        found = await mx.servers(means.dns, hop.domain, means.random)
        for server in mx.before_us(found, self._us, hop.domain):
            requirement = await self._requirement(hop, server, need)
            if requirement.refused:
                self._refused(hop, server, requirement)
                if not requirement.testing or need == "required":
                    yield _unopened(*_refusal(need), f"{server.host} must not be used: {requirement.refused}")
                    continue
                requirement = _NO_DEMANDS
            try:
                addresses = await mx.addresses(means.dns, server, self._ip)
            except Unroutable as fault:
                yield Unopened(fault.reply)
                continue
            for address in addresses:
                if self._us.listen_at(address, hop.port):
                    raise mx.loops(hop.domain)
                yield Candidate(server, address, requirement)

    async def _requirement(self, hop: Nexthop, server: Server, need: str) -> TlsRequirement:
        if hop.tls is not OutgoingTls.OPPORTUNISTIC:
            return _demanded(_configured(hop), need)
        if need == "optional":  # RFC 8689 4.2.2: policies of the domain do not count
            return TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason=NO_TLS_REQUIRED)
        found = await self._security.requirement(hop.domain, server.host, secure=server.secure, port=hop.port)
        return _demanded(found, need) if need else found

    def _refused(self, hop: Nexthop, server: Server, why: TlsRequirement) -> None:
        self._security.told(
            TlsResult(
                domain=hop.domain,
                host=server.host,
                address="",
                requirement=why,
                kind="refused",
                failure=why.failure,
                detail=why.refused,
            )
        )

    async def _look_up(self, hop: Nexthop) -> list[str]:
        """Addresses of a configured host, those of the preferred family first. Raises Unroutable."""
        try:
            found = await self._means.hosts(hop.host)
        except (NoSuchName, DnsUnavailable) as fault:
            raise Unroutable(451, "4.4.3", f"{hop.host} cannot be found: {fault}") from None
        if self._ip in ("ipv4", "ipv6"):
            return [address for address in found if (":" in address) == (self._ip == "ipv6")]
        return sorted(found, key=lambda address: (":" in address) != (self._ip == "prefer_ipv6"))

    # one try

    async def _try(self, hop: Nexthop, origin: Origin, need: str, one: Candidate) -> Connection | Unopened:
        source = origin.address_for(one.address)
        if source is None:
            return _unopened(451, "4.4.4", f"{one.address} cannot be reached from {origin.ipv4 or origin.ipv6}")
        wanted = one.requirement
        made = await self._attempt(hop, origin, source, one)
        if isinstance(made, TlsFailed) and wanted.level is TlsLevel.OPPORTUNISTIC:
            self._told(hop, one, "fallback", made)
            made = await self._attempt(hop, origin, source, one, plain=True)
        elif isinstance(made, TlsFailed) and wanted.testing:  # RFC 8461 5: as if there were no policy
            self._told(hop, one, made.kind, made)
            return await self._try(hop, origin, need, Candidate(one.server, one.address, _NO_DEMANDS))
        elif isinstance(made, Connection) and made.messages == 0:
            self._told(hop, one, "" if made.tls else "starttls-not-supported", made)
        if isinstance(made, TlsFailed):
            self._told(hop, one, made.kind, made)
            return made.unopened if need != "required" else _unopened(*_refusal(need), made.unopened.reply.text)
        return self._fit(made, need) if isinstance(made, Connection) else made

    async def _attempt(
        self, hop: Nexthop, origin: Origin, source: str, one: Candidate, *, plain: bool = False
    ) -> Connection | Unopened | TlsFailed:
        """A session with this server, an idle one if there is. plain: without TLS."""
        wanted = one.requirement
        plain = plain or wanted.level is TlsLevel.NONE
        endpoint = Endpoint(
            one.server.host,
            one.address,
            hop.port,
            int(wanted.level),
            source,
            hop.login,
            proof=(*wanted.names, *wanted.records),
            policy=wanted.applied.shown,
        )
        known = self._pool.for_endpoint(endpoint)
        if known is not None:
            return known
        tls = None if plain else self._source(hop, one)
        made = await self._connector.open(hop, origin.hostname, endpoint, tls, wanted.level)
        if isinstance(made, TlsFailed) and wanted.level >= TlsLevel.ENCRYPT and hop.tls is OutgoingTls.OPPORTUNISTIC:
            return structs.replace(made, unopened=_demanded_by(hop, one, made))
        return made

    def _fit(self, connection: Connection, need: str) -> Connection | Unopened:
        """RFC 8689 4.2.1: the server must promise to go on like this."""
        if need == "required" and not (connection.tls and "REQUIRETLS" in connection.capabilities):
            connection.close()
            host = connection.endpoint.host
            return _unopened(
                550, "5.7.30", f"The sender demands TLS all the way (REQUIRETLS), {host} cannot promise it"
            )
        return connection

    def _source(self, hop: Nexthop, one: Candidate) -> TlsSource:
        name = one.address if one.server.host.startswith("[") else one.server.host
        ask = self._fixed if hop.host else self._security
        return ask.source(one.requirement, name)

    def _told(self, hop: Nexthop, one: Candidate, kind: str, made: Connection | TlsFailed) -> None:
        """For reports. What fails without a policy is told too; mail that goes on as without one is told of once."""
        if hop.host or one.requirement is _NO_DEMANDS or one.requirement.level is TlsLevel.NONE:
            return
        self._security.told(
            TlsResult(
                domain=hop.domain,
                host=one.server.host,
                address=one.address,
                requirement=one.requirement,
                kind=kind,
                failure=made.failure if isinstance(made, TlsFailed) else kind,
                detail=made.detail if isinstance(made, TlsFailed) else "",
                version="" if isinstance(made, TlsFailed) else made.tls,
                source=made.local,
            )
        )


def _unopened(code: int, enhanced: str, text: str) -> Unopened:
    return Unopened(Reply(code, enhanced, text, local=True))


def _refusal(need: str) -> tuple[int, str]:
    """RFC 8689 4.2.1: mail that demands TLS is sent back at once; other mail waits for better times."""
    return (550, "5.7.10") if need == "required" else (451, "4.7.5")


def _configured(hop: Nexthop) -> TlsRequirement:
    """What the administrator wrote."""
    level = {OutgoingTls.NONE: TlsLevel.NONE, OutgoingTls.OPPORTUNISTIC: TlsLevel.OPPORTUNISTIC}.get(hop.tls)
    if level is None:
        level = TlsLevel.VERIFY if hop.verify else TlsLevel.ENCRYPT
    return TlsRequirement(level=level, reason="the configuration", vouched=bool(hop.host))


def _demanded_by(hop: Nexthop, one: Candidate, made: TlsFailed) -> Unopened:
    """Why mail stays here although there is a server, in words: the domain wants it so."""
    host, wanted = one.server.host, one.requirement
    whose = "the sender" if wanted.reason == _REQUIRETLS else hop.place
    why = wanted.applied.shown or wanted.reason
    if made.kind == "handshake":
        text = f"The TLS handshake with {host} [{one.address}] failed: {made.detail}; {whose} demands TLS ({why})"
        return _unopened(454, "4.7.5", text)
    return _unopened(454, "4.7.4", f"{host} offers no TLS, but {whose} demands it ({why}): not sent in the clear")


def _demanded(found: TlsRequirement, need: str) -> TlsRequirement:
    """RFC 8689 2: what REQUIRETLS adds to it."""
    if need != "required" or found.level >= TlsLevel.VERIFY or found.refused:
        return structs.replace(found, testing=False) if need == "required" and found.testing else found
    refused = "" if found.vouched else "neither DNSSEC nor MTA-STS vouches for its name (REQUIRETLS)"
    return TlsRequirement(level=TlsLevel.VERIFY, reason=_REQUIRETLS, refused=refused, vouched=found.vouched)
