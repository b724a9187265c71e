"""What each server of a domain must prove, out of DANE and MTA-STS.

Owns: TLS contexts. Trusts: DNSSEC for DANE, the web's authorities for MTA-STS.
Standards: RFC 7672 2.1, 2.2; RFC 8461 2 (DANE goes before MTA-STS), 5; RFC 7435 4 (otherwise TLS when it is offered).
On failure: a server whose DANE records cannot be looked up must not be used for now.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from postroom.net.link import TlsSource
from postroom.net.tls import ClientTls, client_context
from postroom.net.tlsa import verify
from postroom.relay import dane
from postroom.relay.tls_policy import Applied, OpportunisticTls, TlsLevel, TlsRequirement, TlsResult
from postroom.values.clock import Clock
from postroom.values.dns import Dns, DnsUnavailable

_NONE = TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason="no policy")


class StrictTls:
    """A context that checks certificates by their alternative names alone (RFC 8461 3.3, 4.1), made at first use.

    The authorities take 10 ms and 5 MB to load.
    """

    def __init__(self, authorities: str | None = None) -> None:
        self._authorities = authorities
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        """The context."""
        if self._context is None:
            self._context = client_context(True, self._authorities)
            self._context.hostname_checks_common_name = False
        return self._context


class Policies(Protocol):
    """Who knows the MTA-STS policies of domains."""

    async def requirement(self, domain: str, host: str) -> TlsRequirement:
        """What the domain's policy says about that server; OPPORTUNISTIC without one."""
        ...


class Protection:
    """The relay's TransportSecurity. told: hears of each result, for reports."""

    def __init__(
        self,
        dns: Dns,
        clock: Clock,
        policies: Policies | None = None,
        *,
        authorities: str | None = None,
        strict: Callable[[], ssl.SSLContext] | None = None,
        told: Callable[[TlsResult], None] | None = None,
    ) -> None:
        """authorities: PEM file of authorities instead of the system's; strict: gives the context for MTA-STS."""
        self._dns = dns
        self._clock = clock
        self._policies = policies
        self._plain = OpportunisticTls(authorities)
        self._told = told
        self._strict = strict or StrictTls(authorities)
        self._unverified: ssl.SSLContext | None = None

    async def requirement(self, domain: str, host: str, *, secure: bool, port: int = 25) -> TlsRequirement:
        """See TransportSecurity."""
        found = await self._dane(domain, host, port) if secure else None
        if found is not None and found.level is not TlsLevel.ENCRYPT:
            return found
        policy = await self._policies.requirement(domain, host) if self._policies is not None else _NONE
        if found is not None and (policy.level < TlsLevel.VERIFY or policy.testing):
            return found
        if not secure:
            return policy
        nothing = policy.level < TlsLevel.ENCRYPT and not policy.troubles
        return replace(policy, vouched=True, released=policy.released or nothing)

    async def _dane(self, domain: str, host: str, port: int) -> TlsRequirement | None:
        try:
            found = await dane.find(self._dns, host, port)
        except DnsUnavailable as fault:
            return TlsRequirement(
                level=TlsLevel.DANE,
                reason=f"DANE records of {host}",
                refused=f"its DANE records cannot be looked up, so it cannot be trusted ({fault})",
                failure="dnssec-invalid",
                vouched=True,
                applied=Applied("tlsa", host),
            )
        if found is None:
            return None
        applied = Applied("tlsa", found.base, found.texts, (host,))
        names = tuple(dict.fromkeys((found.base, host, domain)))
        return TlsRequirement(
            level=TlsLevel.DANE if found.records else TlsLevel.ENCRYPT,
            names=names,
            records=found.records,
            reason=f"DANE records of {found.base}",
            vouched=True,
            applied=applied,
            troubles=() if found.records else (("tlsa-invalid", "none of the TLSA records can be used"),),
        )

    def source(self, requirement: TlsRequirement, host: str) -> TlsSource:
        """See TransportSecurity."""
        if requirement.level is TlsLevel.DANE:
            if self._unverified is None:
                self._unverified = client_context(False)
            names, records = requirement.names, requirement.records

            def examine(chain: tuple[bytes, ...]) -> None:
                verify(records, chain, names, self._clock.now())

            return ClientTls(self._unverified, names[0], examine)
        if requirement.applied.kind == "sts" and requirement.level is TlsLevel.VERIFY:
            return ClientTls(self._strict(), host)
        return self._plain.source(requirement, host)

    def told(self, result: TlsResult) -> None:
        """See TransportSecurity."""
        if self._told is not None:
            self._told(result)
