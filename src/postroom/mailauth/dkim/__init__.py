"""DKIM: verifying and signing (RFC 6376, RFC 8301, RFC 8463, RFC 8616).

DkimVerifier(header).body(chunk) … await .results(dns, now); sign(header, body digest, keys, now); SigningKey and
generate_key for keys. The rest of the package is their inside.
"""

from postroom.mailauth.dkim.altered import HeaderProof, header_proofs
from postroom.mailauth.dkim.keys import BadPrivateKey, SigningKey, character_strings, generate_key
from postroom.mailauth.dkim.sign import BODY_FORM, CannotSign, sign
from postroom.mailauth.dkim.verify import MAX_SIGNATURES, DkimResult, DkimVerifier

__all__ = [
    "BODY_FORM",
    "MAX_SIGNATURES",
    "BadPrivateKey",
    "CannotSign",
    "DkimResult",
    "DkimVerifier",
    "HeaderProof",
    "SigningKey",
    "character_strings",
    "generate_key",
    "header_proofs",
    "sign",
]
