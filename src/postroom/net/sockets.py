"""What the system knows of a connection: addresses, what is on its way, acknowledgements.

Owns: nothing. On failure: what cannot be asked is nowhere, nothing, or not done.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any, Final

#: host and port
Endpoint = tuple[str, int]

NOWHERE: Final[Endpoint] = ("", 0)


def endpoint(address: Any) -> Endpoint:
    """(host, port) of a socket address; IPv4 behind a dual-stack socket is shown as IPv4, zones are dropped."""
    if not isinstance(address, tuple):
        return NOWHERE  # Unix socket
    host = str(address[0]).partition("%")[0]
    return (host[7:] if host.startswith("::ffff:") and "." in host else host, int(address[1]))


def in_kernel(transport: asyncio.Transport) -> int:
    """Octets that the peer has not acknowledged; megabytes on a fast network, where ours would stand still for long."""
    sock = transport.get_extra_info("socket")
    with suppress(OSError, ValueError):
        if sock is not None:
            return int.from_bytes(ioctl(sock.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
    return 0


def acknowledge(transport: asyncio.Transport) -> None:
    """Acknowledge the client's last handshake octets now, on Linux.

    Without session tickets we have nothing to say then, and the delayed ACK (40 ms) holds up the first command of
    every client with Nagle's algorithm on. With implicit TLS the greeting carries it.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_QUICKACK"):
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
