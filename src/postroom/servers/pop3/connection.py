"""The POP3 driver: octets from the link in, messages of a maildrop out.

Owns: the connection's session and its maildrop, from the login to QUIT or the end of the connection.
Trusts: nobody before the login. Without QUIT nothing is removed (RFC 1939 6); +OK to QUIT only when it is durable.
Standards: RFC 1939 3 (autologout), 5, 6; RFC 2449 8; RFC 3206 (AUTH, SYS/TEMP, SYS/PERM, IN-USE, LOGIN-DELAY).
On failure: -ERR with a response code; what nobody foresaw is [SYS/TEMP] and an event of the log.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from postroom.mailbox.errors import LoginTooSoon, MaildropTaken, NeedsUtf8
from postroom.mailbox.maildrop import Maildrop
from postroom.net.drive import Driven, drive
from postroom.net.link import Link
from postroom.policy.conduct import Tally
from postroom.servers.guests import STOPPING
from postroom.servers.login import Exchange, Kind, LoginRefused
from postroom.servers.outlet import Outlet
from postroom.store.api import AccountRow, StoreError
from postroom.wire.pop3 import (
    Authenticate,
    AuthResponse,
    Event,
    Identify,
    Login,
    Pop3Session,
    Retrieve,
    StartTls,
    Update,
)

if TYPE_CHECKING:
    from postroom.servers.pop3.service import Pop3Service

_SERVICE: Final = "pop3"
#: octets of a message read and sent at once, and for TOP, which rarely needs much
_SLICE: Final = 256 * 1024
_TOP_SLICE: Final = 16 * 1024
_BUG: Final = "Something went wrong here; please try again later"

#: RFC 3206 4, 5
_REFUSED_LOGIN: Final = {
    Kind.WRONG: "AUTH",
    Kind.FORBIDDEN: "AUTH",
    Kind.DISABLED: "AUTH",
    Kind.THROTTLED: "SYS/TEMP",
    Kind.MALFORMED: "",
    Kind.UNAVAILABLE: "SYS/TEMP",
}


class Pop3Connection:
    """net.link.Driver of one client."""

    __slots__ = (
        "_drop",
        "_exchange",
        "_leaving",
        "_link",
        "_outlet",
        "_renewed",
        "_service",
        "_session",
        "_work",
        "account",
        "tally",
    )

    def __init__(self, service: Pop3Service, link: Link, session: Pop3Session) -> None:
        self._service = service
        self._link = link
        self._session = session
        self._outlet = Outlet(link, session)
        self._drop: Maildrop | None = None
        self._exchange: Exchange | None = None
        self.account: AccountRow | None = None  # after the login
        self.tally = Tally()
        self._leaving = ""  # why the client is sent away once the command in progress is answered
        self._renewed = 0.0
        self._work: Driven | None = None  # a command that waits for something

    # The link's side

    def connected(self) -> None:
        """Greet, or send away who has too many connections."""
        refusal = self._service.admit(self, self._link.peer[0])
        if refusal:
            self._session.turn_away(refusal, "SYS/TEMP")
        else:
            self._link.deadline(self._service.limits.idle_login)
            self._session.greet()
        self._outlet.flush()

    def received(self, data: bytes) -> None:
        """Octets from the client."""
        if self._outlet.handshake:
            self._outlet.handshake = False
            self._session.secured(self._service.rooms.logins.mechanisms(self._link))
        if self._session.logged_in and b"\n" in data:  # an octet now and then is no command
            self._link.deadline(self._service.limits.idle_pop3)
        self._session.feed(data)
        if self._work is None:
            self._pump()
        else:
            self._link.pause()  # it has sent ahead: what it sends now can wait in its own buffers

    def expired(self) -> None:
        """RFC 1939 3: autologout; nothing is removed."""
        if self._work is not None and self._session.logged_in:
            if self._link.is_stuck():
                self._link.abort()  # in the middle of a message there is no other word
            else:  # a client that takes its time over a large message
                self._link.deadline(self._service.limits.idle_pop3)
            return
        self._session.turn_away("Too long without a command; closing, nothing was removed")
        self._outlet.flush()

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone."""
        self.tally.nonsense = self._session.nonsense and not self.tally.wanted
        self._service.forget(self, self._link.peer[0])
        self._log("session.closed", reason=str(reason or ""))
        if self._work is None:
            self._abandon()

    @property
    def opened_by(self) -> bytes:
        """The digest of the app password it was opened with, if it was one."""
        return self._service.rooms.logins.opened.get(self._link, b"")

    def leave(self, text: str = STOPPING) -> None:
        """Send the client away as soon as the command in progress is answered."""
        self._leaving = text
        if self._work is None:
            self._goodbye()

    # Work

    def _goodbye(self) -> None:
        if not self._session.closed:
            self._session.turn_away(self._leaving, "SYS/TEMP")
        self._outlet.flush()

    def _abandon(self) -> None:
        """Give the maildrop back without removing anything."""
        drop, self._drop = self._drop, None
        if drop is not None:
            self._service.finish(self._close(drop))

    async def _close(self, drop: Maildrop) -> None:
        try:
            await drop.close()
        except StoreError as fault:
            self._log_fault(fault)

    def _pump(self) -> None:
        """Take events until one waits or there are none, then send what was answered."""
        while self._work is None:
            event = self._session.next_event()
            if event is None:
                break
            if isinstance(event, StartTls):
                self._outlet.tls_due = True
                break
            asked = self._asked(event)
            if asked is not None:
                self._start(asked)
        self._outlet.flush()
        if self._work is None:
            self._keep_lock()
            self._link.resume()

    def _asked(self, event: Event) -> Coroutine[Any, Any, None] | None:
        if isinstance(event, Retrieve):
            return self._retrieve(event)
        if isinstance(event, Identify):
            return self._identify()
        if isinstance(event, Login):
            return self._log_in(event)
        if isinstance(event, Authenticate | AuthResponse):
            return self._authenticate(event)
        if isinstance(event, Update):
            return self._update(event)
        return None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = drive(self._guarded(work), self._resumed)
        if self._work is not None and self._session.ahead:
            self._link.pause()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What a command asks for; whatever it raises is a reply."""
        try:
            await work
        except Exception as fault:
            if isinstance(fault, ConnectionError) or self._session.sending:
                self._log_fault(fault)
                self._link.abort()  # in the middle of a message no answer can be told from its text
            else:
                self._explain(fault)

    def _log(self, event: str, **fields: object) -> None:
        login = self.account.login if self.account is not None else ""
        self._service.rooms.log(event, service=_SERVICE, ip=self._link.peer[0], login=login, **fields)

    def _log_fault(self, fault: Exception) -> None:
        if isinstance(fault, ConnectionResetError):
            return
        known = isinstance(fault, StoreError | OSError)
        self._log("session.fault", reason=str(fault) if known else "".join(traceback.format_exception(fault)))

    def _explain(self, fault: Exception) -> None:
        session = self._session
        if isinstance(fault, LoginRefused):
            self._exchange = None
            session.refuse(fault.text, _REFUSED_LOGIN[fault.kind])
        elif isinstance(fault, MaildropTaken):
            session.refuse(str(fault), "IN-USE")  # RFC 2449 8.1.1
        elif isinstance(fault, LoginTooSoon):
            session.refuse(str(fault), "LOGIN-DELAY")  # RFC 2449 8.1.1
        elif isinstance(fault, NeedsUtf8):
            session.refuse(str(fault), "UTF8")  # RFC 6856 5
        else:
            self._log_fault(fault)
            reached = isinstance(fault, StoreError | OSError)
            session.refuse("The mailbox cannot be reached now; try again later" if reached else _BUG, "SYS/TEMP")

    def _resumed(self, fault: BaseException | None) -> None:
        """What had to wait has ended: go on. _guarded has made a reply of any fault."""
        self._work = None
        if not self._link.standing:
            self._abandon()
        elif self._leaving:
            self._goodbye()
        elif self._link.alive:
            self._pump()

    def _keep_lock(self) -> None:
        """Renew the maildrop's lock now and then, while the client is at work."""
        now = self._service.rooms.clock.monotonic()
        if self._drop is not None and now - self._renewed > self._service.lease / 3:
            self._renewed = now
            self._service.finish(self._renew(self._drop))

    async def _renew(self, drop: Maildrop) -> None:
        try:
            kept = await drop.renew()
        except StoreError as fault:
            self._log_fault(fault)
            return
        if not kept and self._drop is drop:
            self._link.abort()  # another session has it now

    # What commands ask for

    async def _log_in(self, event: Login) -> None:
        self.tally.wanted = True
        logins = self._service.rooms.logins
        await self._open(await logins.password(self._link, event.login, event.password, "USER"))

    async def _authenticate(self, event: Authenticate | AuthResponse) -> None:
        self.tally.wanted = True
        if isinstance(event, Authenticate):
            self._exchange = Exchange(self._service.rooms.logins, self._link, event.mechanism)
            step = await self._exchange.start(event.initial)
        else:
            assert self._exchange is not None
            step = await self._exchange.step(event.data)
        if isinstance(step, bytes):
            self._session.challenge(step)
        else:
            self._exchange = None
            await self._open(step)

    async def _open(self, row: AccountRow) -> None:
        drop = await self._service.open(row, utf8=self._session.utf8)
        self._drop = drop
        self.account = row
        self._renewed = self._service.rooms.clock.monotonic()
        self._link.deadline(self._service.limits.idle_pop3)
        self._session.opened([size for _, size in drop.sizes()])

    async def _identify(self) -> None:
        assert self._drop is not None
        self._session.identified([uid for _, uid in await self._drop.uidls()])

    async def _retrieve(self, event: Retrieve) -> None:
        """The message in slices; a slow client holds one slice in memory."""
        assert self._drop is not None
        session, link = self._session, self._link
        content = await self._drop.content(event.index + 1, seen=not event.top)
        step = _TOP_SLICE if event.top else _SLICE
        first = content.read(0, step)
        session.begin(content.size)
        wanted = session.body(first)
        at = len(first)
        while wanted and at < content.size:
            link.send(session.data_to_send())
            await link.drain()
            await asyncio.sleep(0)  # others have their turn
            link.deadline(self._service.limits.idle_pop3)
            wanted = session.body(self._more(content.read(at, at + step)))
            at += step
        session.end()

    def _more(self, data: bytes) -> bytes:
        """The next slice. When there is none the answer cannot be ended truthfully: ConnectionError."""
        if not data:
            raise ConnectionAbortedError("the message's file is shorter than it was")
        return data

    async def _update(self, event: Update) -> None:
        """QUIT: remove what was marked; the answer comes when that is durable."""
        drop, self._drop = self._drop, None
        assert drop is not None
        try:
            for index in event.deleted:
                drop.mark(index + 1)
            await drop.commit()
        except Exception as fault:
            self._log_fault(fault)
            self._session.turn_away("The messages could not be removed; they are all still there", "SYS/TEMP")
            self._service.finish(self._close(drop))
            return
        self._session.done()
