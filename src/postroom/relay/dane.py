"""DANE for SMTP: which TLSA records bind a server of a domain.

Owns: nothing; each answer comes from the DNS, whose cache remembers it. Trusts: answers with the AD bit of a resolver
that may be trusted with it (`Lookup.secure`), and no others.
Standards: RFC 7672 2.2 (when DANE applies, and to which name), 2.1.3 (what a failed lookup means), 3.2.2 (names).
On failure: DnsUnavailable; then mail must not go to that server at all, because somebody who can stop an answer could
else take the protection away.
"""

from __future__ import annotations

from msgspec import Struct

from postroom.net.tlsa import Tlsa, usable
from postroom.values.dns import Dns, DnsUnavailable, Lookup, NoSuchName, RecordType

#: CNAMEs that are followed from a server's name
_HOPS = 8


class Dane(Struct, frozen=True):
    """What DNSSEC says about a server's TLS.

    base: the name the records stand at, without port and protocol, which is also said in SNI; records: those that can
    be used; without any, TLS is a must with any certificate. texts: all records as they are published.
    """

    base: str
    records: tuple[Tlsa, ...]
    texts: tuple[str, ...]


async def find(dns: Dns, host: str, port: int) -> Dane | None:
    """The records of a server whose name DNSSEC vouches for; None when DANE does not apply to it.

    Raises DnsUnavailable.
    """
    for base in await _bases(dns, host):
        answer = await _records(dns, f"_{port}._tcp.{base}", RecordType.TLSA)
        if answer.records and answer.secure:
            return Dane(base, usable(answer.records), tuple(_text(each) for each in answer.records))
    return None


async def _bases(dns: Dns, host: str) -> tuple[str, ...]:
    """RFC 7672 2.2.2: names whose records count, best first.

    Where the addresses are not secure, nothing is asked (name servers of such zones often fail on TLSA), except for an
    alias that is secure itself.
    """
    if await _has_secure_addresses(dns, host):
        target = await _target(dns, host)
        return (target, host) if target != host else (host,)
    alias = await _records(dns, host, RecordType.CNAME)
    return (host,) if alias.records and alias.secure else ()


async def _has_secure_addresses(dns: Dns, host: str) -> bool:
    late: DnsUnavailable | None = None
    found = False
    for kind in (RecordType.A, RecordType.AAAA):
        try:
            answer = await _records(dns, host, kind)
        except DnsUnavailable as fault:
            late = fault
        else:
            if answer.records and answer.secure:
                return True
            found = found or bool(answer.records)
    if late is not None and not found:
        raise late
    return False


async def _target(dns: Dns, host: str) -> str:
    """Where the aliases of a name end."""
    at = host
    for _ in range(_HOPS):
        alias = await _records(dns, at, RecordType.CNAME)
        if not alias.records:
            return at
        at = alias.records[0]
    return host


async def _records(dns: Dns, name: str, kind: RecordType) -> Lookup:
    try:
        return await dns.lookup(name, kind)
    except NoSuchName:
        return Lookup(())


def _text(record: Tlsa) -> str:
    usage, selector, matching, data = record
    return f"{usage} {selector} {matching} {data.hex()}"
