"""How a connection to a server has to be protected, and what came of it.

Owns: the seam. The relay asks a `TransportSecurity` before each connection and tells it the result after; what is
here knows opportunistic TLS only and remembers which domains once had more (RFC 7435 3).
Trusts: the domain's own statements as the policy sources verified them.
Standards: RFC 7435 (opportunistic security), RFC 3207 4.1; RFC 7672, RFC 8461 and RFC 8689 plug in here.
On failure: nothing raises; a host that must not be used has a `refused` text.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from postroom.net.chains import CertificateRefused
from postroom.net.link import TlsSource
from postroom.net.tls import ClientTls, client_context
from postroom.net.tlsa import Tlsa
from postroom.store.api import Demanded, StoreError

_REMEMBERED: Final = 7 * 86400.0
_RENEWED: Final = 3600.0


class TlsLevel(IntEnum):
    """What a connection must have at least; more is stronger."""

    NONE = 0  # no TLS, also when it is offered
    OPPORTUNISTIC = 1  # TLS when offered, with any certificate; in the clear when it fails
    ENCRYPT = 2  # TLS with any certificate, or no mail
    VERIFY = 3  # TLS with a certificate of `names` from a known authority, or no mail
    DANE = 4  # TLS with a certificate that fits one of `records`, or no mail


class Applied(Struct, frozen=True):
    """The policy that was applied, as reports have it (RFC 8460 4.1).

    kind: "tlsa", "sts" or "no-policy-found"; domain: "" is the recipients'; texts: its lines or records; hosts: of MX.
    """

    kind: str = "no-policy-found"
    domain: str = ""
    texts: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """For people: who demands it."""
        return {"tlsa": "DANE", "sts": "MTA-STS"}.get(self.kind, "")


#: reason of a requirement that sets policies aside (RFC 8689 4.2.2)
NO_TLS_REQUIRED: Final = "TLS-Required: No"
NOTHING_APPLIED: Final = Applied()


class TlsRequirement(Struct, frozen=True, kw_only=True):
    """What one server needs for one domain.

    names: acceptable in the certificate (VERIFY, DANE), the first is said in SNI; records: TLSA (DANE).
    reason: where this comes from, for people and reports ("MTA-STS policy of example.org").
    refused: why this host must not be used at all ("not named in the MTA-STS policy"), "" when it may.
    failure: what `refused` is in reports (RFC 8460 4.3).
    vouched: the name of the host itself is proven, by DNSSEC or MTA-STS (RFC 8689 2).
    testing: what fails is reported only, and the mail goes as it would without a policy (RFC 8461 5).
    released: the domain says by itself, provably, that it demands nothing any more.
    troubles: (result type, words) of policies that could not be had, for reports (RFC 8460 4.3.2.2).
    """

    level: TlsLevel
    names: tuple[str, ...] = ()
    records: tuple[Tlsa, ...] = ()
    reason: str = ""
    refused: str = ""
    failure: str = ""
    vouched: bool = False
    testing: bool = False
    released: bool = False
    applied: Applied = NOTHING_APPLIED
    troubles: tuple[tuple[str, str], ...] = ()


class TlsResult(Struct, frozen=True, kw_only=True):
    """What came of one connection, for reports (RFC 8460 4.3).

    kind: "" when all was well, else "starttls-not-supported", "handshake", "refused" or "fallback" (in the clear
    after a handshake that failed); failure: the result type of RFC 8460 4.3 for it; detail: the fault in words;
    version: such as "TLSv1.3", "" in the clear; source: our address, "" when it is not known.
    """

    domain: str
    host: str
    address: str
    requirement: TlsRequirement
    kind: str = ""
    failure: str = ""
    detail: str = ""
    version: str = ""
    source: str = ""


#: OpenSSL's X509_V_ERR_ numbers
_EXPIRED: Final = frozenset({9, 10})  # not yet valid, has expired
_WRONG_NAME: Final = frozenset({62, 64})  # host name, address
_OF_REFUSED: Final = {"expired": "certificate-expired", "name": "certificate-host-mismatch", "tlsa": "tlsa-invalid"}


def failure_of(fault: Exception | None) -> str:
    """The result type of a handshake that failed (RFC 8460 4.3)."""
    if isinstance(fault, CertificateRefused):
        return _OF_REFUSED.get(fault.kind, "certificate-not-trusted")
    if isinstance(fault, ssl.SSLCertVerificationError):
        if fault.verify_code in _EXPIRED:
            return "certificate-expired"
        return "certificate-host-mismatch" if fault.verify_code in _WRONG_NAME else "certificate-not-trusted"
    return "validation-failure"


def words_of(fault: Exception | None) -> str:
    """A handshake's failure for people, without what only OpenSSL's authors need."""
    if isinstance(fault, ssl.SSLCertVerificationError) and not isinstance(fault, CertificateRefused):
        return f"certificate verify failed: {fault.verify_message.rstrip('.')}"
    return str(fault or "") or "the server closed the connection"


class TransportSecurity(Protocol):
    """What the relay asks and tells about the protection of connections by MX."""

    async def requirement(self, domain: str, host: str, *, secure: bool, port: int = 25) -> TlsRequirement:
        """What a server of a domain needs. secure: DNSSEC vouches for the MX record that named it."""
        ...

    def source(self, requirement: TlsRequirement, host: str) -> TlsSource:
        """Contexts for handshakes with that host, which check what the requirement says."""
        ...

    def told(self, result: TlsResult) -> None:
        """A connection was made, or could not be made, because of TLS."""
        ...


class OpportunisticTls:
    """TLS where it is offered. authorities: PEM file for VERIFY, None for the system's."""

    def __init__(self, authorities: str | None = None) -> None:
        self._authorities = authorities
        self._contexts: dict[bool, ssl.SSLContext] = {}

    async def requirement(self, domain: str, host: str, *, secure: bool, port: int = 25) -> TlsRequirement:
        """See TransportSecurity."""
        return TlsRequirement(level=TlsLevel.OPPORTUNISTIC, reason="no policy", vouched=secure)

    def source(self, requirement: TlsRequirement, host: str) -> TlsSource:
        """See TransportSecurity."""
        verify = requirement.level is TlsLevel.VERIFY
        context = self._contexts.get(verify)
        if context is None:
            context = self._contexts[verify] = client_context(verify, self._authorities)
        return ClientTls(context, host)

    def told(self, result: TlsResult) -> None:
        """See TransportSecurity."""


