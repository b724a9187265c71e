"""What the DNS is asked and what it answers, for whoever asks: the resolver, zone data in tests, a file of `explain`.

No address, cache or socket here: net.resolver and the zone data of mailauth implement `Dns`. Names are given as
A-labels, in any case, with or without the trailing dot.
On failure: NoSuchName says that the name has no records at all (NXDOMAIN), DnsUnavailable that nobody could tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class RecordType(StrEnum):
    """The record types that mail needs."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    TXT = "TXT"
    PTR = "PTR"
    CNAME = "CNAME"
    TLSA = "TLSA"
    NS = "NS"
    SRV = "SRV"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The records of one name and type; empty when the name exists without such records.

    Each record is, by type: A, AAAA: the address as text. TXT: bytes, the character-strings of one record joined
    with nothing between (RFC 7208 3.3, RFC 6376 3.6.2.2). MX: (preference, host); a null MX has the host ""
    (RFC 7505). PTR, CNAME, NS: the name. TLSA: (usage, selector, matching type, data) (RFC 6698 2.1).
    SRV: (priority, weight, port, target) (RFC 2782).
    Names are lower case without the trailing dot.
    secure: DNSSEC vouches for it, and the path to whoever checked it is trusted.
    """

    records: tuple[Any, ...]
    secure: bool = False


class DnsProblem(Exception):
    """A question that got no records; the text says why, in plain words."""


class NoSuchName(DnsProblem):
    """The name does not exist, for no type (NXDOMAIN)."""


class DnsUnavailable(DnsProblem):
    """No answer in time, SERVFAIL or refused: ask again later."""


class Dns(Protocol):
    """Whoever answers questions."""

    async def lookup(self, name: str, kind: RecordType) -> Lookup:
        """The records, CNAMEs followed. Raises NoSuchName, DnsUnavailable; never anything else for any name."""
        ...
