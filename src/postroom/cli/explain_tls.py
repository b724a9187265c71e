"""What `postroom explain tls` finds out: which protection each server of a domain would have to give.

Owns: nothing; asks what the relay asks, with a memory of its own, so that a policy is fetched anew.
Standards: RFC 7672 2.2, RFC 8461 3, 5. On failure: DnsProblem and Unroutable become a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from postroom.relay import mx
from postroom.relay.mta_sts import MtaSts, StsMeans
from postroom.relay.mx import Server, Unroutable
from postroom.relay.protection import Protection, StrictTls
from postroom.relay.tls_policy import TlsLevel, TlsRequirement
from postroom.store.memory import MemoryStore
from postroom.values.clock import SystemClock
from postroom.values.dns import Dns, DnsUnavailable, RecordType


@dataclass(slots=True)
class Findings:
    """domain: whose; steps: in words, in order; servers: for programs, one for each server."""

    domain: str
    steps: list[str] = field(default_factory=list)
    servers: list[dict[str, Any]] = field(default_factory=list)


async def explain_tls(dns: Dns, domain: str, *, offline: bool) -> Findings:
    """Ask for every server. offline: no policy is fetched."""
    found = Findings(domain)
    try:
        servers = await mx.servers(dns, domain, lambda: 0.0)
    except Unroutable as fault:
        found.steps.append(str(fault))
        return found
    found.steps.append(_named(domain, servers))
    strict = StrictTls()
    policies = MtaSts(
        StsMeans(
            dns=dns,
            hosts=_nobody if offline else lambda host: _addresses(dns, host),
            store=MemoryStore().transport,
            clock=SystemClock(),
            event=lambda name, /, **fields: None,
            tls=strict,
        )
    )
    protection = Protection(dns, SystemClock(), policies, strict=strict)
    policy, trouble = await policies.policy(domain)
    if policy is not None:
        found.steps.append(
            f"MTA-STS: mode {policy.mode}, for {', '.join(policy.mx) or 'no server'}, {policy.max_age} seconds long."
        )
    else:
        found.steps.append(f"MTA-STS: {trouble}; mail goes on without." if trouble else "MTA-STS: no policy.")
    for server in servers:
        demand = await protection.requirement(domain, server.host, secure=server.secure)
        found.steps.append(f"{server.host}: {_words(demand)}")
        found.servers.append(
            {
                "host": server.host,
                "preference": server.preference,
                "dnssec": server.secure,
                "level": demand.level.name.lower(),
                "reason": demand.reason,
                "refused": demand.refused,
                "testing": demand.testing,
                "policy": list(demand.applied.texts),
            }
        )
    return found


def _named(domain: str, servers: tuple[Server, ...]) -> str:
    names = ", ".join(f"{server.host} ({server.preference})" for server in servers)
    if servers[0].secure:
        return f"Servers of {domain}: {names}. DNSSEC vouches for them, so DANE may apply."
    return f"Servers of {domain}: {names}. No DNSSEC that the resolver vouches for, so DANE does not apply."


async def _addresses(dns: Dns, host: str) -> tuple[str, ...]:
    found: list[str] = []
    for kind in (RecordType.A, RecordType.AAAA):
        found += (await dns.lookup(host, kind)).records
    return tuple(found)


async def _nobody(host: str) -> tuple[str, ...]:
    raise DnsUnavailable("with zone data nothing is fetched")


def _words(demand: TlsRequirement) -> str:
    """One server's demand for people."""
    if demand.refused:
        return f"{'would not be used' if demand.testing else 'is not used'}: {demand.refused}."
    if demand.level is TlsLevel.DANE:
        return f"TLS with a certificate that fits one of {'; '.join(demand.applied.texts)} (DANE), or no mail."
    if demand.level is TlsLevel.VERIFY and demand.testing:
        return "a certificate for its name is hoped for, failures are only reported (MTA-STS, testing)."
    if demand.level is TlsLevel.VERIFY:
        return "TLS with a certificate for its name from a known authority, or no mail (MTA-STS)."
    if demand.level is TlsLevel.ENCRYPT:
        return "TLS with any certificate, or no mail: it has TLSA records, but none that can be used (DANE)."
    return "TLS when it offers it, with any certificate; otherwise in the clear."
