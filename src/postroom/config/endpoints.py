"""Addresses with ports as the configuration writes them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit


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


class Place(NamedTuple):
    """Where an HTTP request goes. host: a name or an address; target: path and query."""

    tls: bool
    host: str
    port: int
    target: str


def parse_url(text: str) -> Place:
    """An https URL, or an http one of this machine; without a user and a fragment. Raises ValueError."""
    place = parse_server(text)
    if not place.tls and not is_here(place.host):
        raise ValueError("without TLS only programs on this machine can be called")
    return place


def parse_server(text: str) -> Place:
    """An http or https URL of any machine; without a user and a fragment. Raises ValueError."""
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} is no URL")
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None or parts.fragment:
        raise ValueError(f"{text!r} is no URL of an http or https server")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Place(parts.scheme == "https", host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def parse_socket(text: str) -> tuple[str, int]:
    """A server without TLS: a path of a Unix socket, with port 0, or host and port. Raises ValueError."""
    if text.startswith("/"):
        return text, 0
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} is neither the path of a socket nor host:port")
    return host, int(port)


def is_here(host: str) -> bool:
    """Is it this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
