"""What an address stands for: accounts, aliases, addresses with a detail, domain aliases, catch-all, postmaster.

Trusts: the directory, but not to be free of loops: each address is expanded once, ten levels deep.
Standards: RFC 5321 3.9.1 (aliases), 4.5.1 (postmaster), RFC 5233 1 (detail after a separator).
On failure: StoreError from the directory.
"""

from __future__ import annotations

from typing import NamedTuple

from postroom.identity.model import Closed, Found, Hosted, NotHosted, Resolution, Target, Unknown
from postroom.identity.records import REPORT_LOCALS
from postroom.store.api import AccountRow, AliasRow, DirectoryStore, DomainRow
from postroom.values.address import Address, BadAddress

DEPTH = 10
#: an alias that expands to more is cut off there: what one message may cost has a limit
MOST_TARGETS = 1000
#: separators of one address that are tried
_MOST_DETAILS = 4


class Routing:
    """Resolves addresses. hostname: this machine's own name; postmaster: where its mail goes, "" the first account."""

    __slots__ = ("_directory", "_hostname", "_postmaster")

    def __init__(self, directory: DirectoryStore, hostname: str, postmaster: str) -> None:
        self._directory = directory
        self._hostname = hostname.lower()
        self._postmaster = postmaster

    async def resolve(self, address: Address, *, suspended: bool = False) -> Resolution:
        """Where mail for the address goes; suspended: also if its domain takes none now."""
        domain = await self._directory.domain(address.domain)
        postmaster = address.local.casefold() == "postmaster"
        if domain is None:
            # RFC 5321 4.5.1: <postmaster> alone, which SMTP reads as postmaster at our own name, always works.
            if postmaster and address.domain == self._hostname:
                return await self._fallback("")
            return NotHosted()
        real = await real_domain(self._directory, domain)
        if real is None:
            return Unknown()
        if not suspended and not (takes_mail(domain) and takes_mail(real)):
            return Closed(domain.name if not takes_mail(domain) else real.name)
        if address.local.casefold() in REPORT_LOCALS and await find_row(self._directory, address.key) is None:
            return Hosted((Target(address.key, None, reports=True),))
        targets = await Expansion(self._directory).of(address, real)
        if targets:
            return Hosted(targets)
        return await self._fallback(real.name) if postmaster else Unknown()

    async def _fallback(self, domain: str) -> Resolution:
        """Mail for a postmaster nobody has set up: the configured address, else the first account."""
        if self._postmaster:
            address = Address.parse(self._postmaster)
            hosted = await self._directory.domain(address.domain)
            if hosted is None:
                return Hosted((Target(str(address), None),))
            targets = await Expansion(self._directory).of(address, hosted)
            if targets:
                return Hosted(targets)
        accounts = await self._directory.accounts(domain) or await self._directory.accounts()
        able = [row for row in accounts if not row.disabled] or accounts
        if not able:
            return Unknown()
        first = min(able, key=lambda row: (row.created, row.login))
        return Hosted((Target(first.login, first.id),))


