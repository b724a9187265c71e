"""The DNS tree walk of RFC 9989 4.10: from a name upwards, at most eight questions, to policies and organisations.

Ownership: a TreeWalk belongs to one message and asks for each name once.
Trust: names have up to 127 labels and records are a stranger's; eight questions a walk whatever they say.
On failure: DnsUnavailable passes through: nobody can tell where the organisation begins.
"""

from __future__ import annotations

from typing import Final

from postroom.mailauth.dmarc.record import PolicyRecord, is_policy_record, parse_policy_record
from postroom.mailauth.names import well_formed
from postroom.values.dns import Dns, NoSuchName, RecordType

#: RFC 9989 4.10, step 4: a longer name goes on with its last seven labels, so a walk asks eight times at most
LONGEST_WALK: Final = 8

Found = tuple[str, PolicyRecord]


def walked_names(domain: str) -> list[str]:
    """The names a walk asks for, in order, without "_dmarc."."""
    labels = domain.split(".")
    start = max(1, len(labels) - (LONGEST_WALK - 1))
    return [domain, *(".".join(labels[place:]) for place in range(start, len(labels)))]


class TreeWalk:
    """The walks for one message. asked: the names that were asked for, in order."""

    __slots__ = ("_dns", "_known", "asked")

    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._known: dict[str, PolicyRecord | None] = {}
        self.asked: list[str] = []

    async def record_at(self, domain: str) -> PolicyRecord | None:
        """The one record of exactly this domain; several are none (RFC 9989 4.10, step 2). Raises DnsUnavailable."""
        if domain in self._known:
            return self._known[domain]
        name = f"_dmarc.{domain}"
        texts: tuple[bytes, ...] = ()
        if well_formed(name):
            self.asked.append(name)
            try:
                texts = (await self._dns.lookup(name, RecordType.TXT)).records
            except NoSuchName:
                texts = ()
        found = [text for text in texts if is_policy_record(text)]
        record = parse_policy_record(found[0]) if len(found) == 1 else None
        self._known[domain] = record
        return record

    async def walk(self, domain: str) -> list[Found]:
        """The records from the longest name to the shortest, up to one with psd=y or psd=n. Raises DnsUnavailable."""
        found: list[Found] = []
        for name in walked_names(domain):
            record = await self.record_at(name)
            if record is not None:
                found.append((name, record))
                if record.suffix in {"y", "n"}:
                    break
        return found

    async def organization(self, domain: str) -> str:
        """The organisational domain (RFC 9989 4.10.2). Raises DnsUnavailable."""
        return organization_of(domain, await self.walk(domain))


def organization_of(domain: str, found: list[Found]) -> str:
    """RFC 9989 4.10.2: which of the names with records is the organisation's; the domain itself when none is."""
    for name, record in found:
        if record.suffix == "n":
            return name
        if record.suffix == "y" and name != domain:
            below = domain.removesuffix(f".{name}").rpartition(".")[2]
            return f"{below}.{name}"
    return found[-1][0] if found else domain
