"""Access tokens: what programs show instead of a password.

A token is 32 random octets in base64url behind a prefix that scanners for leaked secrets can find. Only its SHA-256
is kept: who reads the directory cannot use it, and nothing that random can be guessed, so no slow hash is needed.
Owns: the form of tokens and their scopes.
On failure: BadValue.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from postroom.identity.app_passwords import is_app_password
from postroom.identity.errors import BadValue
from postroom.store.api import AccountRow, DirectoryStore, TokenRow

PREFIX: Final = "prt_"
#: what a token may do: send, and look at or cancel what its account sent; only look
SCOPES: Final = ("send", "read-events")
#: tokens of one account
MOST: Final = 100
_OCTETS: Final = 32
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a new token is to be. expires: Unix seconds, 0 for never."""

    name: str = ""
    scopes: Sequence[str] = ("send",)
    expires: float = 0.0


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


async def of(directory: DirectoryStore, account: str) -> list[TokenRow]:
    """Those of an account (id), the oldest first; app passwords, which are kept beside them, are none."""
    return [row for row in await directory.tokens(account) if not is_app_password(row)]


def make(account: AccountRow, wish: Wish, now: float, random: bytes) -> tuple[str, TokenRow]:
    """The token, which is shown once, and what is kept. random: 32 fresh octets. Raises BadValue."""
    if len(random) != _OCTETS:
        raise ValueError("32 random octets are needed")
    unknown = [scope for scope in wish.scopes if scope not in SCOPES]
    if unknown or not wish.scopes:
        raise BadValue(f"there is no scope {unknown[0] if unknown else '(none)'}", f"Scopes: {', '.join(SCOPES)}.")
    if len(wish.name) > _LONGEST_NAME or not wish.name.isprintable():
        raise BadValue(f"a name is one line of up to {_LONGEST_NAME} characters")
    token = PREFIX + base64.urlsafe_b64encode(random).rstrip(b"=").decode("ascii")
    kept = digest(token)
    scopes = tuple(scope for scope in SCOPES if scope in wish.scopes)
    row = TokenRow(
        id=kept.hex()[:12],
        account=account.id,
        digest=kept,
        name=wish.name,
        scopes=scopes,
        created=now,
        expires=wish.expires,
    )
    return token, row
