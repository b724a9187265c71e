"""What all POP3 connections of a worker share.

Owns: the closing of maildrops whose client is gone.
Trusts: mailbox.maildrop for exclusive access and for what a deletion does.
Standards: RFC 2449 6.5 (LOGIN-DELAY), 6.7 (EXPIRE).
On failure: a connection too many is told so and closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from postroom.config import Config, Listener, TlsMode
from postroom.mailbox.maildrop import DropPolicy, Maildrop
from postroom.mailbox.service import Mailboxes
from postroom.net.link import Link
from postroom.servers.guests import Guests, no_longer_welcome
from postroom.servers.login import Logins
from postroom.servers.pop3.connection import Pop3Connection
from postroom.servers.ports import Conduct, Gate, Log
from postroom.store.api import AccountRow, DirectoryStore
from postroom.values.clock import Clock
from postroom.wire.pop3 import Pop3Options, Pop3Session

_SERVICE: Final = "pop3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the server rests on. holder: names a session's lock; no two calls of any worker give the same.

    conduct: None counts no offences.
    """

    mailboxes: Mailboxes
    directory: DirectoryStore
    logins: Logins
    gate: Gate
    clock: Clock
    log: Log
    holder: Callable[[], str]
    conduct: Conduct | None = None


class Pop3Service:
    """Built once per worker; `driver` is what a listener needs."""

    __slots__ = ("_guests", "_last", "_policy", "limits", "options", "rooms")

    def __init__(self, rooms: Rooms, config: Config) -> None:
        self.rooms: Final = rooms
        self.limits: Final = config.limits
        self.options: Final = Pop3Options(
            login_delay=config.pop3.login_delay, expire=config.pop3.expire, errors=config.limits.smtp_errors
        )
        self._policy = DropPolicy(login_delay=config.pop3.login_delay, lease=self.lease)
        self._guests: Guests[Pop3Connection] = Guests(rooms.gate, rooms.log, config.limits.connections)
        self._last: set[asyncio.Task[None]] = set()

    @property
    def lease(self) -> float:
        """Seconds a maildrop's lock lasts without being renewed; longer than a client may be silent."""
        return self.limits.idle_pop3 + 300.0

    def driver(self, link: Link, listener: Listener) -> Pop3Connection:
        """The driver of a new connection (net.link)."""
        session = Pop3Session(
            self.options,
            secure=link.secure,
            starttls=listener.tls is TlsMode.STARTTLS,
            mechanisms=self.rooms.logins.mechanisms(link),
        )
        return Pop3Connection(self, link, session)

    async def open(self, row: AccountRow, *, utf8: bool) -> Maildrop:
        """The account's maildrop, ours alone; utf8: the client said so.

        Raises MaildropTaken, LoginTooSoon, StoreError.
        """
        rooms = self.rooms
        account = await rooms.mailboxes.open(row)
        policy = replace(self._policy, utf8=True) if utf8 else self._policy
        return await Maildrop.open(account, rooms.directory, rooms.clock, rooms.holder(), policy)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._guests)

    def admit(self, connection: Pop3Connection, ip: str) -> str:
        """Count a new connection; why it must go away, or ""."""
        turned = self._guests.admit(connection, _SERVICE, ip)
        return turned.text if turned is not None else ""

    def forget(self, connection: Pop3Connection, ip: str) -> None:
        """A connection is gone."""
        known, conduct = self._guests.forget(connection, _SERVICE, ip), self.rooms.conduct
        if known and conduct is not None and connection.account is None:
            conduct.session(ip, connection.tally)

    def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """What is still to be done for a client that is gone."""
        task = asyncio.get_running_loop().create_task(work)
        self._last.add(task)
        task.add_done_callback(self._last.discard)

    async def settled(self) -> None:
        """Wait until every maildrop of a client that is gone is closed (before the store is)."""
        while self._last:
            await asyncio.wait(self._last)

    def stop(self) -> None:
        """Graceful stop: everybody is sent away, once the command in progress is answered; nothing is removed."""
        self._guests.stop()
        for connection in self._guests:
            connection.leave()

    async def recheck(self) -> None:
        """The directory changed: clients that may not stay are sent away."""
        async for connection, why in no_longer_welcome(self._guests, self.rooms.directory):
            connection.leave(why)
