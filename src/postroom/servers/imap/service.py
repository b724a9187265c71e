"""What all IMAP connections of a worker share: the rooms below, the limits, and who is connected.

Owns: the set of open connections, and what may be offered to whom.
Trusts: identity for passwords, policy for counts.
Standards: RFC 9051 6.2.3 (no passwords in the clear) and 11; RFC 5530 3.
On failure: a login that cannot be checked is NO [UNAVAILABLE], one that is wrong NO [AUTHENTICATIONFAILED].
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from postroom import __version__
from postroom.config import Limits, Listener, TlsMode
from postroom.identity.errors import AccountDisabled, BadCredentials
from postroom.mailbox.service import Mailboxes
from postroom.net.link import Link
from postroom.servers.imap.connection import ImapConnection
from postroom.servers.imap.ports import Gate, Identity, Throttle
from postroom.servers.imap.replies import FAILED, SERVER_BUG, Refused, Reply, no
from postroom.servers.imap.session import Session
from postroom.store.api import AccountRow, Store
from postroom.values.clock import Clock
from postroom.wire import sasl
from postroom.wire.imap.capability import Offer
from postroom.wire.imap.session import SessionLimits

_SERVICE: Final = "imap"
#: there is no limit on the number of messages, so no such resource
_WITHOUT: Final = frozenset(("QUOTA=RES-MESSAGE",))
_DISABLED: Final = no("This account is disabled", b"CONTACTADMIN")
_TOO_MANY: Final = no("Too many failed logins from your network; try again in a minute", b"LIMIT")

#: tells an event of observe.catalogue: name and fields
Log = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the server rests on. decoy: secret for the SCRAM keys of logins that do not exist; nonce: fresh randomness.

    scram_iterations: what such logins seem to have; plaintext_on_loopback: passwords without TLS on this machine.
    """

    store: Store
    mailboxes: Mailboxes
    identity: Identity
    gate: Gate
    throttle: Throttle
    clock: Clock
    log: Log
    nonce: Callable[[], str]
    decoy: bytes
    scram_iterations: int = 4096
    plaintext_on_loopback: bool = False


