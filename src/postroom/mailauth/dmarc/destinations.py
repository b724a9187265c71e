"""Where aggregate reports about a domain may go.

Trust: rua is the domain owner's word, and may name a victim. A destination in another organisation counts only if it
says itself that it wants reports about this domain.
Standards: RFC 9990 3.5 (URIs in order, malformed ones ignored), 4 (external destinations); RFC 9989 4.10.2.
On failure: DnsUnavailable passes through: ask again later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom.mailauth.dmarc.record import is_policy_record, mailto, parse_policy_record
from postroom.mailauth.dmarc.walk import TreeWalk
from postroom.mailauth.names import a_labels, shown, well_formed
from postroom.values.dns import Dns, NoSuchName, RecordType

#: destinations of one domain that get a report
MOST: Final = 5


@dataclass(frozen=True, slots=True)
class Destinations:
    """addresses: where reports go; refused: what rua names beside them, and why it gets nothing."""

    addresses: tuple[str, ...]
    refused: tuple[str, ...] = ()


async def destinations(dns: Dns, domain: str, uris: Sequence[str]) -> Destinations:
    """domain: where the record is; uris: its rua. Raises DnsUnavailable."""
    walk = TreeWalk(dns)
    found: list[str] = []
    refused: list[str] = []
    for uri in uris:
        address = mailto(uri)
        host = a_labels(address.rpartition("@")[2])
        if not host or len(found) >= MOST:
            refused.append(f"{shown(uri, 100)}: {'there are enough' if host else 'only mailto: is known here'}")
            continue
        allowed = await _allowed(walk, dns, (domain, host), address)
        found += [one for one in allowed if one not in found]
        if not allowed:
            refused.append(f"{shown(uri, 100)}: {host} does not say that it wants reports about {domain}")
    return Destinations(tuple(found[:MOST]), tuple(refused))


async def _allowed(walk: TreeWalk, dns: Dns, names: tuple[str, str], address: str) -> list[str]:
    """The address, or those that its host wants instead; none when the host does not want reports."""
    domain, host = names
    if host == domain or await walk.organization(domain) == await walk.organization(host):
        return [address]
    asked = f"{domain}._report._dmarc.{host}"
    if not well_formed(asked):  # RFC 9990 4, step 4
        return []
    try:
        texts = (await dns.lookup(asked, RecordType.TXT)).records
    except NoSuchName:
        return []
    records = [text for text in texts if isinstance(text, bytes) and is_policy_record(text)]
    if not records:
        return []
    for text in records:
        record = parse_policy_record(text)
        instead = [mailto(uri) for uri in record.aggregate] if record is not None else []
        if instead:  # RFC 9990 4, step 9: only at the same host, else nobody gets anything
            same = [one for one in instead if a_labels(one.rpartition("@")[2]) == host]
            return same if len(same) == len(instead) else []
    return [address]
