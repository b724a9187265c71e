"""Making a connection: the servers of a route one after the other, until one is ready for mail.

Owns: the order of tries and what each failure means. Trusts: nothing of servers and DNS; TLS is what
`tls_policy.TransportSecurity` demands.
Standards: RFC 5321 5.1 (several servers and addresses), RFC 7435 4 (in the clear only when nothing demands TLS),
RFC 8689 4.2 (REQUIRETLS).
On failure: Unopened; its reply is 5yz only when no later try can help.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from postroom.config import Config, OutgoingTls
from postroom.identity.srs import Srs
from postroom.net.link import Link, LinkOptions, TlsSource
from postroom.net.resolver import this_machine
from postroom.net.wheel import Wheel
from postroom.relay import mx
from postroom.relay.connection import Connection, Endpoint
from postroom.relay.flight import FlightRecorder
from postroom.relay.mx import Ourselves, Server, Unroutable
from postroom.relay.pool import Pool
from postroom.relay.routes import Nexthop
from postroom.relay.sources import Origin
from postroom.relay.tls_policy import OpportunisticTls, TlsLevel, TlsRequirement, TlsResult, TransportSecurity
from postroom.store.api import Suppression
from postroom.values.clock import Clock
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName
from postroom.wire.smtp.client import ClientSession
from postroom.wire.smtp.client_types import ClientOptions, Failed, Reply

_CONNECT = 30.0  # seconds for the connection to stand; others are waiting to be tried
#: addresses tried before the mail waits for the next time (RFC 5321 5.1: at least two)
MOST_TRIES = 5


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
    suppressions: takes addresses that their servers call unknown. flights: remembers over a crash what is open.
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
    suppressions: Suppressions | None = None
    flights: FlightRecorder | None = None


class Unopened(Struct, frozen=True):
    """No server is ready. host: whose reply it is, "" for our own."""

    reply: Reply
    host: str = ""


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

    async def open(self, hop: Nexthop, origin: Origin, need: str) -> Connection | Unopened:
        """A session that is ready for mail. need: "required" (REQUIRETLS), "optional" (TLS-Required: No) or ""."""
        failure: Unopened | None = None
        tries = 0
        try:
            async for candidate in self._candidates(hop, need):
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
                yield _unopened(*_refusal(need), f"{server.host} must not be used: {requirement.refused}")
                continue
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
            return TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason="TLS-Required: No")
        found = await self._security.requirement(hop.domain, server.host, secure=server.secure)
        return _demanded(found, need) if need else found

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
        level = one.requirement.level
        endpoint = Endpoint(one.server.host, one.address, hop.port, int(level), source, hop.login)
        known = self._pool.for_endpoint(endpoint)
        if known is not None:
            return self._fit(known, need)
        made = await self._connect(hop, origin, one, endpoint, plain=level is TlsLevel.NONE)
        if isinstance(made, _TlsFailed) and level is TlsLevel.OPPORTUNISTIC:
            self._told(hop, one, "fallback", made.detail)
            made = await self._connect(hop, origin, one, endpoint, plain=True)
        if isinstance(made, _TlsFailed):
            self._told(hop, one, made.kind, made.detail)
            return made.unopened if need != "required" else _unopened(*_refusal(need), made.unopened.reply.text)
        if isinstance(made, Unopened):
            return made
        if made.tls:
            self._told(hop, one, "", "", made.tls)
        elif level is TlsLevel.OPPORTUNISTIC:
            self._told(hop, one, "starttls-not-supported", "")
        return self._fit(made, need)

    def _fit(self, connection: Connection, need: str) -> Connection | Unopened:
        """RFC 8689 4.2.1: the server must promise to go on like this."""
        if need == "required" and not (connection.tls and "REQUIRETLS" in connection.capabilities):
            connection.close()
            host = connection.endpoint.host
            return _unopened(
                550, "5.7.30", f"The sender demands TLS all the way (REQUIRETLS), {host} cannot promise it"
            )
        return connection

    async def _connect(
        self, hop: Nexthop, origin: Origin, one: Candidate, endpoint: Endpoint, *, plain: bool
    ) -> Connection | Unopened | _TlsFailed:
        """One connection up to where mail can be sent."""
        implicit = hop.tls is OutgoingTls.IMPLICIT
        tls = None if plain else self._source(hop, one)
        starttls = "never" if plain or implicit else "offered"
        if starttls == "offered" and one.requirement.level >= TlsLevel.ENCRYPT:
            starttls = "required"
        options = ClientOptions(
            hostname=origin.hostname,
            starttls=starttls,  # type: ignore[arg-type]
            login=hop.login,
            password=hop.password,
            plaintext_auth=hop.tls in (OutgoingTls.NONE, OutgoingTls.OPPORTUNISTIC),
        )
        session = ClientSession(options, secure=implicit)
        made: list[Connection] = []
        born = self._means.clock.monotonic()

        def driver(link: Link) -> Connection:
            made.append(Connection(link, session, endpoint, born))
            return made[0]

        try:
            await self._link(driver, endpoint, tls, implicit=implicit)
        except TimeoutError:
            return self._unreachable(hop, endpoint, "does not answer")
        except ssl.SSLError as fault:
            return _TlsFailed("handshake", str(fault), _tls_unopened(endpoint, str(fault)))
        except OSError as fault:
            return self._unreachable(hop, endpoint, f"cannot be reached: {_words(fault)}")
        return await self._greeted(made[0], endpoint)

    async def _greeted(self, connection: Connection, endpoint: Endpoint) -> Connection | Unopened | _TlsFailed:
        """Wait for the greetings to be over."""
        try:
            failed = await connection.opened()
        except BaseException:
            connection.abort()
            raise
        if failed is None:
            return connection
        connection.close()
        if connection.handshake_failed:
            detail = connection.handshake_failed
            return _TlsFailed("handshake", detail, _tls_unopened(endpoint, detail))
        unopened = Unopened(failed.reply, "" if failed.reply.local else endpoint.host)
        if _for_want_of_tls(failed):
            return _TlsFailed("starttls-not-supported", failed.reply.text, unopened)
        return unopened

    async def _link(
        self, driver: Callable[[Link], Connection], endpoint: Endpoint, tls: TlsSource | None, *, implicit: bool
    ) -> None:
        """The connection, with its handshake when that comes first."""
        options = LinkOptions(wheel=self._means.wheel, tls=tls)
        now = tls if implicit else None
        async with asyncio.timeout(_CONNECT):
            await asyncio.get_running_loop().create_connection(
                lambda: Link(driver, options),
                endpoint.address,
                endpoint.port,
                local_addr=(endpoint.source, 0) if endpoint.source else None,
                ssl=now.context() if now else None,
                server_hostname=now.server_name if now else None,
            )

    def _source(self, hop: Nexthop, one: Candidate) -> TlsSource:
        name = one.address if one.server.host.startswith("[") else one.server.host
        ask = self._fixed if hop.host else self._security
        return ask.source(one.requirement, name)

    def _unreachable(self, hop: Nexthop, endpoint: Endpoint, what: str) -> Unopened:
        shown = endpoint.host
        if not hop.host or endpoint.host.strip("[]") != endpoint.address:
            shown = f"{endpoint.host} [{endpoint.address}]"
        return _unopened(451, "4.4.1", f"{shown} port {endpoint.port} {what}")

    def _told(self, hop: Nexthop, one: Candidate, kind: str, detail: str, version: str = "") -> None:
        if not hop.host:
            self._security.told(
                TlsResult(
                    domain=hop.domain,
                    host=one.server.host,
                    address=one.address,
                    requirement=one.requirement,
                    kind=kind,
                    detail=detail,
                    version=version,
                )
            )


class _TlsFailed(Struct, frozen=True):
    """The connection failed because of TLS. kind: as TlsResult."""

    kind: str
    detail: str
    unopened: Unopened


def _unopened(code: int, enhanced: str, text: str) -> Unopened:
    return Unopened(Reply(code, enhanced, text, local=True))


def _tls_unopened(endpoint: Endpoint, detail: str) -> Unopened:
    return _unopened(454, "4.7.5", f"The TLS handshake with {endpoint.host} [{endpoint.address}] failed: {detail}")


def _refusal(need: str) -> tuple[int, str]:
    """RFC 8689 4.2.1: mail that demands TLS is sent back at once; other mail waits for better times."""
    return (550, "5.7.10") if need == "required" else (451, "4.7.5")


def _for_want_of_tls(failed: Failed) -> bool:
    return failed.stage == "STARTTLS" or (failed.reply.local and failed.reply.enhanced == "4.7.4")


def _configured(hop: Nexthop) -> TlsRequirement:
    """What the administrator wrote."""
    level = {OutgoingTls.NONE: TlsLevel.NONE, OutgoingTls.OPPORTUNISTIC: TlsLevel.OPPORTUNISTIC}.get(hop.tls)
    if level is None:
        level = TlsLevel.VERIFY if hop.verify else TlsLevel.ENCRYPT
    return TlsRequirement(level=level, reason="the configuration", vouched=bool(hop.host))


def _demanded(found: TlsRequirement, need: str) -> TlsRequirement:
    """RFC 8689 2: what REQUIRETLS adds to it."""
    if need != "required" or found.level >= TlsLevel.VERIFY or found.refused:
        return found
    refused = "" if found.vouched else "neither DNSSEC nor MTA-STS vouches for its name (REQUIRETLS)"
    return TlsRequirement(level=TlsLevel.VERIFY, reason="REQUIRETLS", refused=refused, vouched=found.vouched)


def _words(fault: OSError) -> str:
    return os.strerror(fault.errno) if fault.errno else str(fault)  # asyncio words it otherwise than uvloop
