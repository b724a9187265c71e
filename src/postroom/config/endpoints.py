"""Addresses with ports as the configuration writes them."""

from __future__ import annotations

from ipaddress import ip_address


def parse_dns_server(text: str) -> tuple[str, int]:
    """Address and port of a DNS server: 192.0.2.1, 192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53. Raises ValueError."""
    host, port = text, "53"
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(f"{text!r} is no address of a DNS server")
        port = port[1:] if port else "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    ip_address(host)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} has no valid port")
    return host, int(port)
