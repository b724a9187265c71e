"""Certificate chains that end at a key we already know, instead of at one of the system's authorities.

Purpose: what DANE-TA needs and OpenSSL does behind Python's `ssl`, where no anchor can be given after the handshake.
Owns: nothing; pure functions over certificates, with the time given. Trusts: the anchor alone; the peer chose the rest,
so at most MOST of its certificates are looked at, and each is tried as an issuer once.
Standards: RFC 5280 4.2, 6.1 (what makes a path), RFC 9525 6.3 (names), RFC 7671 5.2.
On failure: CertificateRefused; nothing else for any octets.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: certificates of a peer that are looked at
MOST: Final = 10
#: RFC 9155 and before: a signature with these proves nothing
_WEAK: Final = frozenset({"md5", "sha1"})
_CANNOT: Final = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)

Anchor = Callable[[x509.Certificate], bool]


class CertificateRefused(ssl.SSLError):
    """A certificate that does not prove what it must; the text says why.

    kind: "expired", "name", "untrusted" or "tlsa" (fits no TLSA record).
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(1, text)
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[1])


def read(data: bytes) -> x509.Certificate:
    """A certificate from DER. Raises CertificateRefused."""
    try:
        certificate = x509.load_der_x509_certificate(data)
        certificate.extensions  # noqa: B018 - parsed at first use, which must not fail later
        certificate.subject, certificate.issuer  # noqa: B018
    except (*_CANNOT, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType) as fault:
        raise CertificateRefused("untrusted", f"a certificate that cannot be read ({fault})") from fault
    return certificate


def public_key(certificate: x509.Certificate) -> bytes:
    """Its SubjectPublicKeyInfo as DER; b"" for a kind of key we do not know."""
    try:
        key = certificate.public_key()
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except _CANNOT:
        return b""


# paths


def find_path(
    chain: Sequence[x509.Certificate], anchor: Anchor, more: Iterable[x509.Certificate] = (), keys: Sequence[Any] = ()
) -> list[x509.Certificate]:
    """From the first certificate up to an anchor. Raises CertificateRefused when none of them leads to one.

    more: certificates that we know ourselves; keys: anchors that are bare keys, whose certificate need not be there.
    """
    pool = [*chain[1:MOST], *more]
    tried: set[int] = set()

    def climb(path: list[x509.Certificate]) -> list[x509.Certificate] | None:
        if any(_signed_with(path[-1], key) for key in keys):
            return path
        issuers = [at for at, each in enumerate(pool) if at not in tried and _issued(path[-1], each)]
        issuers.sort(key=lambda at: not anchor(pool[at]))
        for at in issuers:
            tried.add(at)
            longer = [*path, pool[at]]
            found = longer if anchor(pool[at]) else climb(longer)
            if found is not None:
                return found
        return None

    found = climb([chain[0]])
    if found is None:
        raise CertificateRefused("untrusted", "the server's certificate does not lead to the trust anchor")
    return found


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        if _hash_name(certificate) in _WEAK:
            return False
        certificate.verify_directly_issued_by(issuer)
    except _CANNOT:
        return False
    return True


def _hash_name(certificate: x509.Certificate) -> str:
    algorithm = certificate.signature_hash_algorithm
    return algorithm.name if algorithm is not None else ""


def _signed_with(certificate: x509.Certificate, key: Any) -> bool:
    """The same for a key without a name."""
    signature, signed, algorithm = certificate.signature, certificate.tbs_certificate_bytes, None
    try:
        algorithm = certificate.signature_hash_algorithm
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(signature, signed)
        elif algorithm is None or algorithm.name in _WEAK:
            return False
        elif isinstance(key, rsa.RSAPublicKey):
            how = certificate.signature_algorithm_parameters
            key.verify(signature, signed, how if isinstance(how, padding.PSS) else padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(algorithm))
        else:
            return False
    except _CANNOT:
        return False
    return True


def check_path(path: Sequence[x509.Certificate], now: float) -> None:
    """Is each certificate of a path in force and allowed to do what it does? now: Unix seconds.

    Raises CertificateRefused.
    """
    at = datetime.datetime.fromtimestamp(now, datetime.UTC)
    for above, certificate in enumerate(path):
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            whose = "the server's certificate" if not above else "the certificate of an authority above it"
            fault = "is not valid yet" if at < certificate.not_valid_before_utc else "has expired"
            raise CertificateRefused("expired", f"{whose} {fault}")
        if any(each.critical and isinstance(each.value, x509.UnrecognizedExtension) for each in certificate.extensions):
            raise CertificateRefused("untrusted", "a certificate has a critical extension that is not known here")
        if above:
            _check_authority(certificate, above - 1, last=above == len(path) - 1)
            _check_constraints(certificate, path[0])
    _check_purpose(path[0])


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    """The value of an extension, None without it."""
    return next((each.value for each in certificate.extensions if isinstance(each.value, kind)), None)


def _check_authority(certificate: x509.Certificate, below: int, *, last: bool) -> None:
    """RFC 5280 6.1.4 k-n. below: authorities between it and the server; an anchor may be of an old kind, without."""
    basic = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    allowed = last if basic is None else basic.ca
    if not allowed or (usage is not None and not usage.key_cert_sign):
        raise CertificateRefused("untrusted", "a certificate in the chain may not issue certificates")
    if basic is not None and basic.path_length is not None and below > basic.path_length:
        raise CertificateRefused("untrusted", "the chain is longer than an authority in it allows")


def _check_constraints(authority: x509.Certificate, leaf: x509.Certificate) -> None:
    """RFC 5280 4.2.1.10, as far as names of hosts go."""
    limits = _extension(authority, x509.NameConstraints)
    if limits is None:
        return
    for name in dns_names(leaf):
        allowed = _domains(limits.permitted_subtrees)
        if allowed and not any(_below(name, each) for each in allowed):
            raise CertificateRefused("untrusted", f"an authority in the chain may not vouch for {name}")
        if any(_below(name, each) for each in _domains(limits.excluded_subtrees)):
            raise CertificateRefused("untrusted", f"an authority in the chain may not vouch for {name}")


def _domains(subtrees: Iterable[x509.GeneralName] | None) -> list[str]:
    return [each.value.lower().lstrip(".") for each in subtrees or () if isinstance(each, x509.DNSName)]


def _below(name: str, domain: str) -> bool:
    return not domain or name == domain or name.endswith("." + domain)


def _check_purpose(leaf: x509.Certificate) -> None:
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    wanted = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes is not None and not wanted & set(purposes):
        raise CertificateRefused("untrusted", "the server's certificate is not made for servers")


# names


def dns_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Host names in a certificate, lower case: of its alternative names, else the common name (RFC 7672 3.2.3)."""
    found = _extension(certificate, x509.SubjectAlternativeName)
    names = found.get_values_for_type(x509.DNSName) if found is not None else []
    if not names:
        names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(name.lower().removesuffix(".") for name in names)


def fits(pattern: str, host: str) -> bool:
    """RFC 9525 6.3: the same name, or "*." in place of the first label. Both lower case."""
    if pattern == host:
        return True
    label, _, domain = host.partition(".")
    return pattern.startswith("*.") and bool(label) and pattern[2:] == domain and "." in domain


def check_name(certificate: x509.Certificate, names: Sequence[str]) -> None:
    """Raises CertificateRefused when it is for none of these hosts."""
    held = dns_names(certificate)
    if not any(fits(pattern, name) for pattern in held for name in names):
        shown = ", ".join(held[:3]) or "nobody"
        raise CertificateRefused("name", f"the server's certificate is for {shown}, not for {names[0]}")
