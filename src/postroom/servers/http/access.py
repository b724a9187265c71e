"""Who asks: an access token (Bearer), or login and password (Basic), over TLS or from this machine only.

Owns: nothing. Trusts: nobody; `servers.login` slows guessing down and has it banned, here as in every protocol.
Standards: RFC 6750 2.1 (Bearer, in the header field only), RFC 7617 (Basic), RFC 9110 11.
On failure: Problem 400, 401, 403, 429, 503.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from postroom.identity.tokens import SCOPES
from postroom.net.link import Link
from postroom.servers.http.problems import Problem
from postroom.servers.login import Kind, LoginRefused, Logins
from postroom.store.api import AccountRow

_LONGEST: Final = 4096
_THROTTLED_SECONDS: Final = 60.0
#: status and kind of problem by why a login is refused
_REFUSED: Final = {
    Kind.WRONG: (401, "bad_credentials", 0.0),
    Kind.FORBIDDEN: (403, "not_allowed", 0.0),
    Kind.DISABLED: (403, "disabled", 0.0),
    Kind.THROTTLED: (429, "too_many_failures", _THROTTLED_SECONDS),
    Kind.MALFORMED: (400, "bad_credentials", 0.0),
    Kind.UNAVAILABLE: (503, "unavailable", 5.0),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, over which connection."""

    account: AccountRow
    link: Link

    @property
    def tls(self) -> str | None:
        """Version and cipher, for people."""
        tls = self.link.tls
        return f"{tls.version} {tls.cipher}" if tls is not None else None


@dataclass(frozen=True, slots=True)
class Access:
    """Looks at the Authorization field. now: Unix seconds."""

    logins: Logins
    now: Callable[[], float]

    async def enter(self, request: Request, *scopes: str) -> Caller:
        """The caller, if one of the scopes is his. Raises Problem."""
        link: Link = request.state.link
        if not (link.secure or link.loopback):
            raise Problem(403, "tls_required", "Credentials are taken over HTTPS only")
        given = request.headers.getlist("authorization")
        if len(given) != 1 or len(given[0]) > _LONGEST:
            raise Problem(401, "no_credentials", "Send one Authorization field: Bearer TOKEN, or Basic")
        scheme, _, text = given[0].partition(" ")
        try:
            account, may = await self._enter(link, scheme.lower(), text.strip())
        except LoginRefused as fault:
            status, kind, retry_in = _REFUSED[fault.kind]
            raise Problem(status, kind, fault.text, retry_in=retry_in) from None
        if not set(scopes) & set(may):
            needs = " or ".join(scopes)
            raise Problem(403, "not_allowed", f"This access token lacks the scope {needs}; it has: {' '.join(may)}")
        return Caller(account, link)

    async def _enter(self, link: Link, scheme: str, text: str) -> tuple[AccountRow, tuple[str, ...]]:
        if scheme == "bearer":
            account, token = await self.logins.token(link, text, self.now())
            return account, token.scopes
        if scheme != "basic":
            raise Problem(401, "no_credentials", "Only Bearer and Basic are understood")
        if not self.logins.mechanisms(link):
            raise Problem(403, "tls_required", "Passwords are taken over HTTPS only")
        try:
            login, colon, password = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            colon = login = password = ""
        if not colon:
            raise Problem(400, "bad_credentials", "Basic wants base64 of LOGIN:PASSWORD in UTF-8 (RFC 7617)")
        return await self.logins.password(link, login, password, "BASIC"), SCOPES
