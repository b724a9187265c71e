"""Administration of domains, accounts and aliases: what the commands do.

Owns: the rules for what may be put into the directory. Trusts: an administrator's intentions, not his spelling.
Every change is durable when it returns and acts at once in running workers (they check the directory's version).
On failure: DirectoryError with what to do about it, or StoreError; nothing was changed then.
"""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from postroom.config import Passwords
from postroom.identity.errors import AddressTaken, BadValue, NoSuchAccount, NoSuchAlias, NoSuchDomain, StillInUse
from postroom.identity.hashing import LONGEST_PASSWORD, Hasher
from postroom.identity.routing import find_row
from postroom.store.api import AccountRow, AliasRow, DomainRow, NotFound, Store
from postroom.values.address import Address, BadAddress, parse_domain
from postroom.values.clock import Clock
from postroom.wire.imap.capability import OPTIONAL
from postroom.wire.sasl import derive_scram_keys, saslprep

#: what every account begins with, and its special use (RFC 6154 2); INBOX has none
MAILBOXES = [
    ("INBOX", ""),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
    ("Junk", "\\Junk"),
    ("Archive", "\\Archive"),
]
#: what becomes of mail that claims a hosted domain and cannot prove it
SPOOF = ("refuse", "junk", "mark")
POP3_DELETE = ("delete", "trash", "keep")
LEAST_PASSWORD = 8
#: what `set_account` may change
SETTABLE = frozenset({
    "name",
    "quota",
    "quota_messages",
    "pop3_delete",
    "pop3_seen",
    "imap_without",
    "daily_messages",
    "daily_recipients",
    "daily_new",
})  # fmt: skip
#: what limits on sending may be: -1 is the configured one, 0 none
_LIMITS = range(-1, 1 << 40)


