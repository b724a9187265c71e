"""TLSA records against the certificates that a server shows: DANE, once the records are known to be secure.

Owns: nothing; pure functions, with the time given. Trusts: the records, because DNSSEC vouches for them; of the peer's
chain only what a record names.
Standards: RFC 6698 2.1, RFC 7671 5, 9 (the strongest digest counts), RFC 7672 3.1 (usages 2 and 3 only), 3.2, 3.3.
On failure: CertificateRefused, whose text says what did not fit.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from postroom.net.chains import MOST, CertificateRefused, check_name, check_path, find_path, public_key, read

#: usage, selector, matching type, data (RFC 6698 2.1)
Tlsa = tuple[int, int, int, bytes]

DANE_TA, DANE_EE = 2, 3
_CERTIFICATE, _KEY = 0, 1
_WHOLE: Final = 0
_DIGESTS: Final = {1: hashlib.sha256, 2: hashlib.sha512}


def usable(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that can be checked (RFC 7672 3.1); of digests of the same thing only the strongest kind (RFC 7671 9)."""
    good = [each for each in records if _is_usable(each)]
    strongest: dict[tuple[int, int], int] = {}
    for usage, selector, matching, _ in good:
        strongest[usage, selector] = max(strongest.get((usage, selector), 0), matching)
    return tuple(each for each in good if each[2] in (_WHOLE, strongest[each[:2]]))


def _is_usable(record: Tlsa) -> bool:
    usage, selector, matching, data = record
    if usage not in (DANE_TA, DANE_EE) or selector not in (_CERTIFICATE, _KEY):
        return False
    if matching != _WHOLE:
        digest = _DIGESTS.get(matching)
        return digest is not None and len(data) == digest().digest_size
    try:
        _load(selector, data)
    except (CertificateRefused, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _load(selector: int, data: bytes) -> Any:
    return read(data) if selector == _CERTIFICATE else serialization.load_der_public_key(data)


def verify(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now: float) -> None:
    """Does the chain (DER, the server's own first) fit one of these usable records? Raises CertificateRefused.

    names: of which the server's certificate must hold one where a record names an authority (RFC 7672 3.2.2); where
    it names the certificate itself, names and dates do not matter (RFC 7672 3.1.1). now: Unix seconds.
    """
    if not chain:
        raise CertificateRefused("untrusted", "the server showed no certificate")
    if any(record[0] == DANE_EE and _is(record, chain[0]) for record in records):
        return
    authorities = [record for record in records if record[0] == DANE_TA]
    if not authorities:
        raise CertificateRefused("tlsa", "the server's certificate fits none of the TLSA records")
    path = _path(authorities, chain)
    check_path(path, now)
    check_name(path[0], names)


def _path(authorities: Sequence[Tlsa], chain: Sequence[bytes]) -> list[x509.Certificate]:
    whole = [record for record in authorities if record[2] == _WHOLE]
    known = [read(record[3]) for record in whole if record[1] == _CERTIFICATE]
    keys = [_load(_KEY, record[3]) for record in whole if record[1] == _KEY]
    parsed = [read(chain[0]), *_readable(chain[1:MOST])]

    def anchor(certificate: x509.Certificate) -> bool:
        return any(_fits(record, certificate) for record in authorities)

    try:
        return find_path(parsed, anchor, known, keys)
    except CertificateRefused:
        raise CertificateRefused("tlsa", "the server's certificates fit none of the TLSA records") from None


def _readable(chain: Sequence[bytes]) -> Iterator[x509.Certificate]:
    for each in chain:
        with contextlib.suppress(CertificateRefused):
            yield read(each)


def _is(record: Tlsa, octets: bytes) -> bool:
    if record[1] == _CERTIFICATE:
        return _same(record, octets)
    try:
        return _fits(record, read(octets))
    except CertificateRefused:
        return False


def _fits(record: Tlsa, certificate: x509.Certificate) -> bool:
    if record[1] == _KEY:
        return _same(record, public_key(certificate))
    return _same(record, certificate.public_bytes(serialization.Encoding.DER))


def _same(record: Tlsa, octets: bytes) -> bool:
    _, _, matching, data = record
    return bool(octets) and data == (octets if matching == _WHOLE else _DIGESTS[matching](octets).digest())