class Expansion:
    """One address followed to its ends; remembers what it has seen, so that loops end and nobody gets mail twice."""

    __slots__ = ("_directory", "_found", "_seen")

    def __init__(self, directory: DirectoryStore) -> None:
        self._directory = directory
        self._seen: set[str] = set()
        self._found: dict[str, Target] = {}

    async def of(self, address: Address, domain: DomainRow) -> tuple[Target, ...]:
        """The targets of an address in a hosted domain (no alias of another); none when it is unknown."""
        await self._local(address, domain, str(address), DEPTH)
        return tuple(self._found.values())

    async def _local(self, address: Address, domain: DomainRow, name: str, depth: int) -> None:
        """name: how an account that is found is called in the queue; "" its login."""
        key = Address(address.local, domain.name).key
        if key in self._seen or depth < 0:
            return
        self._seen.add(key)
        found = (await look_up(self._directory, key, domain.separators)).row
        if found is None:
            if domain.catch_all and Address.parse(domain.catch_all).key != key:
                await self._catch_all(domain.catch_all, key, depth)
        elif isinstance(found, AccountRow):
            self._found.setdefault(found.id, Target(name or found.login, found.id))
        elif found.trap:
            self._found.setdefault(found.address, Target(found.address, None, trap=True))
        else:
            for member in found.members:
                if len(self._found) >= MOST_TARGETS:
                    return
                await self._member(member, depth - 1)

    async def _catch_all(self, catcher: str, key: str, depth: int) -> None:
        """Mail for nobody; but for somebody who was deleted and may come back it is refused."""
        if not await self._directory.was_deleted(key):
            await self._member(catcher, depth - 1)

    async def _member(self, member: str, depth: int) -> None:
        try:
            address = Address.parse(member)
        except BadAddress:
            return  # checked when it was put there; a damaged row must not stop the others
        domain = await self._directory.domain(address.domain)
        if domain is None:
            self._found.setdefault(address.key, Target(str(address), None))
            return
        real = await real_domain(self._directory, domain)
        if real is not None and takes_mail(domain) and takes_mail(real):
            exact = await _exact(self._directory, Address(address.local, real.name).key)
            await self._local(address, real, "" if exact is not None else str(address), depth)


def takes_mail(domain: DomainRow) -> bool:
    """Not while it is suspended, unless it receives all the same."""
    return domain.receives or not domain.disabled


async def real_domain(directory: DirectoryStore, domain: DomainRow) -> DomainRow | None:
    """The domain whose addresses these are: itself, or what it is an alias of; None when that is gone."""
    return await directory.domain(domain.alias_of) if domain.alias_of else domain


class LookedUp(NamedTuple):
    """What an address names, its detail, "" when there is none, and its local part without it; folded."""

    row: AccountRow | AliasRow | None
    detail: str = ""
    name: str = ""


async def look_up(directory: DirectoryStore, key: str, separators: str) -> LookedUp:
    """The account or alias an address key names, with or without detail (RFC 5233 1: ann+list@d is ann@d).

    key: in a domain that is no alias. Of several ways to cut a detail off, the longest name that exists counts.
    """
    found = await _exact(directory, key)
    if found is not None or not separators:
        return LookedUp(found, name=key.rpartition("@")[0])
    local, _, domain = key.rpartition("@")
    places = [place for place, char in enumerate(local) if place and char in separators]
    for place in reversed(places[:_MOST_DETAILS]):
        found = await _exact(directory, f"{local[:place]}@{domain}")
        if found is not None:
            return LookedUp(found, local[place + 1 :], local[:place])
    return LookedUp(None)


async def detailed(directory: DirectoryStore, address: Address, row: AccountRow) -> Found:
    """The account that mail for the address is kept in, with the detail of the address."""
    domain = await directory.domain(address.domain)
    real = await real_domain(directory, domain) if domain is not None else None
    if real is None:
        return Found(row)
    known = await look_up(directory, Address(address.local, real.name).key, real.separators)
    folded = known.detail
    written = address.local[len(address.local) - len(folded) :]
    detail = written if written.casefold() == folded else folded
    folders = row.detail_folders or real.detail_folders
    return Found(row, detail, folders, real.separators, known.name)


async def find_row(directory: DirectoryStore, key: str) -> AccountRow | AliasRow | None:
    """The account or alias an address key names, whatever its detail, also in an alias of its domain."""
    local, _, name = key.rpartition("@")
    domain = await directory.domain(name)
    real = await real_domain(directory, domain) if domain is not None else None
    if real is None:
        return None
    return (await look_up(directory, f"{local}@{real.name}", real.separators)).row


async def _exact(directory: DirectoryStore, key: str) -> AccountRow | AliasRow | None:
    account = await directory.account_by_login(key)
    if account is not None:
        return account
    alias = await directory.alias(key)
    return alias if alias is not None and not alias.disabled else None
