"""The servers of a domain, in the order in which to try them, and the addresses of each.

Owns: the rules about MX and address records. Trusts: nothing of the answers but their form; an MX may name anything.
Standards: RFC 5321 5.1 (MX, implicit MX, ourselves in the list), RFC 7505 (null MX), RFC 5321 4.1.3 (literals).
On failure: Unroutable with the reply that the recipients get; its code says whether it is for now or for good.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from msgspec import Struct

from postroom.values.dns import Dns, DnsUnavailable, NoSuchName, RecordType
from postroom.wire.smtp.client_types import Reply

#: servers of a domain that are looked at, however many it names
MOST_SERVERS = 20


class Unroutable(Exception):
    """There is no server to go to. reply: why, 4yz when it may change."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text, local=True)


class Server(Struct, frozen=True):
    """A host that takes a domain's mail. address: set for address literals, which need no look-up.

    secure: DNSSEC vouches for the name (RFC 7672 2.2.1).
    """

    host: str
    preference: int = 0
    secure: bool = False
    address: str = ""


async def servers(dns: Dns, domain: str, random: Callable[[], float]) -> tuple[Server, ...]:
    """The servers for a domain, best first, those of one preference in random order. Raises Unroutable.

    random: from 0 up to 1. Without an MX record the domain is its own server (RFC 5321 5.1).
    """
    if domain.startswith("["):
        return (_literal(domain),)
    try:
        answer = await dns.lookup(domain, RecordType.MX)
    except NoSuchName:
        raise Unroutable(550, "5.1.2", f"The domain {domain} does not exist") from None
    except DnsUnavailable as fault:
        raise Unroutable(451, "4.4.3", f"The servers of {domain} cannot be looked up: {fault}") from None
    if not answer.records:
        return (Server(domain, 0, answer.secure),)
    named = [(preference, host) for preference, host in answer.records if host]
    if not named:  # RFC 7505 3 and 4
        raise Unroutable(556, "5.1.10", f"The domain {domain} takes no mail (null MX)")
    order = sorted((preference, random(), host) for preference, host in dict.fromkeys(named))
    return tuple(Server(host, preference, answer.secure) for preference, _, host in order[:MOST_SERVERS])


def _literal(domain: str) -> Server:
    """RFC 5321 4.1.3."""
    text = domain[1:-1].removeprefix("ipv6:")
    try:
        return Server(domain, address=str(ip_address(text)))
    except ValueError:
        raise Unroutable(550, "5.1.2", f"{domain} is no address") from None


async def addresses(dns: Dns, server: Server, wanted: str) -> tuple[str, ...]:
    """The addresses of a server, in the order of the configured preference (relay.ip). Raises Unroutable.

    One family that cannot be looked up does not matter when the other one gives an address.
    """
    if server.address:
        return (server.address,)
    kinds = {
        "ipv4": (RecordType.A,),
        "ipv6": (RecordType.AAAA,),
        "prefer_ipv6": (RecordType.AAAA, RecordType.A),
    }.get(wanted, (RecordType.A, RecordType.AAAA))
    found: list[str] = []
    late: DnsUnavailable | None = None
    for kind in kinds:
        try:
            found += (await dns.lookup(server.host, kind)).records
        except NoSuchName:
            pass
        except DnsUnavailable as fault:
            late = fault
    if not found and late is not None:
        raise Unroutable(451, "4.4.3", f"The address of {server.host} cannot be looked up: {late}")
    if not found:
        raise Unroutable(550, "5.4.4", f"{server.host} has no address")
    return tuple(found)


class Ourselves:
    """Who we are to others: our name, and where we listen for mail from outside."""

    def __init__(self, hostname: str, endpoints: Sequence[tuple[str, int]]) -> None:
        """endpoints: address (or :: and 0.0.0.0 for all of this machine) and port of our SMTP listeners."""
        self._hostname = hostname.lower()
        self._endpoints = frozenset(endpoints)
        self._every = {port for address, port in endpoints if address in ("::", "0.0.0.0")}  # noqa: S104

    def are(self, host: str) -> bool:
        """True when that is our own name."""
        return host == self._hostname

    def listen_at(self, address: str, port: int) -> bool:
        """True when a connection to there would end here."""
        return (address, port) in self._endpoints or (port in self._every and is_local(address))


def is_local(address: str) -> bool:
    """True when the address is one of this machine: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def before_us(found: Sequence[Server], us: Ourselves, domain: str) -> tuple[Server, ...]:
    """The servers that are better than we are ourselves (RFC 5321 5.1). Raises Unroutable when none is left."""
    own = min((server.preference for server in found if us.are(server.host)), default=None)
    if own is None:
        return tuple(found)
    left = tuple(server for server in found if server.preference < own)
    if not left:
        raise loops(domain)
    return left


def loops(domain: str) -> Unroutable:
    """The best server for the domain is this one, but the domain is not hosted here."""
    return Unroutable(
        554, "5.4.6", f"Mail for {domain} comes back to this server, which does not host it: its MX record names us"
    )