class Demands(Protocol):
    """Where it is kept, over restarts and for all processes, that a domain has demanded TLS."""

    def demanded(self, domain: str) -> Demanded | None: ...
    async def keep_demanded(self, demanded: Demanded) -> None: ...
    async def forget_demanded(self, domain: str) -> None: ...


class NeverWeaker:
    """Another TransportSecurity, but a domain that has demanded TLS is not sent mail in the clear for a week.

    Unless it says itself that it demands nothing any more, in a way nobody can forge. What is known is in the store;
    the newest `most` domains are also remembered here, for times when the store cannot be read, and so that it is
    written to once an hour at most for each. clock: Unix seconds.
    """

    def __init__(
        self, inner: TransportSecurity, demands: Demands, clock: Callable[[], float], most: int = 10_000
    ) -> None:
        self._inner = inner
        self._demands = demands
        self._clock = clock
        self._most = most
        self._noted: OrderedDict[str, Demanded] = OrderedDict()

    async def requirement(self, domain: str, host: str, *, secure: bool, port: int = 25) -> TlsRequirement:
        """See TransportSecurity."""
        now = await self._inner.requirement(domain, host, secure=secure, port=port)
        if now.level >= TlsLevel.ENCRYPT and not now.testing:
            await self._remember(domain, now.reason)
        elif now.released:
            await self._forget(domain)
        elif now.level < TlsLevel.ENCRYPT and (why := self._why(domain)):
            reason = f"{domain} has demanded TLS before ({why})"
            return replace(now, level=TlsLevel.ENCRYPT, reason=reason)
        return now

    def _why(self, domain: str) -> str:
        known = self._noted.get(domain)
        with suppress(StoreError):
            known = self._demands.demanded(domain)
        return known.why if known is not None and known.until > self._clock() else ""

    async def _remember(self, domain: str, reason: str) -> None:
        until = self._clock() + _REMEMBERED
        known = self._noted.get(domain)
        if known is not None and known.until > until - _RENEWED and known.why == reason:
            return
        demanded = self._noted[domain] = Demanded(domain=domain, why=reason, until=until)
        self._noted.move_to_end(domain)
        if len(self._noted) > self._most:
            self._noted.popitem(last=False)
        with suppress(StoreError):
            await self._demands.keep_demanded(demanded)

    async def _forget(self, domain: str) -> None:
        known = self._noted.pop(domain, None)
        with suppress(StoreError):
            if known is not None or self._demands.demanded(domain) is not None:
                await self._demands.forget_demanded(domain)

    def source(self, requirement: TlsRequirement, host: str) -> TlsSource:
        """See TransportSecurity."""
        return self._inner.source(requirement, host)

    def told(self, result: TlsResult) -> None:
        """See TransportSecurity."""
        self._inner.told(result)
