"""Return addresses of mail that is passed on: the Sender Rewriting Scheme.

Mail from outside that an alias passes on outside would fail SPF under its own sender, so it leaves under an address
of ours that holds the sender: `SRS0=hash=day=domain=local@here`. A report that comes back to it is unwrapped and goes
to the sender. Where the sender is such an address of another server already, `SRS1=hash=server=...` points back to
that server, so that addresses do not grow with every hop.
Owns: the scheme; the secret is passed in. Trusts: nobody; a hash that is not ours, or a day too long ago, is refused.
Standards: the SRS of Wong, 2003, as postsrsd and others speak it; there is no RFC. RFC 5321 3.9.1, 4.5.3.1.1.
On failure: BadReturn with the reason.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from postroom.values.address import Address, BadAddress, parse_domain

#: days in which a report can come back: longer than any queue keeps mail
LIFE: Final = 21
_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CYCLE: Final = 32 * 32
_HASH: Final = 6  # characters of base32: 30 bits, against guesses that each cost an SMTP command
_SRS = re.compile(r"SRS[01][=+-]", re.IGNORECASE)
_SRS0 = re.compile(r"SRS0[=+-]([^=]+)=([A-Z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL)
_SRS1 = re.compile(r"SRS1[=+-]([^=]+)=([^=]+)=([=+-].+)", re.IGNORECASE | re.DOTALL)


class BadReturn(Exception):
    """The return address is not ours, or too old; the text says which, in words for a reply."""


class Srs:
    """The scheme with our secrets: the first makes addresses, all are accepted."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._secrets = tuple(secrets)

    def forward(self, sender: Address, domain: str, now: float) -> Address:
        """The return address at our `domain` for mail of this sender."""
        local = sender.local
        first = _SRS1.fullmatch(local)
        if first:  # another server's SRS1: go back to where it points, past that server
            host, rest = first[2], first[3]
            return Address(f"SRS1={self._hash(self._secrets[0], host, rest)}={host}={rest}", domain)
        if local[:5].upper() in ("SRS0=", "SRS0+", "SRS0-"):
            rest = local[4:]
            return Address(f"SRS1={self._hash(self._secrets[0], sender.domain, rest)}={sender.domain}={rest}", domain)
        day = int(now // 86400) % _CYCLE
        stamp = _DIGITS[day // 32] + _DIGITS[day % 32]
        check = self._hash(self._secrets[0], stamp, sender.domain, local)
        return Address(f"SRS0={check}={stamp}={sender.domain}={local}", domain)

    def reverse(self, local: str, now: float) -> Address:
        """The sender in the local part of a return address of ours. Raises BadReturn."""
        zero, one = _SRS0.fullmatch(local), _SRS1.fullmatch(local)
        try:
            if zero:
                check, stamp, host, rest = zero[1], zero[2].upper(), zero[3], zero[4]
                self._verify(check, stamp, host, rest)
                _check_age(stamp, now)
                return Address(rest, parse_domain(host))
            if one:
                self._verify(one[1], one[2], one[3])
                return Address(f"SRS0{one[3]}", parse_domain(one[2]))
        except BadAddress:
            pass
        raise BadReturn("This return address is not complete")

    def _verify(self, check: str, *parts: str) -> None:
        """Servers on the way may have changed the case."""
        if not any(hmac.compare_digest(self._hash(one, *parts), check.upper()) for one in self._secrets):
            raise BadReturn("This return address was not made here")

    @staticmethod
    def _hash(secret: bytes, *parts: str) -> str:
        text = "\0".join(parts).lower().encode("utf-8", "surrogatepass")
        return base64.b32encode(hmac.digest(secret, text, sha256))[:_HASH].decode()


def is_return_address(local: str) -> bool:
    """True when a local part is one that only this scheme makes."""
    return _SRS.match(local) is not None


def _check_age(stamp: str, now: float) -> None:
    made = _DIGITS.index(stamp[0]) * 32 + _DIGITS.index(stamp[1])
    today = int(now // 86400) % _CYCLE
    if (today - made) % _CYCLE > LIFE:
        raise BadReturn(f"This return address has expired: it was good for {LIFE} days")
