"""The names of a peer: what it calls itself, and what its address is called in the DNS.

Trusts: nothing. A name counts as the address's own only when it leads back to it.
Standards: RFC 8601 2.7.3 and 3 (iprev), RFC 5321 2.3.5 and 4.1.3 (names and literals in HELO); that RFC's 4.1.4 asks
servers not to refuse mail for HELO alone, so results are for marks first. RFC 7372 3.3 (X.7.25).
On failure: a result; nothing raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from postroom.policy.networks import reversed_labels
from postroom.values.dns import Dns, DnsUnavailable, NoSuchName, RecordType

_NAMES: Final = 10  # names of an address that are looked at (RFC 8601 3)
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.)+(?!\d+\.?$){_LABEL}\.?").fullmatch
_DOTTED: Final = re.compile(r"[0-9.]+").fullmatch


@dataclass(frozen=True, slots=True)
class Iprev:
    """result: pass, fail, permerror (no name is published) or temperror, as RFC 8601 2.7.3 has them.

    name: the host name that leads back to the address, "" without one; reason: in words.
    """

    result: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class HeloName:
    """ok: it can be the name of another server; reason: why not, in words."""

    ok: bool
    reason: str = ""


_GOOD: Final = HeloName(True)


async def iprev(dns: Dns, ip: str) -> Iprev:
    """Does the name of an address lead back to it (forward-confirmed reverse DNS)?"""
    labels = reversed_labels(ip)
    try:
        names = (await dns.lookup(f"{labels}.{'ip6' if ':' in ip else 'in-addr'}.arpa", RecordType.PTR)).records
    except NoSuchName:
        names = ()
    except DnsUnavailable as fault:
        return Iprev("temperror", "", f"the name of {ip} cannot be looked up: {fault}")
    if not labels or not names:
        return Iprev("permerror", "", f"{ip} has no name in the DNS (PTR)")
    late = ""
    kind, own = (RecordType.AAAA if ":" in ip else RecordType.A), ip_address(ip)
    for name in names[:_NAMES]:
        try:
            found = (await dns.lookup(name, kind)).records
        except NoSuchName:
            continue
        except DnsUnavailable as fault:
            late = str(fault)
            continue
        if any(ip_address(address) == own for address in found):
            return Iprev("pass", name, f"{ip} is {name}")
    shown = ", ".join(names[:3])
    if late:
        return Iprev("temperror", "", f"{ip} is called {shown}, whose address cannot be looked up: {late}")
    return Iprev("fail", "", f"{ip} is called {shown}, but that does not lead back to it")


def check_helo(helo: str, ip: str, hostname: str) -> HeloName:
    """Can a peer at this address call itself so? hostname: ours."""
    if helo.startswith("["):
        return _literal(helo, ip)
    if helo.lower().removesuffix(".") == hostname.lower():
        return HeloName(False, f"it calls itself {helo}, which is this server's name")
    if _DOTTED(helo) or ":" in helo:
        return HeloName(False, f"it calls itself {helo}: an address must stand in brackets")
    if len(helo) > 255 or not _HOST(helo):
        return HeloName(False, f"it calls itself {helo}, which is no whole host name")
    return _GOOD


def _literal(helo: str, ip: str) -> HeloName:
    """RFC 5321 4.1.3."""
    text = helo[1:].removesuffix("]")
    six = text[:5].upper() == "IPV6:"
    try:
        said = ip_address(text[5:] if six else text)
    except ValueError:
        return HeloName(False, f"it calls itself {helo}, which is no address")
    if not helo.endswith("]") or six != (said.version == 6):
        return HeloName(False, f"it calls itself {helo}, which is no address literal")
    if said != ip_address(ip):
        return HeloName(False, f"it calls itself {helo}, but its address is {ip}")
    return _GOOD
