"""Addresses by which one message is released from quarantine: signed, for one purpose, and only for a while.

An address `release+ITEM.UNTIL.SEAL@domain` holds what a link holds (policy.release_links), with a seal of its own, in
letters that no mail program changes the case of. A seal alone releases nothing: the mail must come from the log-in
whose message it is.
Pure. Trusts: nothing in an address before `check_address` says so.
Standards: RFC 2104, RFC 4648 6, RFC 5321 4.5.3.1.1 (64 octets of a local part).
On failure: BadLink, which says no more than that it is not good.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from hashlib import sha256
from typing import Final

from postroom.policy.release_links import BadLink, ReleaseLink
from postroom.values.address import Address

_PURPOSE: Final = b"postroom quarantine release by mail 1"
_LOCAL: Final = re.compile(r"release\+([0-9a-z]{1,24}-[0-9]{1,4})\.([0-9]{1,11})\.([a-z2-7]{20})", re.IGNORECASE)


def release_address(secret: bytes, item: str, account: str, until: float, domain: str) -> Address | None:
    """secret: of the installation; account: whose item it is; None when the item's number is too long for one."""
    end = int(until)
    made = Address(f"release+{item}.{end}.{_seal(secret, item, account, end)}", domain)
    return made if _LOCAL.fullmatch(made.local) and len(made.local) <= 64 else None


def read_address(address: Address) -> ReleaseLink | None:
    """What such an address says; None for any other."""
    found = _LOCAL.fullmatch(address.local)
    return ReleaseLink(found[1].lower(), int(found[2]), found[3].lower()) if found else None


def check_address(secret: bytes, given: ReleaseLink, account: str, now: float) -> None:
    """account: who writes there. Raises BadLink."""
    if not hmac.compare_digest(_seal(secret, given.item, account, given.until), given.seal):
        raise BadLink("this address was not made for you")
    if now >= given.until:
        raise BadLink("this address is too old")


def _seal(secret: bytes, item: str, account: str, until: int) -> str:
    said = b"\0".join((_PURPOSE, item.encode(), account.encode(), str(until).encode()))
    return b32encode(hmac.digest(secret, said, sha256))[:20].decode().lower()
