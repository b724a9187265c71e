"""Certificates of clients for tests: an authority that makes them, and its own to be trusted.

Owns: the files it writes into a folder of the test.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY: Final = datetime.timedelta(days=1)
_AGE: Final = 10 * _DAY


@dataclass(frozen=True, slots=True)
class Wanted:
    """A certificate to be made. purpose: None for an authority's own."""

    subject: x509.Name
    key: ec.EllipticCurvePublicKey
    until: datetime.datetime
    addresses: Sequence[str] = ()
    purpose: x509.ObjectIdentifier | None = None


class ClientAuthority:
    """path: a PEM file with its own certificate."""

    def __init__(self, folder: Path, name: str, now: datetime.datetime) -> None:
        self.path: Final = str(folder / f"{name}.pem")
        self._folder = folder
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        own = self._sign(Wanted(self._name, self._key.public_key(), now + _DAY))
        Path(self.path).write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def certify(
        self, *addresses: str, until: datetime.datetime | None = None, for_servers: bool = False
    ) -> tuple[str, str]:
        """A client's: a PEM file with certificate and key, and its SHA-256. addresses: its rfc822Names."""
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if for_servers else ExtendedKeyUsageOID.CLIENT_AUTH
        wanted = Wanted(_named("Somebody"), key.public_key(), until or self._now + _DAY, addresses, purpose)
        made = self._sign(wanted)
        path = self._folder / f"{made.serial_number}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
        return str(path), made.fingerprint(SHA256()).hex()

    def _sign(self, wanted: Wanted) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(wanted.subject)
            .issuer_name(self._name)
            .public_key(wanted.key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(wanted.until - _AGE)
            .not_valid_after(wanted.until)
            .add_extension(x509.BasicConstraints(ca=wanted.purpose is None, path_length=None), critical=True)
        )
        if wanted.addresses:
            names = x509.SubjectAlternativeName([x509.RFC822Name(each) for each in wanted.addresses])
            builder = builder.add_extension(names, critical=False)
        if wanted.purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([wanted.purpose]), critical=False)
        return builder.sign(self._key, SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
