"""Who somebody is, and what an address stands for.

Trusts: the directory. Logins and passwords are hostile text.
A wrong password, an unknown login and an account without a password look the same to the peer and take the same time.
Standards: RFC 4616 and RFC 4013 (prepared passwords), RFC 5802 (SCRAM keys), RFC 6409 6.1 (whose address is it).
On failure: identity.errors; StoreError when the directory cannot be read.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Final

import msgspec

from postroom.config import Passwords
from postroom.identity import app_passwords
from postroom.identity.cache import VerdictCache
from postroom.identity.errors import AccountDisabled, BadCredentials, PasswordsUnavailable
from postroom.identity.hashing import LONGEST_PASSWORD, Hasher, decoy
from postroom.identity.model import Closed, Found, Hosted, Permit, Resolution, Sending
from postroom.identity.routing import Routing, detailed
from postroom.identity.sending import permit
from postroom.identity.tokens import digest
from postroom.store.api import AccountRow, DirectoryStore, StoreError, TokenRow
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock
from postroom.wire.sasl import ScramKeys, saslprep

#: answers that are remembered while the directory stays as it is
_REMEMBERED: Final = 10_000


class Identity:
    """Answers for one worker. postmaster: address for mail to a postmaster nobody has set up, "" the first account."""

    __slots__ = (
        "_asked",
        "_cache",
        "_clock",
        "_decoy",
        "_directory",
        "_found",
        "_generation",
        "_hasher",
        "_resolved",
        "_routing",
    )

    def __init__(
        self,
        directory: DirectoryStore,
        hasher: Hasher,
        clock: Clock,
        passwords: Passwords,
        *,
        hostname: str = "localhost",
        postmaster: str = "",
    ) -> None:
        self._directory = directory
        self._hasher = hasher
        self._clock = clock
        self._cache = VerdictCache(secrets.token_bytes(32), passwords.cache_seconds, clock)
        self._asked: dict[bytes, asyncio.Future[bool | None]] = {}
        self._decoy = decoy(passwords)
        self._routing = Routing(directory, hostname, postmaster)
        # answers of this generation of the directory, only for addresses that are ours
        self._generation = -1
        self._resolved: dict[Address, Hosted] = {}
        self._found: dict[str, Found] = {}

    def follow(self, passwords: Passwords, hostname: str, postmaster: str) -> None:
        """Work by other settings from now on."""
        self._cache.seconds = passwords.cache_seconds
        self._decoy = decoy(passwords)
        self._routing = Routing(self._directory, hostname, postmaster)
        self._resolved.clear()
        self._found.clear()

    async def authenticate(self, login: str, password: str) -> AccountRow:
        """The account whose login and password these are.

        Raises BadCredentials; AccountDisabled, only after the right password; PasswordsUnavailable or another
        StoreUnavailable when it cannot be checked now.
        """
        row = await self._account(login)
        known = row is not None and bool(row.password)
        stored = row.password if row is not None and known else self._decoy
        right = await self._verify(row.login if row is not None else login, stored, password)
        if row is None or not known or not right:
            raise BadCredentials(login)
        if await self._off(row):
            raise AccountDisabled(login)
        return row

    async def scram(self, login: str) -> tuple[AccountRow, ScramKeys] | None:
        """Account and SCRAM keys; None when there is none, it is disabled or has no keys: answer with decoys then."""
        row = await self._account(login)
        if row is None or not row.scram or await self._off(row):
            return None
        return row, msgspec.msgpack.decode(row.scram, type=ScramKeys)

    async def app_password(
        self, login: str, password: str, service: str, ip: str
    ) -> tuple[AccountRow, TokenRow] | None:
        """The account whose app password this is; None when it is none of this login's.

        Raises AppPasswordRefused when it is not for this service or from there, AccountDisabled, StoreError.
        """
        kept = app_passwords.digest(password)
        found = await self._directory.token(kept) if kept is not None else None
        row = await self._account(login) if found is not None else None
        if found is None or row is None or row.id != found.account:
            return None
        if await self._off(row):
            raise AccountDisabled(login)
        app_passwords.check(found, service, ip, self._clock.now())
        return row, found

    async def app_keys(self, login: str, service: str, ip: str) -> tuple[AccountRow, tuple[TokenRow, ...]] | None:
        """The account, and its app passwords that may be used for this service from there; None when it has none or is
        disabled. Raises StoreError.
        """
        row = await self._account(login)
        if row is None or await self._off(row):
            return None
        now = self._clock.now()
        found = [
            one
            for one in await app_passwords.of(self._directory, row.id)
            if not app_passwords.refusal(one, service, ip, now)
        ]
        return (row, tuple(found)) if found else None

    async def by_certificate(self, login: str) -> AccountRow:
        """The account that a verified certificate names; a password it need not have.

        Raises BadCredentials, also for mailboxes that nobody logs in to; AccountDisabled.
        """
        row = await self._account(login) if "@" in login else None
        if row is None or row.shared:
            raise BadCredentials(login)
        if await self._off(row):
            raise AccountDisabled(row.login)
        return row

    async def by_token(self, token: str, now: float) -> tuple[AccountRow, TokenRow]:
        """Whose token it is, and what it may do. Raises BadCredentials (also when it is expired), AccountDisabled."""
        found = await self._directory.token(digest(token))
        row = await self._directory.account(found.account) if found is not None else None
        if found is None or row is None or (found.expires and found.expires <= now):
            raise BadCredentials("token")
        if await self._off(row):
            raise AccountDisabled(row.login)
        return row, found

    async def resolve(self, address: Address) -> Resolution:
        """Where mail for the address goes. Raises StoreError."""
        generation = self._fresh()
        known = self._resolved.get(address)
        if known is not None:
            return known
        answer = await self._routing.resolve(address)
        if isinstance(answer, Hosted) and generation == self._generation:
            self._resolved[address] = answer
        return answer

    async def find(self, address: str) -> Found | None:
        """The account whose mailboxes take mail for a local address of the queue; None when it is gone."""
        generation = self._fresh()
        known = self._found.get(address)
        if known is not None:
            return known
        try:
            parsed = Address.parse(address)
        except BadAddress:
            return None
        found = await self._find(parsed)
        if found is not None and generation == self._generation:
            self._found[address] = found
        return found

    async def _find(self, address: Address) -> Found | None:
        answer = await self.resolve(address)
        closed = isinstance(answer, Closed)  # since the mail was accepted
        if closed:
            answer = await self._routing.resolve(address, suspended=True)
        if not isinstance(answer, Hosted) or answer.targets[0].account is None:
            return None
        row = await self._directory.account(answer.targets[0].account)
        if row is None:
            return None
        if closed:
            return Found(replace(row, disabled=True, receives=False))
        return await detailed(self._directory, address, row)

    async def is_hosted(self, domain: str) -> bool:
        """True for a domain of ours (A-labels, lower case)."""
        return await self._directory.domain(domain) is not None

    async def permit(self, account: AccountRow, address: Address | None) -> Permit:
        """How the account may use an address as a sender's (see identity.sending). Raises StoreError."""
        return await permit(self._directory, self._routing, account, address)

    async def may_send_as(self, account: AccountRow, address: Address | None) -> bool:
        """It may, without saying who it really is; None is the null sender."""
        return (await self.permit(account, address)).kind >= Sending.AS

    # inside

    def _fresh(self) -> int:
        """The directory's generation; answers of an older one are forgotten. Raises StoreUnavailable."""
        generation = self._directory.generation()
        if generation != self._generation or len(self._resolved) + len(self._found) >= _REMEMBERED:
            self._generation = generation
            self._resolved.clear()
            self._found.clear()
        return generation

    async def _account(self, login: str) -> AccountRow | None:
        """The account of a login as people type it: any case; without a domain where only one is hosted."""
        if "@" not in login:
            domains = await self._directory.domains()
            if len(domains) != 1:
                return None
            login = f"{login}@{domains[0].name}"
        try:
            address = Address.parse(login.strip())
        except BadAddress:
            return None
        domain = await self._directory.domain(address.domain)
        if domain is not None and domain.alias_of:
            address = Address(address.local, domain.alias_of)
        return await self._directory.account_by_login(address.key)

    async def _off(self, row: AccountRow) -> bool:
        domain = await self._directory.domain(row.login.rpartition("@")[2])
        return row.disabled or domain is None or domain.disabled

    async def _verify(self, login: str, stored: str, password: str) -> bool:
        try:
            password = saslprep(password)
        except ValueError:
            password = ""  # prohibited characters: nobody's password, but it takes its time
        if len(password.encode("utf-8", "surrogatepass")) > LONGEST_PASSWORD:
            password = ""
        # The login is part of it: or a password tried on one unknown login would be refused faster on the next.
        digest = self._cache.digest(login, stored, password)
        verdict = self._cache.get(digest)
        if verdict is None:
            verdict = await self._asked_once(digest, stored, password)
        return verdict and password != ""

    async def _asked_once(self, digest: bytes, stored: str, password: str) -> bool:
        """Hash, but a device that opens ten connections at once makes one request, not ten."""
        while (under_way := self._asked.get(digest)) is not None:
            verdict = await asyncio.shield(under_way)
            if verdict is not None:
                return verdict
        answer: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self._asked[digest] = answer
        try:
            verdict = await self._hasher.verify(stored, password)
        except asyncio.CancelledError:
            answer.set_result(None)  # the one who asked has hung up: one of the others asks again
            raise
        except BaseException as fault:
            answer.set_exception(fault if isinstance(fault, StoreError) else PasswordsUnavailable("nobody answered"))
            answer.exception()  # perhaps nobody else waits for it
            raise
        finally:
            del self._asked[digest]
        self._cache.put(digest, verdict)
        answer.set_result(verdict)
        return verdict
