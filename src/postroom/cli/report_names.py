"""Who the addresses in reports are: our own, allowed by SPF, or known by their reverse names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from postroom.app.dmarc_view import Known
from postroom.config import Config
from postroom.mailauth import spf
from postroom.values.dns import Dns, DnsProblem, RecordType

#: addresses that are looked up, and seconds for all of them
MOST = 40
SECONDS = 6.0


def own_addresses(config: Config) -> set[str]:
    """Those that the configuration names."""
    named = {address for source in config.source for address in source.addresses}
    named.update(listener.address for listener in config.listener)
    found = set()
    for text in named:
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if not address.is_unspecified:
            found.add(str(address))
    return found


async def look_up(dns: Dns, config: Config, domain: str, addresses: Sequence[str]) -> Known:
    """Ask the DNS, for a few seconds at most; what is not known by then stays unknown."""
    names: dict[str, str] = {}
    allowed: dict[str, str] = {}
    own = own_addresses(config)
    tasks = [asyncio.ensure_future(_own(dns, config.server.hostname, own))]
    for ip in addresses[:MOST]:
        tasks.append(asyncio.ensure_future(_name(dns, ip, names)))
        tasks.append(asyncio.ensure_future(_allowed(dns, ip, domain, allowed)))
    _, late = await asyncio.wait(tasks, timeout=SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return Known(names=names, allowed=allowed, own=own)


async def _own(dns: Dns, hostname: str, found: set[str]) -> None:
    for kind in (RecordType.A, RecordType.AAAA):
        try:
            found.update(str(ip_address(text)) for text in (await dns.lookup(hostname, kind)).records)
        except DnsProblem:
            continue


async def _name(dns: Dns, ip: str, found: dict[str, str]) -> None:
    """A reverse name that leads back to the address; others can write what they like."""
    address = ip_address(ip)
    kind = RecordType.A if address.version == 4 else RecordType.AAAA
    try:
        for name in (await dns.lookup(address.reverse_pointer, RecordType.PTR)).records[:3]:
            back = (await dns.lookup(name, kind)).records
            if any(ip_address(text) == address for text in back):
                found[ip] = name
                return
    except DnsProblem:
        return


async def _allowed(dns: Dns, ip: str, domain: str, found: dict[str, str]) -> None:
    answer = await spf.check(dns, ip, domain, f"postmaster@{domain}", domain)
    if answer.result == "pass":
        found[ip] = answer.mechanism or "SPF"
