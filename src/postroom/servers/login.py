"""Logging in, the same for every protocol: which mechanisms, the SASL steps, the throttle, the log.

Owns: the mechanism of an exchange in progress. Trusts: identity for every answer about passwords.
Unknown login, wrong password and failed proof look alike, in time and text.
Standards: RFC 4422 and its appendix A (EXTERNAL: by a certificate that was verified); RFC 4616 2 (nobody acts for
another account here); RFC 5802 (decoy keys for unknown logins).
On failure: LoginRefused, whose kind the protocol turns into its own code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import Enum, auto
from weakref import WeakKeyDictionary

from postroom.identity.app_passwords import keys_of
from postroom.identity.errors import AccountDisabled, AppPasswordRefused, BadCredentials
from postroom.identity.tokens import digest
from postroom.net.link import Link
from postroom.servers.ports import Identity, Log, Throttle
from postroom.store.api import AccountRow, DirectoryStore, StoreError, TokenRow
from postroom.wire import sasl

_PLUS = "SCRAM-SHA-256-PLUS"
_EXTERNAL = "EXTERNAL"
_MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN")


class Kind(Enum):
    """Why a login is refused."""

    WRONG = auto()
    FORBIDDEN = auto()  # the right password, but for another account than the one asked for
    DISABLED = auto()
    THROTTLED = auto()
    MALFORMED = auto()
    UNAVAILABLE = auto()


class LoginRefused(Exception):
    """The login is refused; the text is for the client."""

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


async def unwelcome(directory: DirectoryStore, account: str, opened_by: bytes = b"") -> str:
    """Why who is logged in may not stay: the account is gone or disabled, or its domain, or the app password is gone
    that opened the session (its digest; Logins.opened). "" when he may.
    """
    row = await directory.account(account)
    domain = await directory.domain(row.login.rpartition("@")[2]) if row is not None else None
    if row is None or row.disabled or domain is None or domain.disabled:
        return "This account is disabled"
    if opened_by and await directory.token(opened_by) is None:
        return "This app password was withdrawn"
    return ""


def _unnoticed(_account: AccountRow, _told: str) -> None:
    """Nobody wants to know."""


#: a set of SCRAM keys, and the app password they are of, None for the account's own password
Keys = tuple[sasl.ScramKeys, TokenRow | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """What all logins of a service share. nonce: fresh randomness, 18 characters at least; decoy: a secret.

    plaintext_on_loopback: passwords without TLS for clients on this machine; entered: told of each login, and from
    which address; certificates: logins by the SHA-256 of a client's certificate; used: told of the use of an app
    password, by its id and service; opened: digests of the app passwords that opened connections.
    """

    service: str
    identity: Identity
    throttle: Throttle
    log: Log
    nonce: Callable[[], str]
    decoy: bytes
    scram_iterations: int = 4096
    plaintext_on_loopback: bool = False
    entered: Callable[[AccountRow, str], None] = _unnoticed
    certificates: Mapping[str, str] = field(default_factory=dict)
    used: Callable[[AccountRow, str], None] = _unnoticed
    opened: MutableMapping[Link, bytes] = field(default_factory=WeakKeyDictionary)

    def mechanisms(self, link: Link) -> tuple[str, ...]:
        """What this connection may use now; nothing before TLS, but on loopback where that is configured."""
        if link.tls is not None and self._named(link):
            return (_EXTERNAL, _PLUS, *_MECHANISMS) if link.tls.server_end_point else (_EXTERNAL, *_MECHANISMS)
        if link.tls is not None and link.tls.server_end_point:
            return (_PLUS, *_MECHANISMS)
        if link.tls is not None or (self.plaintext_on_loopback and link.loopback):
            return _MECHANISMS
        return ()

    async def password(self, link: Link, login: str, password: str, mechanism: str = "") -> AccountRow:
        """The account this password opens; mechanism: for the log. Raises LoginRefused."""
        await self._throttled(link, login, mechanism)
        try:
            found = await self.identity.app_password(login, password, self.service, link.peer[0])
            if found is not None:
                return self._entered(link, found[0], mechanism, found[1])
            row = await self.identity.authenticate(login, password)
        except AppPasswordRefused as fault:
            self._failed(link, login, mechanism, str(fault))  # no guess: it is not held against the peer
            raise LoginRefused(Kind.FORBIDDEN, str(fault)) from None
        except BadCredentials:
            raise self.wrong(link, login, mechanism, password=password) from None
        except AccountDisabled:
            self._count(link, login, mechanism, "the account is disabled")
            raise LoginRefused(Kind.DISABLED, "This account is disabled") from None
        except StoreError as fault:
            raise self._unavailable(link, login, fault) from fault
        return self._entered(link, row, mechanism)

    def _named(self, link: Link) -> tuple[str, ...]:
        """The logins that the client's certificate names: as configured, then its own addresses."""
        shown = link.tls.client if link.tls is not None else None
        if shown is None:
            return ()
        configured = self.certificates.get(shown.sha256)
        return (configured, *shown.addresses) if configured else shown.addresses

    async def certificate(self, link: Link, authzid: str) -> AccountRow:
        """The account that the client's certificate names first, or which of its names is asked for.

        Raises LoginRefused.
        """
        named = self._named(link)
        wanted = authzid or next(iter(named), "")
        await self._throttled(link, wanted, _EXTERNAL)
        if authzid and authzid.casefold() not in {name.casefold() for name in named}:
            self._count(link, wanted, _EXTERNAL, "the certificate is not for this account")
            raise LoginRefused(Kind.FORBIDDEN, "Your certificate is not for that account")
        for name in [authzid] if authzid else named:
            try:
                return self._entered(link, await self.identity.by_certificate(name), _EXTERNAL)
            except BadCredentials:
                continue
            except AccountDisabled:
                self._count(link, name, _EXTERNAL, "the account is disabled")
                raise LoginRefused(Kind.DISABLED, "This account is disabled") from None
            except StoreError as fault:
                raise self._unavailable(link, name, fault) from fault
        self._count(link, wanted, _EXTERNAL, "the certificate names no account")
        raise LoginRefused(Kind.WRONG, "Your certificate names no account here")

    async def token(self, link: Link, text: str, now: float) -> tuple[AccountRow, TokenRow]:
        """The account whose access token this is, and what it may do. Raises LoginRefused."""
        name = f"token {digest(text).hex()[:12]}"
        await self._throttled(link, name, "TOKEN")
        try:
            row, token = await self.identity.by_token(text, now)
        except BadCredentials:
            self._count(link, name, "TOKEN", "no such token")
            raise LoginRefused(Kind.WRONG, "There is no such access token, or its time is over") from None
        except AccountDisabled:
            self._count(link, name, "TOKEN", "the account is disabled")
            raise LoginRefused(Kind.DISABLED, "This account is disabled") from None
        except StoreError as fault:
            raise self._unavailable(link, name, fault) from fault
        self.throttle.succeeded(link.peer[0], name)
        return self._entered(link, row, "TOKEN"), token

    async def keys(self, link: Link, login: str, mechanism: str) -> tuple[Keys, ...]:
        """The SCRAM keys of this login, or decoys, so that nobody learns who exists; all have one salt.

        Raises LoginRefused.
        """
        await self._throttled(link, login, mechanism)
        _, found = await self._scram(link, login)
        if not found:
            return ((sasl.decoy_keys(self.decoy, login, self.scram_iterations), None),)
        first = found[0][0]
        return tuple([each for each in found if (each[0].salt, each[0].iterations) == (first.salt, first.iterations)])

    async def proven(self, link: Link, login: str, mechanism: str, by: Keys) -> AccountRow:
        """The account of a login that SCRAM has proven with these keys. Raises LoginRefused."""
        row, found = await self._scram(link, login)
        if row is None or by not in found:
            raise self.wrong(link, login, mechanism)
        return self._entered(link, row, mechanism, by[1])

    async def _scram(self, link: Link, login: str) -> tuple[AccountRow | None, list[Keys]]:
        """All keys that may be used here. Raises LoginRefused."""
        try:
            main = await self.identity.scram(login)
            apps = await self.identity.app_keys(login, self.service, link.peer[0])
        except StoreError as fault:
            raise self._unavailable(link, login, fault) from fault
        found: list[Keys] = [(main[1], None)] if main else []
        found += [(keys_of(token), token) for token in apps[1]] if apps else []
        row = main[0] if main else apps[0] if apps else None
        return row, found

    async def _throttled(self, link: Link, login: str, mechanism: str) -> None:
        delay = self.throttle.before(link.peer[0], login)
        if delay is None:
            self._failed(link, login, mechanism, "too many failures before")
            raise LoginRefused(Kind.THROTTLED, self.throttle.text(link.peer[0]))
        if delay > 0:
            await asyncio.sleep(delay)

    def _failed(self, link: Link, login: str, mechanism: str, reason: str) -> None:
        peer = link.peer[0]
        self.log("login.failed", service=self.service, ip=peer, login=login, mechanism=mechanism, reason=reason)

    def _count(self, link: Link, login: str, mechanism: str, reason: str, password: str = "") -> None:
        self.throttle.failed(link.peer[0], login, password)
        self._failed(link, login, mechanism, reason)

    def wrong(
        self, link: Link, login: str, mechanism: str, reason: str = "wrong name or password", password: str = ""
    ) -> LoginRefused:
        """Count a failed login; what to raise."""
        self._count(link, login, mechanism, reason, password)
        return LoginRefused(Kind.WRONG, "Login name or password is wrong")

    def _unavailable(self, link: Link, login: str, fault: StoreError) -> LoginRefused:
        self.log("login.unavailable", service=self.service, ip=link.peer[0], login=login, reason=str(fault))
        return LoginRefused(Kind.UNAVAILABLE, "Logins cannot be checked now; try again later")

    def _entered(self, link: Link, row: AccountRow, mechanism: str, token: TokenRow | None = None) -> AccountRow:
        """token: the app password it was opened with."""
        self.throttle.succeeded(link.peer[0], row.login)
        self.entered(row, link.peer[0])
        told = {"service": self.service, "ip": link.peer[0], "login": row.login, "mechanism": mechanism}
        if token is not None:
            self.opened[link] = token.digest
            self.used(row, f"{token.id} {self.service}")
            told["app_password"] = token.id
        elif self.opened:
            self.opened.pop(link, None)
        self.log("login.succeeded", **told)
        return row


