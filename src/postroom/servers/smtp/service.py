"""What all SMTP, submission and LMTP connections of a worker share.

Owns: the set of open connections. Trusts: intake for every decision about mail, policy for counts.
Standards: RFC 5321 3.8 (421 when stopping), RFC 7504.
On failure: a connection too many is told so with 421 and closed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from postroom.config import Config, Listener, TlsMode
from postroom.intake.service import Intake
from postroom.net.link import Link
from postroom.servers.login import Logins, still_welcome
from postroom.servers.ports import Conduct, Gate, Log, Rates, Strangers
from postroom.servers.smtp.connection import SmtpConnection
from postroom.store.api import Store
from postroom.values.refusal import Refusal
from postroom.wire.smtp import Profile, ServerOptions, ServerSession

_SUBMITTED_LINE: Final = 998  # RFC 5321 4.5.3.1.6: our own users' programs keep to it
_DISABLED: Final = Refusal(421, "4.7.0", "This account is disabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the server rests on. rates: None counts no messages; strangers: None examines nobody.

    conduct: None counts no offences.
    """

    store: Store
    intake: Intake
    logins: Logins
    gate: Gate
    log: Log
    rates: Rates | None = None
    strangers: Strangers | None = None
    conduct: Conduct | None = None


class SmtpService:
    """Built once per worker; `driver` is what a listener needs."""

    __slots__ = ("_connections", "_settled", "_stopping", "limits", "options", "rooms")

    def __init__(self, rooms: Rooms, config: Config) -> None:
        self.rooms: Final = rooms
        self.limits: Final = config.limits
        self._connections: set[SmtpConnection] = set()
        self._settled: asyncio.Event | None = None
        self._stopping = False
        limits = config.limits
        self.options: Final[dict[str, ServerOptions]] = {
            profile: ServerOptions(
                hostname=config.server.hostname,
                profile=profile,
                size=limits.message_size,
                recipients=limits.recipients,
                line=limits.smtp_line,
                text_line=_SUBMITTED_LINE if profile is Profile.SUBMISSION else limits.smtp_text_line,
                commands=limits.smtp_commands,
                errors=limits.smtp_errors,
            )
            for profile in Profile
        }

    def driver(self, link: Link, listener: Listener) -> SmtpConnection:
        """The driver of a new connection (net.link)."""
        options = self.options[listener.protocol]  # a profile is called as its protocol is
        submission = options.profile is Profile.SUBMISSION
        session = ServerSession(
            options,
            secure=link.tls is not None,
            starttls=listener.tls is TlsMode.STARTTLS,
            mechanisms=self.mechanisms(link, options.profile),
            latest=self.rooms.intake.latest_release() if submission else "",
        )
        return SmtpConnection(self, link, session)

    def mechanisms(self, link: Link, profile: Profile) -> tuple[str, ...]:
        """AUTH is for submission only: a stranger on port 25 has nothing to prove."""
        return self.rooms.logins.mechanisms(link) if profile is Profile.SUBMISSION else ()

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        return len(self._connections)

    def admit(self, connection: SmtpConnection, service: str, ip: str) -> Refusal | None:
        """Count a new connection; why it must go away, or None."""
        if self._stopping:
            return Refusal(421, "4.3.2", "This server is stopping; please come back in a moment")
        if len(self._connections) >= self.limits.connections:
            return Refusal(421, "4.3.2", "This server has as many connections as it can serve; try again later")
        admission = self.rooms.gate.admit(service, ip)
        if not admission.ok:
            self.rooms.log("connection.refused", service=service, ip=ip, reason=admission.text)
            # RFC 5321 3.1: 554 in place of the greeting, for who need not come back
            return Refusal(*((554, "5.7.1") if admission.final else (421, "4.7.0")), admission.text)
        self._connections.add(connection)
        self.rooms.log("session.opened", service=service, ip=ip)
        return None

    def forget(self, connection: SmtpConnection, service: str, ip: str) -> None:
        """A connection is gone."""
        if connection in self._connections:
            self._connections.discard(connection)
            self.rooms.gate.release(service, ip)
            if self.rooms.conduct is not None and service != Profile.LMTP.value and connection.account is None:
                self.rooms.conduct.session(ip, connection.tally)
            if self._settled is not None and not self._connections:
                self._settled.set()

    def stop(self) -> None:
        """Graceful stop: who is in the middle of a message may finish it, everybody hears 421."""
        self._stopping = True
        for connection in list(self._connections):
            connection.leave()

    async def settled(self) -> None:
        """Wait until every peer is gone; to be called after `stop`."""
        if self._connections:
            self._settled = asyncio.Event()
            await self._settled.wait()

    async def recheck(self) -> None:
        """The directory changed: users whose accounts are gone or disabled hear 421 after the message in progress."""
        for connection in list(self._connections):
            account = connection.account
            if account is not None and not await still_welcome(self.rooms.store.directory, account.id):
                connection.leave(_DISABLED)
