"""Public keys in the DNS: finding them, reading them, and trying a signature against them.

Trusts nothing in a record. A record that is malformed, revoked or made for something else is no key, and the reason
says which. Keys of less than 1024 bits never verify; more than MAX_RSA_BITS cost too much to try.
Standards: RFC 6376 3.6 and 6.1.2, RFC 8301 3.2 (key sizes), RFC 8463 4.2 (Ed25519). An RSA key may be written as
SubjectPublicKeyInfo, as everybody does, or as RSAPublicKey, as the standard's text says.
On failure: BadKey with the reason; DNS problems pass through as values.dns names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from postroom.mailauth.tags import BadTags, base64_value, list_value, parse_tags
from postroom.values.dns import Dns, RecordType

#: RFC 8301 3.2
MIN_RSA_BITS = 1024
MAX_RSA_BITS = 8192
#: records of one name that are tried; the standard says there is one (RFC 6376 3.6.2.2)
MAX_RECORDS = 4
_MAX_RECORD_OCTETS = 8192

_DIGEST = Prehashed(SHA256())

PublicKey = RSAPublicKey | Ed25519PublicKey


class BadKey(ValueError):
    """A record that gives no key for mail; the text says why."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key: its type as k= names it, size in bits, hashes it may be used with (None: any), and the flags of t=."""

    kind: str
    public: PublicKey
    bits: int
    hashes: tuple[str, ...] | None = None
    testing: bool = False
    strict: bool = False

    @property
    def allows_sha256(self) -> bool:
        """False when h= of the record names other hashes only."""
        return self.hashes is None or "sha256" in self.hashes

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """True when this key made `signature` over a SHA-256 digest (RFC 6376 3.3.2, RFC 8463 3)."""
        try:
            if isinstance(self.public, RSAPublicKey):
                self.public.verify(signature, digest, PKCS1v15(), _DIGEST)
            else:
                self.public.verify(signature, digest)
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            return False
        return True


def _rsa(octets: bytes) -> tuple[PublicKey, int]:
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise BadKey("the key (p=) is no RSA key") from fault
    if not isinstance(key, RSAPublicKey):
        raise BadKey("the key (p=) is no RSA key, though the record says so")
    if key.key_size < MIN_RSA_BITS:
        raise BadKey(f"the RSA key has {key.key_size} bits; less than {MIN_RSA_BITS} is not safe")
    if key.key_size > MAX_RSA_BITS or key.public_numbers().e.bit_length() > 64:
        raise BadKey(f"the RSA key is larger than {MAX_RSA_BITS} bits or has an oversized exponent")
    return key, key.key_size


def _ed25519(octets: bytes) -> tuple[PublicKey, int]:
    if len(octets) != 32:
        raise BadKey("the key (p=) is no Ed25519 key: 32 octets are wanted")
    try:
        return Ed25519PublicKey.from_public_bytes(octets), 256
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise BadKey("the key (p=) is no Ed25519 key") from fault


_KINDS = {"rsa": _rsa, "ed25519": _ed25519}


def _names(tags: dict[str, bytes], tag: str) -> tuple[str, ...] | None:
    """The words of a colon-separated tag in lower case; None when it is not there."""
    if tag not in tags:
        return None
    return tuple(part.decode("latin-1").lower() for part in list_value(tags[tag]))


#: line ends that a domain's own tools have put into its record are white space
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def parse_key_record(text: bytes) -> KeyRecord:
    """Read one TXT record (RFC 6376 3.6.1). Raises BadKey. Good ones are remembered: loading RSA costs 60 us."""
    return _kept(text)


def _parse(text: bytes) -> KeyRecord:
    if len(text) > _MAX_RECORD_OCTETS:
        raise BadKey("the record is too long")
    try:
        tags = parse_tags(text.translate(_ONE_LINE))
    except BadTags as fault:
        raise BadKey(f"the record is malformed: {fault}") from fault
    if "v" in tags and (tags["v"] != b"DKIM1" or next(iter(tags)) != "v"):
        raise BadKey("the record does not begin with v=DKIM1")
    if "p" not in tags:
        raise BadKey("the record has no key (p=)")
    services = _names(tags, "s")
    if services is not None and not {"*", "email"} & set(services):
        raise BadKey("the key is not meant for mail (s=)")
    kind = tags.get("k", b"rsa").decode("latin-1").lower()
    if not tags["p"]:
        raise BadKey("the key has been revoked (p= is empty)")
    if kind not in _KINDS:
        raise BadKey("the key is of a type nobody here knows (k=)")
    try:
        public, bits = _KINDS[kind](base64_value(tags["p"]))
    except BadTags as fault:
        raise BadKey(f"the key (p=) cannot be read: {fault}") from fault
    flags = _names(tags, "t") or ()
    return KeyRecord(kind, public, bits, _names(tags, "h"), "y" in flags, "s" in flags)


_kept: Final = lru_cache(maxsize=512)(_parse)


def key_name(selector: str, domain: str) -> str:
    """Where the key of a selector is published (RFC 6376 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


async def find_keys(dns: Dns, name: str) -> tuple[KeyRecord, ...]:
    """The usable keys at a name, at least one. Raises BadKey, and what `dns` raises."""
    texts = (await dns.lookup(name, RecordType.TXT)).records
    if not texts:
        raise BadKey("there is no key record")
    keys: list[KeyRecord] = []
    problem: BadKey | None = None
    for text in texts[:MAX_RECORDS]:
        try:
            keys.append(parse_key_record(text))
        except BadKey as fault:
            problem = problem or fault
    if problem and not keys:
        raise problem
    return tuple(keys)
