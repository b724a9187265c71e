"""What all SMTP, submission and LMTP connections of a worker share.

Trusts: intake for every decision about mail, policy for counts.
Standards: RFC 5321 3.8 (421 when stopping), RFC 7504.
On failure: a connection too many is told so with 421 and closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from postroom.config import Config, Listener, TlsMode
from postroom.intake.service import Intake
from postroom.net.link import Link
from postroom.servers.guests import Guests, no_longer_welcome
from postroom.servers.login import Logins
from postroom.servers.ports import Conduct, Gate, Log, Rates, Strangers
from postroom.servers.smtp.connection import SmtpConnection
from postroom.store.api import Store
from postroom.values.refusal import Refusal
from postroom.wire.smtp import Profile, ServerOptions, ServerSession

_SUBMITTED_LINE: Final = 998  # RFC 5321 4.5.3.1.6: our own users' programs keep to it


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

    __slots__ = ("_guests", "limits", "options", "rooms")

    def __init__(self, rooms: Rooms, config: Config) -> None:
        self.rooms: Final = rooms
        self.limits: Final = config.limits
        self._guests: Guests[SmtpConnection] = Guests(rooms.gate, rooms.log, config.limits.connections)
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
        return len(self._guests)

    def admit(self, connection: SmtpConnection, service: str, ip: str) -> Refusal | None:
        """Count a new connection; why it must go away, or None."""
        turned = self._guests.admit(connection, service, ip)
        if turned is None:
            return None
        if turned.final:  # RFC 5321 3.1: 554 in place of the greeting, for who need not come back
            return Refusal(554, "5.7.1", turned.text)
        return Refusal(421, "4.7.0" if turned.policy else "4.3.2", turned.text)

    def forget(self, connection: SmtpConnection, service: str, ip: str) -> None:
        """A connection is gone."""
        known, conduct = self._guests.forget(connection, service, ip), self.rooms.conduct
        if known and conduct is not None and service != Profile.LMTP.value and connection.account is None:
            conduct.session(ip, connection.tally)

    def stop(self) -> None:
        """Graceful stop: who is in the middle of a message may finish it, everybody hears 421."""
        self._guests.stop()
        for connection in self._guests:
            connection.leave()

    async def settled(self) -> None:
        """Wait until every peer is gone; to be called after `stop`."""
        await self._guests.settled()

    async def recheck(self) -> None:
        """The directory changed: users who may not stay hear 421 after the message in progress."""
        async for connection, why in no_longer_welcome(self._guests, self.rooms.store.directory):
            connection.leave(Refusal(421, "4.7.0", why))
