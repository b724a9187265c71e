"""What DNS records and look-ups need to know of the configuration."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from postroom.config import Config, Protocol, TlsMode
from postroom.identity.records import Site
from postroom.net.resolver import Resolver
from postroom.values.clock import SystemClock

#: services that the world's mail programs look for
_SERVICES = (Protocol.SUBMISSION, Protocol.IMAP, Protocol.POP3)


def site_facts(config: Config) -> Site:
    """What a domain's DNS records are made of."""
    services = tuple(
        dict.fromkeys(
            (listener.protocol.value, listener.tls is TlsMode.IMPLICIT, listener.port)
            for listener in config.listener
            if listener.protocol in _SERVICES and listener.tls is not TlsMode.NONE
        )
    )
    return Site(
        hostname=config.server.hostname,
        services=tuple(sorted(services, key=lambda service: (not service[1], service))),
        tlsa=_key_hash(config.tls.certificate),
        https=any(one.protocol is Protocol.HTTP and one.tls is TlsMode.IMPLICIT for one in config.listener),
        sts_mode=config.mta_sts.mode,
    )


def _key_hash(certificate: str) -> bytes:
    """SHA-256 of the public key (SPKI) of the certificate; b"" when it cannot be read."""
    try:
        first = x509.load_pem_x509_certificates(Path(certificate).read_bytes())[0]
    except (OSError, ValueError):
        return b""
    spki = first.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest()


def resolver(config: Config) -> Resolver:
    """A resolver for a command."""
    return Resolver(config.server.dns, SystemClock())
