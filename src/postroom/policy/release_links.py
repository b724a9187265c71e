"""Links by which one message is released from quarantine: signed, for one purpose, and only for a while.

A link holds the item, the end of its time, and an HMAC-SHA256 over purpose, item, account and end, with a key of this
installation. Whoever has the link may release that message into its own recipient's inbox, and nothing else: so a
digest that is passed on gives nothing away but that.
Pure. Trusts: nothing in a link before `holds` says so.
Standards: RFC 2104, RFC 4648 5.
On failure: BadLink, which says no more than that it is not good.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote

PATH: Final = "/quarantine/release"
_PURPOSE: Final = b"postroom quarantine release 1"
_TOKEN: Final = re.compile(r"([0-9a-z]{1,40}-[0-9]{1,6})\.([0-9]{1,12})\.([A-Za-z0-9_-]{22})")
_LONGEST: Final = 2000


class BadLink(ValueError):
    """It was not made here, was changed, or is too old."""


@dataclass(frozen=True, slots=True)
class ReleaseLink:
    """What a link says. item: of the quarantine; until: Unix seconds."""

    item: str
    until: int
    seal: str


def token(secret: bytes, item: str, account: str, until: float) -> str:
    """What is in a link. secret: of the installation; account: whose item it is."""
    end = int(until)
    return f"{item}.{end}.{_seal(secret, item, account, end)}"


def link(url: str, token_: str) -> str:
    """url: quarantine.url."""
    return f"{url.rstrip('/')}{PATH}?m={quote(token_, safe='.-_')}"


def read_link(text: str) -> ReleaseLink:
    """Of a whole link, or only what is in it. Raises BadLink."""
    text = text.strip()
    found = _TOKEN.fullmatch(text.rpartition("m=")[2]) if len(text) <= _LONGEST else None
    if found is None:
        raise BadLink("this is no link to release mail from quarantine")
    return ReleaseLink(found[1], int(found[2]), found[3])


def check(secret: bytes, given: ReleaseLink, account: str, now: float) -> None:
    """Raises BadLink. account: whose item it is, "" when there is no such item."""
    good = hmac.compare_digest(_seal(secret, given.item, account, given.until), given.seal)
    if not good or not account:
        raise BadLink("this link was not made here, or its message is gone")
    if now >= given.until:
        raise BadLink("this link is too old")


def _seal(secret: bytes, item: str, account: str, until: int) -> str:
    said = b"\0".join((_PURPOSE, item.encode(), account.encode(), str(until).encode()))
    return urlsafe_b64encode(hmac.digest(secret, said, sha256)[:16]).rstrip(b"=").decode()
