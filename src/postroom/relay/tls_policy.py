"""How a connection to a server has to be protected, and what came of it.

Owns: the seam. The relay asks a `TransportSecurity` before each connection and tells it the result after; what is
here knows opportunistic TLS only and remembers which domains once had more (RFC 7435 3).
Trusts: the domain's own statements as the policy sources verified them.
Standards: RFC 7435 (opportunistic security), RFC 3207 4.1; RFC 7672, RFC 8461 and RFC 8689 plug in here.
On failure: nothing raises; a host that must not be used has a `refused` text.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from enum import IntEnum
from typing import Protocol

from msgspec import Struct

from postroom.net.link import TlsSource
from postroom.net.tls import ClientTls, client_context


class TlsLevel(IntEnum):
    """What a connection must have at least; more is stronger."""

    NONE = 0  # no TLS, also when it is offered
    OPPORTUNISTIC = 1  # TLS when offered, with any certificate; in the clear when it fails
    ENCRYPT = 2  # TLS with any certificate, or no mail
    VERIFY = 3  # TLS with a certificate of `names` from a known authority, or no mail
    DANE = 4  # TLS with a certificate that fits one of `records`, or no mail


class TlsRequirement(Struct, frozen=True, kw_only=True):
    """What one server needs for one domain.

    names: acceptable in the certificate (VERIFY); records: TLSA as (usage, selector, matching type, data) (DANE).
    reason: where this comes from, for people and reports ("MTA-STS policy of example.org").
    refused: why this host must not be used at all ("not named in the MTA-STS policy"), "" when it may.
    vouched: the name of the host itself is proven, by DNSSEC or MTA-STS (RFC 8689 2).
    """

    level: TlsLevel
    names: tuple[str, ...] = ()
    records: tuple[tuple[int, int, int, bytes], ...] = ()
    reason: str = ""
    refused: str = ""
    vouched: bool = False


class TlsResult(Struct, frozen=True, kw_only=True):
    """What came of one connection, for reports (RFC 8460 4.3).

    kind: "" when all was well, else "starttls-not-supported", "handshake", "refused" or "fallback" (in the clear
    after a handshake that failed); detail: the fault in words; version: such as "TLSv1.3", "" in the clear.
    """

    domain: str
    host: str
    address: str
    requirement: TlsRequirement
    kind: str = ""
    detail: str = ""
    version: str = ""


class TransportSecurity(Protocol):
    """What the relay asks and tells about the protection of connections by MX."""

    async def requirement(self, domain: str, host: str, *, secure: bool) -> TlsRequirement:
        """What a server of a domain needs. secure: DNSSEC vouches for the MX record that named it."""
        ...

    def source(self, requirement: TlsRequirement, host: str) -> TlsSource:
        """Contexts for handshakes with that host, which check what the requirement says."""
        ...

    def told(self, result: TlsResult) -> None:
        """A connection was made, or could not be made, because of TLS."""
        ...


class OpportunisticTls:
    """TLS where it is offered. authorities: PEM file for VERIFY, None for the system's."""

    def __init__(self, authorities: str | None = None) -> None:
        self._authorities = authorities
        self._contexts: dict[bool, ssl.SSLContext] = {}

    async def requirement(self, domain: str, host: str, *, secure: bool) -> TlsRequirement:
        """See TransportSecurity."""
        return TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason="no policy", vouched=secure)

    def source(self, requirement: TlsRequirement, host: str) -> TlsSource:
        """See TransportSecurity."""
        verify = requirement.level is TlsLevel.VERIFY
        context = self._contexts.get(verify)
        if context is None:
            context = self._contexts[verify] = client_context(verify, self._authorities)
        return ClientTls(context, host)

    def told(self, result: TlsResult) -> None:
        """See TransportSecurity."""


class NeverWeaker:
    """Another TransportSecurity, but a domain that once demanded TLS is never sent mail in the clear again.

    Remembers `most` domains, the oldest go first. In memory: a policy source that survives restarts keeps its own.
    """

    def __init__(self, inner: TransportSecurity, most: int = 100_000) -> None:
        self._inner = inner
        self._most = most
        self._demanded: OrderedDict[str, str] = OrderedDict()  # domain -> why

    async def requirement(self, domain: str, host: str, *, secure: bool) -> TlsRequirement:
        """See TransportSecurity."""
        now = await self._inner.requirement(domain, host, secure=secure)
        if now.level >= TlsLevel.ENCRYPT:
            self._remember(domain, now.reason)
        elif domain in self._demanded:
            reason = f"{domain} has demanded TLS before ({self._demanded[domain]})"
            return TlsRequirement(level=TlsLevel.ENCRYPT, reason=reason, vouched=now.vouched, refused=now.refused)
        return now

    def _remember(self, domain: str, reason: str) -> None:
        self._demanded[domain] = reason
        self._demanded.move_to_end(domain)
        if len(self._demanded) > self._most:
            self._demanded.popitem(last=False)

    def source(self, requirement: TlsRequirement, host: str) -> TlsSource:
        """See TransportSecurity."""
        return self._inner.source(requirement, host)

    def told(self, result: TlsResult) -> None:
        """See TransportSecurity."""
        self._inner.told(result)
