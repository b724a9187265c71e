"""App passwords: a password of its own for each program or device of a person, made here, that can be taken back alone.

140 random bits in letters that can be typed; of them only a SHA-256 and SCRAM keys are kept: nothing that random can be
guessed, so no slow hash is needed. They open mail protocols only, never the HTTP interface, whose tokens they share a
table with; the digests of the two can never be the same.
All SCRAM keys of an account have one salt and one count of iterations (`salt_of`), because a server must name them
before it knows which password the program has (RFC 5802 3).
On failure: BadValue, AppPasswordRefused.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final

import msgspec

from postroom.config import Passwords
from postroom.identity.errors import AppPasswordRefused, BadValue
from postroom.store.api import AccountRow, DirectoryStore, TokenRow
from postroom.wire.sasl import ScramKeys, derive_scram_keys

#: what one may be for, and the services that are meant
PROTOCOLS: Final = ("imap", "pop3", "smtp", "sieve")
_SERVICES: Final = {"imap": "imap", "pop3": "pop3", "submission": "smtp", "managesieve": "sieve"}
_FORM: Final = re.compile(r"[a-z2-7]{28}")
_OCTETS: Final = 18
_LETTERS: Final = 28
_GROUP: Final = 4
_LONGEST_NAME: Final = 200
_MOST_NETWORKS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a new one is to be. expires: Unix seconds, 0 for never; networks: from where it may be used, () for
    everywhere.
    """

    name: str = ""
    protocols: Sequence[str] = PROTOCOLS
    networks: Sequence[str] = ()
    expires: float = 0.0


def is_app_password(row: TokenRow) -> bool:
    """And no access token."""
    return not set(row.scopes).isdisjoint(PROTOCOLS)


def digest(password: str) -> bytes | None:
    """What is kept of it; None for what cannot be one. Hyphens, spaces and case do not matter."""
    letters = password.replace("-", "").replace(" ", "").lower() if len(password) <= 2 * _LETTERS else ""
    return sha256(b"app password\0" + letters.encode("ascii")).digest() if _FORM.fullmatch(letters) else None


def refusal(row: TokenRow, service: str, ip: str, now: float) -> str:
    """Why it opens nothing here, "" when it does."""
    wanted = _SERVICES.get(service, "")
    if wanted not in row.scopes:
        return f"This app password is for {', '.join(row.scopes)} only"
    if row.expires and row.expires <= now:
        return "The time of this app password is over"
    if row.networks and not _inside(ip, row.networks):
        return f"This app password may not be used from {ip}"
    return ""


def _inside(ip: str, networks: Sequence[str]) -> bool:
    try:
        address = ip_address(ip)
    except ValueError:
        return False
    return any(address in ip_network(network) for network in networks)


def check(row: TokenRow, service: str, ip: str, now: float) -> None:
    """Raises AppPasswordRefused."""
    why = refusal(row, service, ip, now)
    if why:
        raise AppPasswordRefused(why)


def keys_of(row: TokenRow) -> ScramKeys:
    """Its SCRAM keys."""
    return msgspec.msgpack.decode(row.scram, type=ScramKeys)


async def of(directory: DirectoryStore, account: str) -> list[TokenRow]:
    """Those of an account (id), the oldest first."""
    return [row for row in await directory.tokens(account) if is_app_password(row)]


async def salt_of(directory: DirectoryStore, account: str) -> tuple[bytes, int] | None:
    """Salt and iterations that further SCRAM keys of the account must have, while it has app passwords."""
    for row in await of(directory, account):
        keys = keys_of(row)
        return keys.salt, keys.iterations
    return None


async def add(
    directory: DirectoryStore, account: AccountRow, wish: Wish, now: float, random: bytes, limits: Passwords
) -> tuple[str, TokenRow]:
    """The password, which is shown once, and what is kept.

    random: 34 fresh octets. Raises BadValue.
    """
    _check(account, wish)
    there = await of(directory, account.id)
    most = limits.app_passwords
    if len(there) >= most:
        advice = (
            f"Remove one: postroom user app-password rm {account.login}"
            if most
            else "To allow some: passwords.app_passwords."
        )
        raise BadValue(f"{account.login} has {len(there)} of {most} app passwords", advice)
    letters = base64.b32encode(random[:_OCTETS]).decode("ascii").lower()[:_LETTERS]
    text = "-".join(letters[place : place + _GROUP] for place in range(0, _LETTERS, _GROUP))
    main = msgspec.msgpack.decode(account.scram, type=ScramKeys) if account.scram else None
    salt = await salt_of(directory, account.id) or (main and (main.salt, main.iterations))
    keys = derive_scram_keys(text, *(salt or (random[_OCTETS:], limits.scram_iterations)))
    kept = digest(text)
    assert kept is not None
    row = TokenRow(
        id=kept.hex()[:12],
        account=account.id,
        digest=kept,
        name=wish.name,
        scopes=tuple(one for one in PROTOCOLS if one in wish.protocols),
        created=now,
        expires=wish.expires,
        scram=msgspec.msgpack.encode(keys),
        networks=tuple(str(ip_network(one, strict=False)) for one in wish.networks),
    )
    await directory.put_token(row)
    return text, row


def _check(account: AccountRow, wish: Wish) -> None:
    """Raises BadValue."""
    if account.shared:
        raise BadValue(f"nobody logs in to {account.login}: it is shared by its members")
    unknown = [one for one in wish.protocols if one not in PROTOCOLS]
    if unknown or not wish.protocols:
        name = unknown[0][:40] if unknown else "(none)"
        raise BadValue(f"an app password cannot be for {name!r}", f"Protocols: {', '.join(PROTOCOLS)}.")
    if len(wish.name) > _LONGEST_NAME or not wish.name.isprintable():
        raise BadValue(f"a name is one line of up to {_LONGEST_NAME} characters")
    if len(wish.networks) > _MOST_NETWORKS:
        raise BadValue(f"an app password has up to {_MOST_NETWORKS} networks")
    for network in wish.networks:
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise BadValue(f"{network[:60]!r} is no network", "Write 192.0.2.0/24 or one address.") from None
