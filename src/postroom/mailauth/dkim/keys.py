"""Private keys: making them, loading them once, and the DNS record that publishes their other half.

A key object is kept as long as its domain signs: loading RSA costs more than the record it is used for.
Making a key is the one place of this room that draws randomness, from the operating system.
Standards: RFC 8301 3.2 (2048 bits), RFC 8463, RFC 6376 3.6.1; PEM is PKCS #8 without a password.
On failure: BadPrivateKey.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from postroom.mailauth.dkim.keyrecord import MAX_RSA_BITS, MIN_RSA_BITS, BadKey, key_name, parse_key_record

#: octets of one character-string of a TXT record (RFC 1035 3.3)
MAX_STRING = 255

_DIGEST = Prehashed(SHA256())
_ALGORITHMS = {"rsa": "rsa-sha256", "ed25519": "ed25519-sha256"}


class BadPrivateKey(ValueError):
    """Text that is no private key to sign mail with; the text says why."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key ready to sign, with the place of its public half. `kind`: rsa or ed25519."""

    domain: str
    selector: str
    kind: str
    private: RSAPrivateKey | Ed25519PrivateKey

    @classmethod
    def load(cls, domain: str, selector: str, pem: str) -> SigningKey:
        """From PEM. Raises BadPrivateKey."""
        try:
            private = load_pem_private_key(pem.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
            raise BadPrivateKey("this is no private key in PEM form without a password") from fault
        if isinstance(private, Ed25519PrivateKey):
            return cls(domain, selector, "ed25519", private)
        if not isinstance(private, RSAPrivateKey):
            raise BadPrivateKey("only RSA and Ed25519 keys can sign mail")
        if not MIN_RSA_BITS <= private.key_size <= MAX_RSA_BITS:
            raise BadPrivateKey(f"the RSA key has {private.key_size} bits; 2048 are wanted")
        return cls(domain, selector, "rsa", private)

    @property
    def algorithm(self) -> str:
        """What a= says."""
        return _ALGORITHMS[self.kind]

    @property
    def record_name(self) -> str:
        """Where the public half is published."""
        return key_name(self.selector, self.domain)

    def sign(self, digest: bytes) -> bytes:
        """The signature over a SHA-256 digest."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(digest, PKCS1v15(), _DIGEST)
        return self.private.sign(digest)

    @property
    def record(self) -> str:
        """The text of the TXT record that publishes the public half."""
        public = self.private.public_key()
        if isinstance(self.private, RSAPrivateKey):
            octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k={self.kind}; h=sha256; p={base64.b64encode(octets).decode()}"

    def difference(self, published: bytes) -> str:
        """Why a published record does not let others verify what this key signs; "" when it does."""
        try:
            key = parse_key_record(published)
        except BadKey as fault:
            return str(fault)
        digest = hashlib.sha256(b"").digest()
        if key.kind != self.kind or not key.verifies(self.sign(digest), digest):
            return "the record publishes another key"
        if not key.allows_sha256:
            return "the record forbids SHA-256 (h=)"
        return ""


def generate_key(kind: str = "rsa", bits: int = 2048) -> str:
    """A new private key, kind rsa or ed25519, as PEM. Raises BadPrivateKey for another kind or size."""
    if kind == "ed25519":
        private: RSAPrivateKey | Ed25519PrivateKey = Ed25519PrivateKey.generate()
    elif kind == "rsa" and 2048 <= bits <= MAX_RSA_BITS:
        private = generate_private_key(65537, bits)
    else:
        raise BadPrivateKey(f"no key of kind {kind} and {bits} bits is made here")
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def character_strings(text: str) -> tuple[str, ...]:
    """A TXT record's text in strings of at most 255 octets; joined they are the text (RFC 6376 3.6.2.2)."""
    return tuple(text[start : start + MAX_STRING] for start in range(0, len(text), MAX_STRING)) or ("",)
