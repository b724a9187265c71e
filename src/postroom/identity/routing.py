"""What an address stands for: accounts, aliases, plus addresses, catch-all, postmaster.

Trusts: the directory, but not to be free of loops: each address is expanded once, ten levels deep.
Standards: RFC 5321 3.9.1 (aliases), 4.5.1 (postmaster), RFC 5233 1 (detail after "+").
On failure: StoreError from the directory.
"""

from __future__ import annotations

from postroom.identity.model import Hosted, NotHosted, Resolution, Target, Unknown
from postroom.identity.records import REPORT_LOCALS
from postroom.store.api import AccountRow, AliasRow, DirectoryStore, DomainRow
from postroom.values.address import Address, BadAddress

SEPARATOR = "+"
DEPTH = 10
#: an alias that expands to more is cut off there: what one message may cost has a limit
MOST_TARGETS = 1000


class Routing:
    """Resolves addresses. hostname: this machine's own name; postmaster: where its mail goes, "" the first account."""

    __slots__ = ("_directory", "_hostname", "_postmaster")

    def __init__(self, directory: DirectoryStore, hostname: str, postmaster: str) -> None:
        self._directory = directory
        self._hostname = hostname.lower()
        self._postmaster = postmaster

    async def resolve(self, address: Address) -> Resolution:
        """Where mail for the address goes."""
        domain = await self._directory.domain(address.domain)
        postmaster = address.local.casefold() == "postmaster"
        if domain is None:
            # RFC 5321 4.5.1: <postmaster> alone, which SMTP reads as postmaster at our own name, always works.
            if postmaster and address.domain == self._hostname:
                return await self._fallback("")
            return NotHosted()
        if domain.disabled:
            return Unknown()
        if address.local.casefold() in REPORT_LOCALS and await find_row(self._directory, address.key) is None:
            return Hosted((Target(address.key, None, reports=True),))
        targets = await Expansion(self._directory).of(address, domain)
        if targets:
            return Hosted(targets)
        return await self._fallback(domain.name) if postmaster else Unknown()

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
        """The targets of an address in a hosted domain; none when it is unknown."""
        await self._local(address, domain, str(address), DEPTH)
        return tuple(self._found.values())

    async def _local(self, address: Address, domain: DomainRow, name: str, depth: int) -> None:
        """name: how an account that is found is called in the queue; "" its login."""
        key = address.key
        if key in self._seen or depth < 0:
            return
        self._seen.add(key)
        found = await find_row(self._directory, key)
        if found is None:
            if domain.catch_all and Address.parse(domain.catch_all).key != key:
                await self._member(domain.catch_all, depth - 1)
        elif isinstance(found, AccountRow):
            self._found.setdefault(found.id, Target(name or found.login, found.id))
        else:
            for member in found.members:
                if len(self._found) >= MOST_TARGETS:
                    return
                await self._member(member, depth - 1)

    async def _member(self, member: str, depth: int) -> None:
        try:
            address = Address.parse(member)
        except BadAddress:
            return  # checked when it was put there; a damaged row must not stop the others
        domain = await self._directory.domain(address.domain)
        if domain is None:
            self._found.setdefault(address.key, Target(str(address), None))
        elif not domain.disabled:
            await self._local(address, domain, str(address) if SEPARATOR in address.local else "", depth)


async def find_row(directory: DirectoryStore, key: str) -> AccountRow | AliasRow | None:
    """The account or alias an address key names, with or without detail (RFC 5233 1: ann+list@d is ann@d)."""
    found = await _exact(directory, key)
    if found is not None:
        return found
    local, _, domain = key.rpartition("@")
    base, plus, _ = local.partition(SEPARATOR)
    return await _exact(directory, f"{base}@{domain}") if plus and base else None


async def _exact(directory: DirectoryStore, key: str) -> AccountRow | AliasRow | None:
    account = await directory.account_by_login(key)
    if account is not None:
        return account
    alias = await directory.alias(key)
    return alias if alias is not None and not alias.disabled else None
