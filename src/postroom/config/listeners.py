"""What can be configured about the ports: what is spoken there, and TLS."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class Protocol(StrEnum):
    """What a listener speaks."""

    SMTP = "smtp"  # mail from other servers (port 25)
    SUBMISSION = "submission"  # mail from our own users (587, 465)
    LMTP = "lmtp"
    IMAP = "imap"
    POP3 = "pop3"
    MANAGESIEVE = "managesieve"
    HTTP = "http"  # with tls = "implicit" it is HTTPS
    METRICS = "metrics"  # /metrics and /health over HTTP, for machines of the administrator


class TlsMode(StrEnum):
    """How a listener does TLS."""

    NONE = "none"
    STARTTLS = "starttls"  # STARTTLS, or STLS in POP3
    IMPLICIT = "implicit"


class Listener(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One address and port."""

    protocol: Annotated[Protocol, Meta(description="smtp, submission, lmtp, imap, pop3, managesieve, http or metrics.")]
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 lets the system choose one.")]
    address: Annotated[str, Meta(description="IP address to listen on; :: is every address.")] = "127.0.0.1"
    tls: Annotated[
        TlsMode, Meta(description="none, starttls or implicit; http is implicit by default, metrics none.")
    ] = TlsMode.STARTTLS
    proxy_networks: Annotated[
        tuple[str, ...], Meta(description="Networks of load balancers whose PROXY protocol v1/v2 header is believed.")
    ] = ()
    client_authorities: Annotated[
        str,
        Meta(
            description="PEM file of authorities whose certificates clients may show here, to log in without a "
            "password (AUTH=EXTERNAL); empty asks for none."
        ),
    ] = ""


class Tls(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Certificates. Read again on SIGHUP."""

    certificate: Annotated[str, Meta(description="PEM file: certificate and chain.")] = ""
    key: Annotated[str, Meta(description="PEM file: private key.")] = ""
    minimum: Annotated[str, Meta(pattern=r"^1\.[23]$", description="Lowest TLS version: 1.2 or 1.3.")] = "1.2"


class ClientCertificate(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose a certificate of a client is, where its rfc822Name does not say it. It must be verified all the same."""

    sha256: Annotated[
        str,
        Meta(
            pattern="^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$",
            description="Fingerprint of the certificate: openssl x509 -noout -fingerprint -sha256.",
        ),
    ]
    account: Annotated[str, Meta(description="Login of the account that it opens.")]
