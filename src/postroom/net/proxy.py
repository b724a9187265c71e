"""The PROXY protocol's header, versions 1 and 2, as a load balancer puts it before a connection.

Trusts: only octets from configured networks come here; still every limit is checked, and anything else than a whole,
well-formed header in time ends the connection.
Standards: HAProxy's "The PROXY protocol, Versions 1 & 2" (2.1 human-readable: 107 octets at most, 2.2 binary).
On failure: BadProxyHeader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

#: octets every header has at least ("PROXY UNKNOWN\r\n" is the shortest): safe to read without eating what follows
FIRST = 15
V1_LONGEST = 107
V2_LONGEST = 536  # addresses of 36 octets and room for TLVs
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V1 = re.compile(rb"PROXY TCP([46]) ([0-9a-fA-F.:]{2,45}) ([0-9a-fA-F.:]{2,45}) (\d{1,5}) (\d{1,5})\r\n")
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [\x20-\x7e]*)?\r\n")

Endpoint = tuple[str, int]


class BadProxyHeader(Exception):
    """No header of the PROXY protocol, or one that breaks its rules."""


@dataclass(frozen=True, slots=True)
class Proxied:
    """Who the proxy says is there; None for its own checks (LOCAL, UNKNOWN): the socket's addresses hold."""

    peer: Endpoint | None
    local: Endpoint | None


@dataclass(frozen=True, slots=True)
class Need:
    """`exactly` this many octets more are the header's, or (version 1) as many as end in CR LF, `most` at most."""

    exactly: int = 0
    most: int = 0


def need(header: bytes) -> Need | None:
    """What is missing of the header of which these octets are the start; None when it is complete.

    Raises BadProxyHeader as soon as it cannot become one.
    """
    if len(header) < FIRST:
        if not (_V2.startswith(header[:12]) or b"PROXY ".startswith(header[:6])):
            raise BadProxyHeader("the connection does not begin with a PROXY header")
        return Need(exactly=FIRST - len(header))
    if header.startswith(_V2):
        return _need_v2(header)
    if not header.startswith(b"PROXY "):
        raise BadProxyHeader("the connection does not begin with a PROXY header")
    if header.endswith(b"\r\n"):
        return None
    if len(header) >= V1_LONGEST:
        raise BadProxyHeader("a version 1 header longer than 107 octets")
    return Need(most=V1_LONGEST - len(header))


def _need_v2(header: bytes) -> Need | None:
    if len(header) < 16:
        return Need(exactly=16 - len(header))
    total = 16 + int.from_bytes(header[14:16], "big")
    if total > V2_LONGEST:
        raise BadProxyHeader(f"a version 2 header of {total} octets; {V2_LONGEST} are allowed")
    return Need(exactly=total - len(header)) if len(header) < total else None


def parse(header: bytes) -> Proxied:
    """Read a complete header. Raises BadProxyHeader."""
    if header.startswith(_V2):
        return _parse_v2(header)
    if _V1_UNKNOWN.fullmatch(header):
        return Proxied(None, None)
    match = _V1.fullmatch(header)
    if not match:
        raise BadProxyHeader("a malformed version 1 header")
    try:
        kind = IPv4Address if match[1] == b"4" else IPv6Address
        hosts = [_text(kind(part.decode("ascii"))) for part in match.group(2, 3)]
    except ValueError as fault:
        raise BadProxyHeader("a version 1 header with a bad address") from fault
    ports = [int(part) for part in match.group(4, 5)]
    if max(ports) > 65535:
        raise BadProxyHeader("a version 1 header with a bad port")
    return Proxied((hosts[0], ports[0]), (hosts[1], ports[1]))


def _parse_v2(header: bytes) -> Proxied:
    version, command = header[12] >> 4, header[12] & 15
    if version != 2 or command > 1 or len(header) != 16 + int.from_bytes(header[14:16], "big"):
        raise BadProxyHeader("a version 2 header with an unknown version or command")
    width = {0x11: 4, 0x21: 16}.get(header[13], 0)  # TCP over IPv4, TCP over IPv6
    if command == 0 or not width:
        return Proxied(None, None)  # 2.2: LOCAL; UNSPEC and other families: the real connection's addresses
    block = header[16 : 16 + 2 * width + 4]
    if len(block) != 2 * width + 4:
        raise BadProxyHeader("a version 2 header too short for its addresses")
    peer, local = ip_address(block[:width]), ip_address(block[width : 2 * width])
    ports = int.from_bytes(block[2 * width : 2 * width + 2], "big"), int.from_bytes(block[2 * width + 2 :], "big")
    return Proxied((_text(peer), ports[0]), (_text(local), ports[1]))


def _text(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
