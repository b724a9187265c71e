"""The IMAP driver: octets from the link in, commands executed one after the other, replies out.

Owns: the connection's session, the command in progress, and the order of things: nothing of the next command happens
before the last one is answered. While a command waits (disk, password check, slow reader), reading pauses.
Trusts: nobody. Bad commands are counted; a client that sends too many is sent away. Deadlines end silent clients, and
those that send a command or literal an octet now and then.
Standards: RFC 9051 2.2, 5.4 (autologout), 5.5 (pipelining), 7.1.5 (BYE).
On failure: an executor's fault becomes a tagged NO; only a lost connection or a BYE ends the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from postroom.net.drive import Driven, drive
from postroom.policy.conduct import Tally
from postroom.servers.imap import append, dispatch
from postroom.servers.imap.compress import Compression, TooMuch
from postroom.servers.imap.pace import TURN_SECONDS
from postroom.servers.imap.session import Session
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command
from postroom.wire.imap.deflate import BadStream
from postroom.wire.imap.events import AppendData, AppendEnd, AppendStart, Continue, Event, RawLine, Refused
from postroom.wire.imap.framer import Inside
from postroom.wire.imap.session import Session as Wire

if TYPE_CHECKING:
    from postroom.net.link import Link
    from postroom.servers.imap.service import ImapService

#: refused commands before the client is sent away, before and after login
MAX_FAULTS_BEFORE_LOGIN: Final = 20
MAX_FAULTS: Final = 50  # in a row
#: seconds until a store that does not answer is asked for news again
RETRY: Final = 1.0
#: octets of answers after which the next command waits until the client reads
SENT_AHEAD: Final = 128 * 1024


class ImapConnection:
    """net.link.Driver of one client."""

    __slots__ = (
        "_compression",
        "_faults",
        "_inside",
        "_leaving",
        "_link",
        "_service",
        "_starttls",
        "_still",
        "_upgraded",
        "_wake_due",
        "_work",
        "_working",
        "session",
        "tally",
    )

    def __init__(self, service: ImapService, link: Link, *, starttls: bool) -> None:
        self._service = service
        self._link = link
        self._starttls = starttls
        self._compression: Compression | None = None
        self._work: Driven | None = None  # a command that waits for something
        self._faults = 0
        self.tally = Tally()
        self._wake_due = self._upgraded = self._working = False
        self._inside = Inside.NOTHING  # what the deadline is for, once logged in
        self._still = 0  # octets of a literal that must come before the deadline moves
        self._leaving = ""  # why we say BYE once the command in progress is answered
        self.session = Session(service, link, Wire(service.offer(link, starttls=starttls), service.wire_limits), self)

    # --- the link's side

    def connected(self) -> None:
        """Greet, or send away who has too many connections."""
        refusal = self._service.admit(self, self._link)
        if refusal:
            self.bye(refusal)
            return
        self._link.deadline(self._service.limits.idle_login)
        code = response.capability_code(self.session.wire.capabilities())
        self._link.send(response.ok(b"*", self._service.greeting, code))

    def received(self, data: bytes) -> None:
        """Octets from the client."""
        if self._compression is not None:
            self._compression.feed(data)
        else:
            self._take_octets(data)
        if self._work is None:
            self._pump()
        else:
            self._link.pause()  # it has sent ahead; what it sends now can wait in its own buffers

    def _take_octets(self, data: bytes) -> None:
        session = self.session
        if session.account is not None:
            self._gets_on(len(data))
        elif self._upgraded:
            self._upgraded = False  # TLS stands: forget what was said before, offer what is right now
            session.wire.secured(self._service.offer(self._link, starttls=False))
        session.wire.feed(data)

    def _expand(self) -> bool:
        """Take the next octets of a compressed stream; False when there are none."""
        if self._compression is None:
            return False
        try:
            data = self._compression.more()
        except BadStream as fault:
            self.bye(f"[CLIENTBUG] {fault}")
            return False
        except TooMuch as fault:
            self.bye(f"[LIMIT] {fault}")
            return False
        if data:
            self._take_octets(data)
        return bool(data)

    def _gets_on(self, octets: int) -> None:
        """Between two commands a client has its time again; within one, octets now and then are not enough."""
        limits = self._service.limits
        if self._inside is Inside.NOTHING:
            self._link.deadline(limits.idle_imap)
        elif self._inside is Inside.OCTETS:
            self._still -= octets
            if self._still <= 0:
                self._still = limits.transfer_octets
                self._link.deadline(limits.transfer_seconds)

    def _note_where(self) -> None:
        """All that came is used: what does the client owe us now?"""
        inside = self.session.wire.framer.inside
        if inside is self._inside or self.session.account is None:
            return
        self._inside = inside
        limits = self._service.limits
        if inside is Inside.OCTETS:
            self._still = limits.transfer_octets
            self._link.deadline(limits.transfer_seconds)
        else:
            self._link.deadline(limits.command_seconds if inside is Inside.LINE else limits.idle_imap)

    def expired(self) -> None:
        """RFC 9051 5.4: autologout. Who does not even read is cut off: a BYE could stand inside a literal."""
        if self._work is not None and self.session.account is not None and not self._link.is_stuck():
            self._link.deadline(self._service.limits.idle_imap)  # a slow client with a long answer
        elif self._work is not None:
            self._link.abort()
        else:
            idle = self._inside is Inside.NOTHING
            known = "Autologout; idle for too long" if idle else "Autologout; the command comes too slowly"
            self.bye(known if self.session.account else "Login took too long")

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone: let go of everything."""
        if self._work is not None:
            self._work.cancel()
        append.abandon(self.session)
        if self._compression is not None:
            self._compression.end()
        self._service.forget(self, self._link, str(reason or ""))
        self.session.close()

    # --- leaving

    def bye(self, text: str) -> None:
        """Say BYE and close, at once. text may begin with a response code in brackets."""
        self._link.send(response.bye(text))
        self.close()

    def close(self) -> None:
        """Write out what was sent and close."""
        self.session.wire.closing()
        self._link.close()

    def leave(self, text: str) -> None:
        """Say BYE and close as soon as the command in progress is answered (graceful stop, account disabled)."""
        self._leaving = text
        if self._work is None and not self._working:
            self.bye(text)

    def start_tls(self) -> None:
        """Shake hands; what the client sent ahead is forgotten."""
        self.session.wire.framer.drop_input()
        self._upgraded = True
        self._link.start_tls()

    @property
    def compressed(self) -> bool:
        """COMPRESS is on."""
        return self._compression is not None

    def compress(self) -> None:
        """From here on octets are compressed both ways (RFC 4978 3)."""
        limits = self._service.wire_limits
        room = self._service.mailboxes.limits.message_size  # of a message that is refused and comes all the same
        self._compression = Compression(self._service.awake, limits.line + limits.literal + room)
        self._compression.feed(self.session.wire.framer.take_input())
        self._link.encode_with(self._compression.deflater.pack)

    def start_over(self) -> None:
        """The client is nobody again: no compression, and as much time to log in as at first (RFC 8437 3)."""
        if self._compression is not None:
            self._link.encode_with(None)
            compression, self._compression = self._compression, None
            self.session.wire.feed(compression.end())
        self.tally.wanted = True
        self._faults = 0
        self._inside, self._still = Inside.NOTHING, 0
        self.session.wire.logged_out(self._service.offer(self._link, starttls=self._starttls))
        self._link.deadline(self._service.limits.idle_login)

    # --- work

    def wake(self) -> None:
        """News for a client that listens: tell it at the end of this turn of the loop, however much there is."""
        if not self._wake_due and self._link.alive:
            self._wake_due = True
            asyncio.get_running_loop().call_soon(self._woken)

    def wake_later(self) -> None:
        """The same in a moment, and not before: what the news rest on does not answer."""
        if not self._wake_due and self._link.alive:
            self._wake_due = True
            asyncio.get_running_loop().call_later(RETRY, self._woken)

    def _woken(self) -> None:
        self._wake_due = False
        if self._work is None and self.session.due and self._link.alive:
            self._start(dispatch.push(self.session))
            self._pump()

    def _busy(self) -> bool:
        return self._work is not None

    def _pump(self) -> None:
        """Take events until there are none, one suspends, or our turn is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + TURN_SECONDS
        while not self._busy() and self._link.alive:
            event = self.session.wire.next_event()
            if event is None:
                if self._expand():
                    continue
                self._note_where()
                break
            self._take(event)
            self._hold_back(loop.time() > end)
        if not self._busy():
            self._link.resume()

    def _hold_back(self, turn_over: bool) -> None:
        """Between two commands: let the client read, and the others have their turn."""
        if self._busy():
            return
        if self.session.sent > SENT_AHEAD:
            self._start(self._read_by_client())
        elif turn_over:
            self._start(_turn())

    async def _read_by_client(self) -> None:
        """Wait until the client has read most of what it was sent, before it gets more."""
        self.session.sent = 0
        await self._link.drain()

    def _take(self, event: Event) -> None:
        session = self.session
        if self._compression is not None:
            self._compression.used()
        if isinstance(event, Command):
            self._start(dispatch.execute(session, event))
        elif isinstance(event, AppendData):
            append.data(session, event)
        elif isinstance(event, Continue):
            session.send(response.CONTINUE)
        elif isinstance(event, RawLine):
            self._start(dispatch.line(session, event.data))
        elif isinstance(event, AppendStart):
            self._start(append.start(session, event))
        elif isinstance(event, AppendEnd):
            if not append.ends_in_memory(session, event):
                self._start(append.end(session, event))
        elif isinstance(event, Refused):
            append.abandon(session)
            session.send(response.refused(event))
            self.fault()
            self._start(_nothing())

    def fault(self) -> None:
        """Count a command that made no sense; too many end the connection."""
        self._faults += 1
        if self._faults >= (MAX_FAULTS if self.session.account else MAX_FAULTS_BEFORE_LOGIN):
            self._leaving = "[CLIENTBUG] Too many commands that made no sense"
            self.tally.nonsense = not self.tally.wanted

    def sense(self) -> None:
        """A command was understood: who is logged in may be clumsy now and then."""
        if self.session.account is not None:
            self._faults = 0

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._working = True
        try:
            self._work = drive(work, self._resume)
        except Exception as fault:
            self._failed(fault)
        finally:
            self._working = False
        if self._work is None and self._leaving and self._link.alive:
            self.bye(self._leaving)

    def _failed(self, fault: BaseException) -> None:
        """The peer is gone, or our own machinery failed: either way the dialog cannot go on."""
        if not isinstance(fault, ConnectionError):
            self._service.bug(self.session, "dialog", fault)
        self._link.abort()

    def _resume(self, fault: BaseException | None) -> None:
        """What had to wait has ended: go on."""
        self._work = None
        if isinstance(fault, asyncio.CancelledError) or not self._link.alive:
            return
        if fault is not None:
            self._failed(fault)
            return
        if self._leaving:
            self.bye(self._leaving)
            return
        if self.session.due:
            self.wake()
        self._pump()


async def _turn() -> None:
    """Let the other connections have their turn."""
    await asyncio.sleep(0)


async def _nothing() -> None:
    """No work; what is due after any command is due."""
