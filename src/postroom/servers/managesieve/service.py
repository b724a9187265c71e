"""What all ManageSieve connections of a worker share.

Trusts: mailbox.scripts for what may be kept.
Standards: RFC 5804 1.2 (autologout after 30 minutes at least), 1.7.
On failure: a connection too many is told so and closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from postroom.config import Config, Listener, TlsMode
from postroom.mailbox.scripts import Scripts
from postroom.net.link import Link
from postroom.servers.guests import Guests, no_longer_welcome
from postroom.servers.login import Logins
from postroom.servers.managesieve.connection import ManageSieveConnection
from postroom.servers.ports import Conduct, Gate, Log
from postroom.sieve.extensions import EXTENSIONS, NOTIFY_METHODS
from postroom.sieve.run import Limits
from postroom.store.api import AccountRow, ScriptLimits, Store
from postroom.wire.managesieve import ManageSieveOptions, ManageSieveSession

_SERVICE: Final = "managesieve"
#: RFC 5804 1.2
_IDLE: Final = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the server rests on. version: of this product; limits: how much a script may do; conduct: None counts no
    offences.
    """

    store: Store
    logins: Logins
    gate: Gate
    log: Log
    version: str
    limits: Limits
    conduct: Conduct | None = None


class ManageSieveService:
    """Built once per worker; `driver` is what a listener needs."""

    __slots__ = ("_guests", "_kept", "_rooms", "idle", "limits", "log", "logins", "options")

    def __init__(self, rooms: Rooms, config: Config) -> None:
        self._rooms = rooms
        self.logins: Final = rooms.logins
        self.log: Final = rooms.log
        self.limits: Final = config.limits
        self.idle: Final = _IDLE
        self.options: Final = ManageSieveOptions(
            implementation=f"Postroom {rooms.version}",
            extensions=tuple(sorted(EXTENSIONS)),
            notify=NOTIFY_METHODS,
            max_redirects=config.sieve.redirects,
            script_size=config.sieve.script_size,
            errors=config.limits.smtp_errors,
        )
        self._kept = ScriptLimits(count=config.sieve.scripts, octets=config.sieve.storage)
        self._guests: Guests[ManageSieveConnection] = Guests(rooms.gate, rooms.log, config.limits.connections)

    def driver(self, link: Link, listener: Listener) -> ManageSieveConnection:
        """The driver of a new connection (net.link)."""
        session = ManageSieveSession(
            self.options,
            secure=link.secure,
            starttls=listener.tls is TlsMode.STARTTLS,
            mechanisms=self.logins.mechanisms(link),
        )
        return ManageSieveConnection(self, link, session)

    async def scripts(self, row: AccountRow) -> Scripts:
        """The scripts of an account. Raises StoreError."""
        store = self._rooms.store
        return Scripts(await store.account(row.id), store.directory, self._rooms.limits, self._kept)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._guests)

    def admit(self, connection: ManageSieveConnection, ip: str) -> str:
        """Count a new connection; why it must go away, or ""."""
        turned = self._guests.admit(connection, _SERVICE, ip)
        return turned.text if turned is not None else ""

    def forget(self, connection: ManageSieveConnection, ip: str) -> None:
        """A connection is gone."""
        known, conduct = self._guests.forget(connection, _SERVICE, ip), self._rooms.conduct
        if known and conduct is not None and connection.account is None:
            conduct.session(ip, connection.tally)

    def stop(self) -> None:
        """Graceful stop: everybody is sent away, once the command in progress is answered."""
        self._guests.stop()
        for connection in self._guests:
            connection.leave()

    async def settled(self) -> None:
        """Nothing outlives a connection."""

    async def recheck(self) -> None:
        """The directory changed: clients that may not stay are sent away."""
        async for connection, why in no_longer_welcome(self._guests, self._rooms.store.directory):
            connection.leave(why)
