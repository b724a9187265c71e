"""What the two ends of a TLS connection agreed on, and where a link gets its TLS from.

Owns: nothing. Trusts: OpenSSL's account of the handshake.
Standards: RFC 5929 4 (tls-server-end-point).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from postroom.net.client_certificate import ClientCertificate, client_certificate


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """What was negotiated. server_end_point: RFC 5929 4.1 hash of the server's certificate; b"" if undefined.

    client: who the peer of a server is by a certificate that was verified.
    """

    version: str  # such as "TLSv1.3"
    cipher: str
    server_end_point: bytes = b""
    client: ClientCertificate | None = None


class TlsSource(Protocol):
    """Where a link gets its TLS from; see net.tls."""

    @property
    def server_name(self) -> str | None:
        """The name to verify when we are the client; None when we are the server."""

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""

    def end_point(self, context: ssl.SSLContext) -> bytes:
        """RFC 5929 4.1 hash of the certificate this context serves; b"" when it is not defined or not ours."""

    def examine(self, tls: ssl.SSLObject) -> None:
        """A handshake that we began has succeeded. Raises ssl.SSLError when the peer is not who it must be."""


def tls_info(tls: Any, source: TlsSource | None) -> TlsInfo:
    """What a handshake came to; tls: the transport's ssl_object, of whichever loop."""
    cipher = tls.cipher()
    serving = source is not None and source.server_name is None
    return _known(
        str(tls.version()),
        cipher[0] if cipher else "",
        source.end_point(tls.context) if source is not None and serving else b"",
        client_certificate(tls) if serving else None,
    )


_known = lru_cache(maxsize=64)(TlsInfo)  # one for all connections that agreed on the same