class ImapService:
    """Built once per worker."""

    __slots__ = ("_connections", "_rooms", "greeting", "limits", "version", "wire_limits")

    def __init__(self, rooms: Rooms, limits: Limits, hostname: str) -> None:
        self._rooms = rooms
        self._connections: dict[ImapConnection, str] = {}
        self.limits: Final = limits
        self.wire_limits: Final = SessionLimits(line=limits.imap_line, login_literal=limits.imap_login_literal)
        self.greeting: Final = f"{hostname} Postroom ready"
        self.version: Final = __version__

    def driver(self, link: Link, listener: Listener) -> ImapConnection:
        """The driver of a new connection (net.link)."""
        return ImapConnection(self, link, starttls=listener.tls is TlsMode.STARTTLS)

    # --- what connections ask for

    @property
    def store(self) -> Store:
        """For spools."""
        return self._rooms.store

    @property
    def mailboxes(self) -> Mailboxes:
        """Everybody's mailboxes."""
        return self._rooms.mailboxes

    @property
    def clock(self) -> Clock:
        """The time."""
        return self._rooms.clock

    def offer(self, link: Link, *, starttls: bool) -> Offer:
        """What this connection may use now. No mechanism before TLS, but on loopback where that is configured."""
        open_ = link.secure or (self._rooms.plaintext_on_loopback and link.loopback)
        plus = ("SCRAM-SHA-256-PLUS",) if link.tls is not None and link.tls.server_end_point else ()
        return Offer(
            starttls=starttls and not link.secure,
            login=open_,
            mechanisms=(*plus, "SCRAM-SHA-256", "PLAIN", "LOGIN") if open_ else (),
            append_limit=self._rooms.mailboxes.limits.message_size,
            without=_WITHOUT,
        )

    def mechanism(self, link: Link, name: str, offered: Sequence[str]) -> sasl.ServerMechanism:
        """A fresh exchange of a mechanism that was offered."""
        if name == "PLAIN":
            return sasl.Plain()
        if name == "LOGIN":
            return sasl.LoginMechanism()
        return sasl.Scram(
            self._rooms.nonce(),
            binding=link.tls.server_end_point if link.tls is not None else None,
            plus=name.endswith("-PLUS"),
            offered_plus="SCRAM-SHA-256-PLUS" in offered,
        )

    # --- logins

    async def check_password(self, session: Session, mechanism: str, login: str, password: str) -> AccountRow:
        """The account this password opens. Raises Refused, StoreUnavailable."""
        await self._throttled(session, mechanism, login)
        try:
            return await self._rooms.identity.authenticate(login, password)
        except BadCredentials:
            self.failed(session, mechanism, login, "wrong name or password")
            raise Refused(FAILED) from None
        except AccountDisabled:
            self.failed(session, mechanism, login, "disabled")
            raise Refused(_DISABLED) from None

    async def scram_keys(self, session: Session, mechanism: str, login: str) -> sasl.ScramKeys:
        """The keys of this login; decoys when there are none, so that nobody learns who exists."""
        await self._throttled(session, mechanism, login)
        found = await self._rooms.identity.scram(login)
        return found[1] if found else sasl.decoy_keys(self._rooms.decoy, login, self._rooms.scram_iterations)

    async def proven(self, session: Session, mechanism: str, login: str) -> AccountRow:
        """The account of a login that SCRAM has proven. Raises Refused."""
        found = await self._rooms.identity.scram(login)
        if found is None:
            self.failed(session, mechanism, login, "no longer there")
            raise Refused(FAILED)
        return found[0]

    async def _throttled(self, session: Session, mechanism: str, login: str) -> None:
        delay = self._rooms.throttle.before(session.link.peer[0], login)
        if delay is None:
            self._tell("login.failed", session.link, login=login, mechanism=mechanism, reason="too many failures")
            raise Refused(_TOO_MANY)
        if delay > 0:
            await asyncio.sleep(delay)

    def failed(self, session: Session, mechanism: str, login: str, reason: str) -> None:
        """A wrong login: for the throttle, the log and the connection's count."""
        self._rooms.throttle.failed(session.link.peer[0], login)
        self._tell("login.failed", session.link, login=login, mechanism=mechanism, reason=reason)
        session.connection.fault()

    def entered(self, session: Session, mechanism: str, row: AccountRow) -> None:
        """A client has logged in."""
        self._connections[session.connection] = row.id
        self._rooms.throttle.succeeded(session.link.peer[0], row.login)
        session.link.deadline(self.limits.idle_imap)
        self._tell("login.succeeded", session.link, login=row.login, mechanism=mechanism)

    # --- connections

    def admit(self, connection: ImapConnection, link: Link) -> str:
        """Count a new connection; why it must go away, or ""."""
        if len(self._connections) >= self.limits.connections:
            return "[UNAVAILABLE] This server has as many connections as it can serve; try again later"
        admission = self._rooms.gate.admit(_SERVICE, link.peer[0])
        if not admission.ok:
            self._tell("connection.refused", link, reason=admission.text)
            return f"[UNAVAILABLE] {admission.text}"
        self._connections[connection] = ""
        return ""

    def forget(self, connection: ImapConnection, link: Link) -> None:
        """A connection is gone."""
        if self._connections.pop(connection, None) is not None:
            self._rooms.gate.release(_SERVICE, link.peer[0])

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    def stop(self) -> None:
        """Graceful stop: everybody hears BYE, once the command in progress is answered."""
        for connection in list(self._connections):
            connection.leave("[UNAVAILABLE] The server is stopping; please come back in a moment")

    async def recheck(self) -> None:
        """The directory changed: clients of accounts that are gone or disabled hear BYE (RFC 9051 7.1.5)."""
        for account in {account for account in self._connections.values() if account}:
            row = await self._rooms.store.directory.account(account)
            if row is None or row.disabled:
                for connection, owner in list(self._connections.items()):
                    if owner == account:
                        connection.leave("[CONTACTADMIN] This account is disabled")

    # --- the log

    def _tell(self, event: str, link: Link, **fields: object) -> None:
        self._rooms.log(event, service=_SERVICE, ip=link.peer[0], **fields)

    def identified(self, session: Session, fields: Sequence[tuple[str, str | None]]) -> None:
        """A client said what it is (RFC 2971)."""
        known = {name: value for name, value in fields if name.lower() in ("name", "version", "vendor", "os")}
        self._tell("client.named", session.link, login=_login(session), client=known)

    def bug(self, session: Session, what: str, fault: BaseException) -> Reply:
        """Something nobody foresaw: log it with its trace; the reply for the client."""
        trace = "".join(traceback.format_exception(fault))
        self._tell("session.fault", session.link, login=_login(session), reason=f"{what}: {trace}")
        return SERVER_BUG


def _login(session: Session) -> str:
    return session.account.row.login if session.account is not None else ""
