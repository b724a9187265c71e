"""Envelope senders that only we can have made: Bounce Address Tag Validation, scheme prvs.

Mail of our own people leaves as `prvs=KDDDSSSSSS=ann@here`: K names the key, DDD is the day until which the tag is
good, SSSSSS what only the key can make of both and the address. A report that comes back to such an address is about
mail of ours; one that comes to the bare address of somebody whose mail is tagged is about mail that others have forged.
Owns: the scheme; the secret is passed in. Trusts: nobody; a tag that is not ours, or has expired, is refused.
Standards: draft-levine-smtp-batv-01 (an expired Internet-Draft, in wide use): the form of the tag. Its HMAC is of
SHA-1; only who made a tag can check it, so ours is of SHA-256.
On failure: BadReturn with the reason.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from postroom.identity.srs import BadReturn, is_return_address
from postroom.values.address import Address

#: days in which a report can come back: other servers try for five days, and their reports may have to wait as long
LIFE: Final = 14
_DAYS: Final = 1000
_LONGEST: Final = 64  # RFC 5321 4.5.3.1.1: octets of a local part
_TAG: Final = re.compile(r"prvs=([0-9])([0-9]{3})([0-9a-f]{6})=(.+)", re.IGNORECASE | re.DOTALL)


class Batv:
    """The scheme with our secrets: the first makes tags, all are accepted."""

    __slots__ = ("_keys",)

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._keys = tuple([hmac.digest(secret, b"batv", sha256) for secret in secrets])

    def tagged(self, sender: Address, now: float) -> Address:
        """The sender with a tag; as it is when it would be too long, or is a return address already."""
        local = sender.local
        if not fits(local):
            return sender
        stamp = f"{_digit(self._keys[0])}{(int(now // 86400) + LIFE) % _DAYS:03}"
        return Address(f"prvs={stamp}{_sign(self._keys[0], stamp, sender)}={local}", sender.domain)

    def check(self, address: Address, now: float) -> Address:
        """The address behind a tag. Raises BadReturn when it is not ours, or has expired."""
        found = _TAG.fullmatch(address.local)
        if found is None:
            raise BadReturn("This return address is not complete")
        stamp, sign, plain = found[1] + found[2], found[3].lower(), Address(found[4], address.domain)
        keys = [key for key in self._keys if _digit(key) == found[1]]
        if not any(hmac.compare_digest(_sign(key, stamp, plain), sign) for key in keys):
            raise BadReturn("This return address was not made here")
        if (int(found[2]) - int(now // 86400)) % _DAYS > LIFE:
            raise BadReturn(f"This return address has expired: it was good for {LIFE} days")
        return plain


def fits(local: str) -> bool:
    """Can this local part have a tag?"""
    return len(local.encode()) <= _LONGEST - 16 and not is_return_address(local) and not is_tagged(local)


def is_tagged(local: str) -> bool:
    """True for a local part with a tag, whoever made it."""
    return _TAG.fullmatch(local) is not None


def bare(address: Address) -> Address:
    """The address without its tag, whoever made that: the same person has another tag every day."""
    found = _TAG.fullmatch(address.local)
    return Address(found[4], address.domain) if found else address


def _digit(key: bytes) -> str:
    return str(key[0] % 10)


def _sign(key: bytes, stamp: str, address: Address) -> str:
    """Servers on the way may have changed the case."""
    text = f"{stamp}{address.local}@{address.domain}".lower().encode("utf-8", "surrogatepass")
    return hmac.digest(key, text, sha256)[:3].hex()
