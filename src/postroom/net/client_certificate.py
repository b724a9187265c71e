"""Who a client says it is by the certificate it has shown in the handshake.

Only for certificates that the listener's own authorities vouch for: a handshake with any other fails, and without such
authorities no certificate is asked for. Who took up an earlier session again has shown none in this handshake, and
counts as somebody without.
Owns: nothing. Trusts: OpenSSL for the chain, the dates and the purpose (client authentication); names in the
certificate as far as its authority is trusted.
Standards: RFC 5280 4.2.1.6 (rfc822Name), RFC 8446 4.4.2.4.
On failure: a certificate that cannot be read names nobody.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from typing import Any, Final

#: addresses of one certificate that are looked at
_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that was verified. addresses: rfc822Names; sha256: of the whole certificate, hexadecimal."""

    addresses: tuple[str, ...]
    sha256: str


def client_certificate(tls: Any) -> ClientCertificate | None:
    """What the client of a finished handshake has shown and OpenSSL has verified. tls: as negotiated.tls_info."""
    if tls.context.verify_mode == ssl.CERT_NONE or tls.session_reused:
        return None
    octets = tls.getpeercert(binary_form=True)
    if not octets:
        return None
    return ClientCertificate(_addresses(octets), hashlib.sha256(octets).hexdigest())


def _addresses(octets: bytes) -> tuple[str, ...]:
    from cryptography import x509  # only who shows a certificate needs it

    try:
        certificate = x509.load_der_x509_certificate(octets)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = names.get_values_for_type(x509.RFC822Name)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    return tuple(found[:_MOST])
