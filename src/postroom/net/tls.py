"""TLS: server contexts that can be renewed under running listeners, self-made certificates, client contexts.

Owns: certificate and key in memory. Trusts: the files an administrator named. Clients may show a certificate where a
listener names authorities for them; one that those do not vouch for ends the handshake.
Standards: RFC 8996 (no TLS below 1.2), RFC 9325 4 (ciphers), RFC 5929 4.1 (tls-server-end-point), RFC 8314.
Sessions are not taken up again, neither by tickets nor by ids: what that would save, and why not, is in
docs/architecture.md (TLS sessions).
On failure: CertificateError, saying which file and what to do; a failed reload leaves the old certificate in use.
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postroom.config import Tls

# RFC 9325 4.2: forward secrecy and AEAD only; TLS 1.3 suites are OpenSSL's own choice and all good.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
_DER: Final = 2  # _ssl.ENCODING_DER
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class CertificateError(Exception):
    """Certificate or key cannot be used; the text names the file and the way out."""


class Certificates:
    """The server's certificate; `reload` swaps what new handshakes are given, also under listeners that stand."""

    __slots__ = ("_authorities", "_current", "_end_points", "_tls")

    #: we are the server: no name to verify
    server_name: None = None

    def __init__(self, tls: Tls, authorities: str = "") -> None:
        """authorities: PEM file of those whose certificates clients may show. Raises CertificateError."""
        self._tls = tls
        self._authorities = authorities
        self._end_points: WeakKeyDictionary[ssl.SSLContext, bytes] = WeakKeyDictionary()
        self._current = self._load(tls)

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        return self._current

    def end_point(self, context: ssl.SSLContext) -> bytes:
        """RFC 5929 4.1 hash of the certificate a context of ours serves; b"" when there is no defined hash."""
        return self._end_points.get(context, b"")

    def examine(self, tls: ssl.SSLObject) -> None:
        """What a client shows is verified in the handshake."""

    def reload(self, tls: Tls | None = None) -> None:
        """Read the files again (others, if given) for new handshakes; open sessions go on undisturbed.

        Raises CertificateError and changes nothing when they cannot be used.
        """
        tls = tls or self._tls
        fresh = self._load(tls)
        stale, self._tls, self._current = self._current, tls, fresh
        # A listener keeps the context it was made with; OpenSSL lets the name callback (called without a name too)
        # put another in its place. Set only now: without a reload no handshake pays for a Python callback.
        stale.minimum_version = fresh.minimum_version
        stale.sni_callback = self._swap

    def _swap(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self, tls: Tls) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[tls.minimum]
        context.set_ciphers(_CIPHERS)
        context.num_tickets = 0  # TLS 1.3
        context.options |= ssl.OP_NO_TICKET  # TLS 1.2, whose tickets would end forward secrecy (RFC 9325 3.4)
        # Client-initiated renegotiation is a way to burn CPU, compression leaks (CRIME).
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            # without a callback OpenSSL would ask the terminal for the password of an encrypted key, and wait
            context.load_cert_chain(tls.certificate, tls.key or None, password=lambda: _refuse_password(tls))
        except ssl.SSLError as fault:
            raise CertificateError(_explain(tls, fault)) from fault
        except OSError as fault:
            raise CertificateError(
                f"cannot read the certificate {tls.certificate!r} or its key {tls.key!r}: {fault.strerror}"
            ) from fault
        self._end_points[context] = end_point(Path(tls.certificate).read_bytes())
        if self._authorities:
            context.verify_mode = ssl.CERT_OPTIONAL
            _load_authorities(context, self._authorities)
        return context


def _load_authorities(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as fault:
        raise CertificateError(f"{path!r} holds no certificates of authorities in PEM") from fault
    except OSError as fault:
        raise CertificateError(f"cannot read the authorities of clients {path!r}: {fault.strerror}") from fault


def _refuse_password(tls: Tls) -> str:
    key = tls.key or tls.certificate
    raise CertificateError(
        f"the key {key!r} is locked with a password, which nobody could type at a restart: write it without one"
        f" (openssl pkey -in {key} -out unlocked.pem), readable by the server's user alone"
    )


def _explain(tls: Tls, fault: ssl.SSLError) -> str:
    if fault.reason == "KEY_VALUES_MISMATCH":
        return (
            f"the key {tls.key!r} does not belong to the certificate {tls.certificate!r}: name the pair made together"
        )
    return (
        f"{tls.certificate!r} or {tls.key!r} is no usable PEM file ({fault.reason or fault}): the certificate file "
        "holds the server's certificate first and then its chain, the key file one key without a password"
    )


def end_point(pem: bytes) -> bytes:
    """RFC 5929 4.1: the first certificate hashed by its own signature's hash, MD5 and SHA-1 replaced by SHA-256.

    b"" for signatures without a hash of their own (Ed25519), where the RFC defines none.
    """
    certificate = x509.load_pem_x509_certificates(pem)[0]
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return b""
    name = "sha256" if algorithm.name in {"md5", "sha1"} else algorithm.name
    return hashlib.new(name, certificate.public_bytes(serialization.Encoding.DER)).digest()


def self_signed(names: Sequence[str], days: int, now: datetime.datetime) -> tuple[bytes, bytes]:
    """A certificate for these host names and addresses, signed by itself, and its key: both PEM. ECDSA P-256.

    A handshake with it costs 0.32 ms of CPU, with RSA-2048 0.64 ms.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write_self_signed(certificate: Path, key: Path, names: Sequence[str], days: int, now: datetime.datetime) -> None:
    """Make a self-signed certificate and put both files in place; the key is readable by its owner alone."""
    chain, private = self_signed(names, days, now)
    for path, data, mode in ((key, private, 0o600), (certificate, chain, 0o644)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=mode)
        path.write_bytes(data)


def client_context(verify: bool, authorities: str | None = None) -> ssl.SSLContext:
    """For connections we make: TLS 1.2 or newer. verify: check chain and name by the system's or these authorities."""
    if verify:
        context = ssl.create_default_context(cafile=authorities)
    else:  # without the authorities, which take 10 ms and 5 MB to load
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


Examine = Callable[[tuple[bytes, ...]], None]


class ClientTls:
    """TLS towards a server of this name (LinkOptions.tls of an outgoing link)."""

    __slots__ = ("_context", "_examine", "server_name")

    def __init__(self, context: ssl.SSLContext, server_name: str, examine: Examine | None = None) -> None:
        """examine: given the chain the server has shown (DER, its own first); raises ssl.SSLError to refuse it."""
        self._context = context
        self._examine = examine
        self.server_name = server_name

    def context(self) -> ssl.SSLContext:
        """The context for the next handshake."""
        return self._context

    def end_point(self, context: ssl.SSLContext) -> bytes:
        """Not ours to say."""
        return b""

    def examine(self, tls: ssl.SSLObject) -> None:
        """See TlsSource."""
        if self._examine is not None:
            self._examine(shown_chain(tls))


def shown_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates a server has shown, as DER, its own first, whether or not anything vouches for them.

    Python 3.13 has a public method for it; before, the same is behind the object, and without it only the server's own
    certificate is known.
    """
    source: Any = tls if hasattr(tls, "get_unverified_chain") else getattr(tls, "_sslobj", None)
    try:
        chain = source.get_unverified_chain() or ()
    except AttributeError:
        own = tls.getpeercert(binary_form=True)
        return (own,) if own else ()
    return tuple(each if isinstance(each, bytes) else bytes(each.public_bytes(_DER)) for each in chain)