class Directory:
    """Changes the directory of a store. new_id makes account ids: opaque, never reused."""

    def __init__(
        self,
        store: Store,
        hasher: Hasher,
        clock: Clock,
        passwords: Passwords,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._store = store
        self._directory = store.directory
        self._hasher = hasher
        self._clock = clock
        self._passwords = passwords
        self._new_id = new_id

    # domains

    async def add_domain(self, name: str, catch_all: str = "") -> DomainRow:
        """Host a domain. Raises BadValue, AddressTaken."""
        key = _domain(name)
        if await self._directory.domain(key) is not None:
            raise AddressTaken(f"the domain {key} is hosted already")
        row = DomainRow(name=key, created=self._clock.now(), catch_all=_address(catch_all).key if catch_all else "")
        await self._directory.put_domain(row)
        return row

    async def domain(self, name: str) -> DomainRow:
        """Raises NoSuchDomain, with a guess at what was meant."""
        key = _domain(name)
        row = await self._directory.domain(key)
        if row is None:
            known = [domain.name for domain in await self._directory.domains()]
            raise NoSuchDomain(
                f"the domain {key} is not hosted here", _guess(key, known) or f"To host it: postroom domain add {key}"
            )
        return row

    async def set_domain(
        self,
        name: str,
        *,
        catch_all: str | None = None,
        disabled: bool | None = None,
        hourly_messages: int | None = None,
        spoof: str | None = None,
    ) -> DomainRow:
        """Change what is given. Raises NoSuchDomain, BadValue."""
        row = await self.domain(name)
        if catch_all is not None:
            row = replace(row, catch_all=_address(catch_all).key if catch_all else "")
        if disabled is not None:
            row = replace(row, disabled=disabled)
        if hourly_messages is not None:
            row = replace(row, hourly_messages=_limit(hourly_messages))
        if spoof is not None:
            if spoof not in SPOOF:
                raise BadValue(f"spoof cannot be {spoof!r}", f"It is one of: {', '.join(SPOOF)}.")
            row = replace(row, spoof=spoof)
        await self._directory.put_domain(row)
        return row

    async def remove_domain(self, name: str) -> None:
        """Host it no more. Raises NoSuchDomain, StillInUse while it has accounts or aliases."""
        row = await self.domain(name)
        left = [account.login for account in await self._directory.accounts(row.name)]
        left += [alias.address for alias in await self._directory.aliases(row.name)]
        if left:
            raise StillInUse(
                f"the domain {row.name} still has {len(left)} accounts and aliases: {_some(left)}",
                "Remove those first (postroom user rm, postroom alias rm), or switch the domain off instead.",
            )
        await self._directory.remove_domain(row.name)

    # accounts

    async def add_account(
        self, login: str, password: str = "", *, name: str = "", quota: int = 0, iterations: int = 0
    ) -> AccountRow:
        """A new account with its mailboxes. password "": nobody can log in until one is set.

        quota: octets, 0 for no limit; iterations of SCRAM, 0 takes the configured. Raises BadValue, AddressTaken,
        NoSuchDomain.
        """
        address = _address(login)
        await self.domain(address.domain)
        if await self._directory.account_by_login(address.key) is not None:
            raise AddressTaken(f"there is an account {address.key} already", "Log-in names ignore case.")
        if await self._directory.alias(address.key) is not None:
            raise AddressTaken(f"{address.key} is an alias", f"To make it an account: postroom alias rm {address.key}")
        row = AccountRow(id=self._new_id(), login=address.key, created=self._clock.now(), name=_name(name))
        row = replace(row, quota=_quota(quota))
        if password:
            row = await self._with_password(row, password, iterations)
        # The folder first: an account that exists can be delivered to. Without the row the folder is nobody's, and
        # `postroom check` names it.
        await self._store.create_account(row.id, MAILBOXES)
        await self._directory.put_account(row)
        return row

    async def account(self, login: str) -> AccountRow:
        """Raises NoSuchAccount, with a guess at what was meant."""
        key = _address(login).key
        row = await self._directory.account_by_login(key)
        if row is None:
            if await self._directory.alias(key) is not None:
                raise NoSuchAccount(f"{key} is an alias, not an account", f"See: postroom alias show {key}")
            known = [account.login for account in await self._directory.accounts()]
            raise NoSuchAccount(f"there is no account {key}", _guess(key, known) or "See: postroom user list")
        return row

    async def set_account(self, login: str, /, **changes: Any) -> AccountRow:
        """Change what SETTABLE names. Raises NoSuchAccount, BadValue."""
        row = await self.account(login)
        for key, value in changes.items():
            row = replace(row, **{key: _setting(key, value)})
        await self._directory.put_account(row)
        return row

    async def set_password(self, login: str, password: str, *, iterations: int = 0) -> AccountRow:
        """Store a new password: argon2id and SCRAM keys. Logins verified before count no more. Raises BadValue."""
        row = await self._with_password(await self.account(login), password, iterations)
        await self._directory.put_account(row)
        return row

    async def disable(self, login: str, disabled: bool = True) -> AccountRow:
        """Nobody can log in any more and new mail for it is refused; its mail stays. False switches it on again."""
        row = replace(await self.account(login), disabled=disabled)
        await self._directory.put_account(row)
        return row

    async def remove_account(self, login: str) -> tuple[AccountRow, list[AliasRow]]:
        """Remove an account, its mail, and its place in aliases; gives the row and those.

        An alias that would be left without members is not emptied: it refuses. Raises StillInUse, NoSuchAccount.
        """
        row = await self.account(login)
        affected = [alias for alias in await self._directory.aliases() if row.login in alias.members]
        alone = [alias.address for alias in affected if len(alias.members) == 1]
        if alone:
            raise StillInUse(
                f"{row.login} is the only member of {_some(alone)}",
                "Give these aliases another member, or remove them (postroom alias rm).",
            )
        for alias in affected:
            await self._directory.put_alias(
                replace(alias, members=tuple(member for member in alias.members if member != row.login))
            )
        # The row first: from here on nobody is let in or delivered to; a folder left over is found by `check`.
        await self._directory.remove_account(row.id)
        with suppress(NotFound):
            await self._store.remove_account(row.id)
        return row, affected

    # aliases

    async def add_alias(self, address: str, members: Sequence[str]) -> AliasRow:
        """A new alias. Raises BadValue, AddressTaken, NoSuchDomain; NoSuchAccount for a hosted member nobody has."""
        key = _address(address)
        await self.domain(key.domain)
        if await self._directory.alias(key.key) is not None:
            raise AddressTaken(
                f"there is an alias {key.key} already",
                f"To give it other members: postroom alias set {key.key} MEMBER...",
            )
        if await self._directory.account_by_login(key.key) is not None:
            raise AddressTaken(f"{key.key} is an account", "An address is either an account or an alias.")
        row = AliasRow(address=key.key, members=await self._members(key, members), created=self._clock.now())
        await self._directory.put_alias(row)
        return row

    async def alias(self, address: str) -> AliasRow:
        """Raises NoSuchAlias, with a guess at what was meant."""
        key = _address(address).key
        row = await self._directory.alias(key)
        if row is None:
            known = [alias.address for alias in await self._directory.aliases()]
            raise NoSuchAlias(f"there is no alias {key}", _guess(key, known) or "See: postroom alias list")
        return row

    async def set_alias(
        self, address: str, *, members: Sequence[str] | None = None, disabled: bool | None = None
    ) -> AliasRow:
        """Change what is given. Raises as add_alias, and NoSuchAlias."""
        row = await self.alias(address)
        if members is not None:
            row = replace(row, members=await self._members(Address.parse(row.address), members))
        if disabled is not None:
            row = replace(row, disabled=disabled)
        await self._directory.put_alias(row)
        return row

    async def remove_alias(self, address: str) -> None:
        """Raises NoSuchAlias."""
        await self._directory.remove_alias((await self.alias(address)).address)

    # inside

    async def _members(self, alias: Address, members: Sequence[str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for member in members:
            address = _address(member)
            if address.key == alias.key:
                raise BadValue(f"{alias.key} cannot be a member of itself")
            if await self._directory.domain(address.domain) is None:
                found[str(address)] = None
                continue
            await self._check_member(address)
            found[address.key] = None
        if not found:
            raise BadValue(f"the alias {alias.key} needs at least one member")
        return tuple(found)

    async def _check_member(self, address: Address) -> None:
        if await find_row(self._directory, address.key) is None and await self._directory.alias(address.key) is None:
            known = [row.login for row in await self._directory.accounts(address.domain)]
            raise NoSuchAccount(
                f"{address.key} is neither an account nor an alias",
                _guess(address.key, known) or f"To make it: postroom user add {address.key}",
            )

    async def _with_password(self, row: AccountRow, password: str, iterations: int) -> AccountRow:
        prepared = check_password(password, row.login)
        keys = derive_scram_keys(prepared, secrets.token_bytes(16), iterations or self._passwords.scram_iterations)
        return replace(row, password=await self._hasher.hash(prepared), scram=msgspec.msgpack.encode(keys))


def check_password(password: str, login: str = "") -> str:
    """The password as it is hashed (RFC 4013). Raises BadValue when it will not do, without repeating it."""
    try:
        prepared = saslprep(password, stored=True)
    except ValueError as fault:
        raise BadValue(f"the password holds {fault}", "Use characters that can be typed on any keyboard.") from fault
    if len(prepared) < LEAST_PASSWORD:
        raise BadValue(f"the password is shorter than {LEAST_PASSWORD} characters", "Four words in a row are better.")
    if len(prepared.encode()) > LONGEST_PASSWORD:
        raise BadValue(f"the password is longer than {LONGEST_PASSWORD} octets")
    if login and prepared.casefold() in {login, login.partition("@")[0]}:
        raise BadValue("the password is the log-in name")
    return prepared


def _setting(key: str, value: Any) -> Any:
    if key not in SETTABLE:
        raise BadValue(f"{key} cannot be set", f"What can: {', '.join(sorted(SETTABLE))}.")
    if key in ("quota", "quota_messages"):
        return _quota(value)
    if key == "imap_without":
        return _capabilities(value)
    if key.startswith("daily_"):
        return _limit(value)
    if key == "pop3_delete" and value not in POP3_DELETE:
        raise BadValue(f"pop3_delete cannot be {value!r}", f"It is one of: {', '.join(POP3_DELETE)}.")
    if key == "pop3_seen" and not isinstance(value, bool):
        raise BadValue(f"pop3_seen cannot be {value!r}", "It is true or false.")
    return _name(str(value)) if key == "name" else value


def _quota(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise BadValue(f"a quota cannot be {value!r}", "It is a number of octets or messages; 0 is no limit.")
    return value


def _capabilities(names: Sequence[str]) -> tuple[str, ...]:
    """As they are printed, in the order of the CAPABILITY response."""
    for name in names:
        if name.upper() not in OPTIONAL:
            advice = _guess(name.upper(), OPTIONAL) or f"What can: {', '.join(OPTIONAL.values())}."
            raise BadValue(f"{name} is no capability that can be switched off", advice)
    wanted = {name.upper() for name in names}
    return tuple(name for key, name in OPTIONAL.items() if key in wanted)


def _limit(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in _LIMITS:
        raise BadValue(f"a limit cannot be {value!r}", "It is a number; 0 is no limit, -1 the configured one.")
    return value


def _name(text: str) -> str:
    if len(text) > 200 or not text.isprintable():
        raise BadValue("a name is one line of up to 200 characters")
    return text


def _address(text: str) -> Address:
    try:
        return Address.parse(text.strip())
    except BadAddress as fault:
        raise BadValue(f"{text!r} is no mail address", "Write it as local@domain, such as ann@example.com.") from fault


def _domain(text: str) -> str:
    try:
        name = parse_domain(text.strip())
    except BadAddress as fault:
        raise BadValue(f"{text!r} is no domain name", "Write it as in a mail address, such as example.com.") from fault
    if name.startswith("["):
        raise BadValue(f"{text!r} is an address literal, not a domain name")
    return name


def _guess(wrong: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(wrong, list(known), 1, 0.75)
    return f"Did you mean {close[0]}?" if close else ""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
