"""A certificate authority for tests: chains as they should be, and as they should not.

Owns: keys in memory. Trusts: the test. Standards: RFC 5280 4.2.
On failure: what cryptography raises for options that make no sense.
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass
class Issued:
    """A certificate with its key. chain: the certificates above it that a server sends too."""

    certificate: x509.Certificate
    key: Any
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def spki(self) -> bytes:
        """Its public key as DER."""
        key = self.certificate.public_key()
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def shown(self) -> tuple[bytes, ...]:
        """What a server shows: DER, its own first."""
        return (self.der, *(each.public_bytes(serialization.Encoding.DER) for each in self.chain))

    def tlsa(self, usage: int, selector: int = 1, matching: int = 1) -> tuple[int, int, int, bytes]:
        """A TLSA record for this certificate (RFC 6698 2.1)."""
        data = self.spki if selector else self.der
        if matching:
            data = hashlib.new({1: "sha256", 2: "sha512"}[matching], data).digest()
        return usage, selector, matching, data

    def write(self, folder: Path, name: str = "server") -> tuple[Path, Path]:
        """Certificate with chain, and key, as PEM files."""
        pem = serialization.Encoding.PEM
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(b"".join(each.public_bytes(pem) for each in (self.certificate, *self.chain)))
        key.write_bytes(self.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, key

    def server_context(self, folder: Path, name: str = "server") -> ssl.SSLContext:
        """TLS as a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.write(folder, name))
        return context


@dataclass(kw_only=True)
class Wish:
    """What a certificate is to be like. days: of its life, from and until, counted from `now`; extensions: more."""

    names: Sequence[str] = ()
    common_name: str = ""
    authority: bool = False
    path_length: int | None = None
    basic: bool = True
    days: tuple[float, float] = (-1, 30)
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = ()
    key: Any = None
    hash: Any = field(default_factory=SHA256)


class Authority:
    """Issues certificates. self.issued: its own certificate."""

    def __init__(self, name: str, now: datetime.datetime, *, parent: Authority | None = None, **wish: Any) -> None:
        self._now = now
        self._root = parent is None
        wanted = Wish(common_name=name, authority=True, **wish)
        self.issued = parent.issue_for(wanted) if parent is not None else _make(wanted, now, None)

    def issue(self, *names: str, **wish: Any) -> Issued:
        """A certificate for hosts."""
        return self.issue_for(Wish(names=names, **wish))

    def issue_for(self, wish: Wish) -> Issued:
        """A certificate, with the chain up to and without a root."""
        above = () if self._root else (self.issued.certificate, *self.issued.chain)
        made = _make(wish, self._now, self.issued)
        return Issued(made.certificate, made.key, above)

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.issued.certificate.public_bytes(serialization.Encoding.PEM)


def _make(wish: Wish, now: datetime.datetime, issuer: Issued | None) -> Issued:
    key = wish.key or ec.generate_private_key(ec.SECP256R1())
    name = wish.common_name
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + wish.days[0] * _DAY)
        .not_valid_after(now + wish.days[1] * _DAY)
    )
    if wish.names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(each) for each in wish.names]), critical=not name
        )
    if wish.basic:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=wish.authority, path_length=wish.path_length), critical=True
        )
    for value, critical in wish.extensions:
        builder = builder.add_extension(value, critical=critical)
    return Issued(builder.sign(issuer.key if issuer else key, wish.hash), key)