class Exchange:
    """One SASL exchange: octets for the next challenge, or the account."""

    __slots__ = ("_keys", "_link", "_login", "_logins", "_mechanism", "_name")

    def __init__(self, logins: Logins, link: Link, mechanism: str) -> None:
        """mechanism: one of `logins.mechanisms(link)`."""
        self._logins = logins
        self._link = link
        self._login = ""
        self._keys: tuple[Keys, ...] = ()
        self._name = mechanism
        self._mechanism = self._choose(mechanism)

    def _choose(self, mechanism: str) -> sasl.ServerMechanism:
        if mechanism == "PLAIN":
            return sasl.Plain()
        if mechanism == "LOGIN":
            return sasl.LoginMechanism()
        if mechanism == _EXTERNAL:
            return sasl.External()
        tls = self._link.tls
        return sasl.Scram(
            self._logins.nonce(),
            binding=tls.server_end_point if tls is not None else None,
            plus=mechanism == _PLUS,
            offered_plus=_PLUS in self._logins.mechanisms(self._link),
        )

    async def start(self, initial: bytes | None) -> bytes | AccountRow:
        """Begin. Raises LoginRefused."""
        return await self._take(lambda: self._mechanism.start(initial))

    async def step(self, response: bytes) -> bytes | AccountRow:
        """Go on with the client's answer. Raises LoginRefused."""
        return await self._take(lambda: self._mechanism.step(response))

    async def _take(self, run: Callable[[], sasl.Step]) -> bytes | AccountRow:
        try:
            step = run()
        except sasl.SaslFault as fault:
            raise LoginRefused(Kind.MALFORMED, str(fault)) from None
        except sasl.NotProven as fault:
            raise self._logins.wrong(self._link, self._login, self._name, str(fault)) from None
        if isinstance(step, sasl.Challenge):
            return step.data
        if isinstance(step, sasl.Asserted):
            return await self._logins.certificate(self._link, step.authzid)
        self._login = step.login
        if isinstance(step, sasl.KeysWanted):
            assert isinstance(self._mechanism, sasl.Scram)
            self._keys = await self._logins.keys(self._link, step.login, self._name)
            return self._mechanism.keys(*[keys for keys, _ in self._keys]).data
        if isinstance(step, sasl.Password):
            row = await self._logins.password(self._link, step.login, step.password, self._name)
        else:
            row = await self._logins.proven(self._link, step.login, self._name, self._keys[step.which])
        if step.authzid and step.authzid.casefold() != row.login.casefold():
            raise LoginRefused(Kind.FORBIDDEN, "You cannot act for that account")
        return row
