"""The SMTP driver: octets from the link in, decisions of intake out, for SMTP, submission and LMTP.

Owns: the connection's session, envelope and spool. Events are decided one after the other; most decisions need no
task, and while one waits nothing more is read, so the peer feels how fast we are.
Trusts: nobody. Deadlines end silent peers; who speaks before the greeting is refused.
Standards: RFC 5321 3.1, 3.8, 4.2.5 (250 only when the message is ours for good), 4.5.3.2; RFC 2033 4.2; RFC 3207 4.2;
RFC 4954 4 and 6.
On failure: a refusal carries its own reply; what nobody foresaw is 451 and an event of the log.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from postroom.intake.model import Envelope, MailOptions, Peer, RcptOptions
from postroom.net.drive import Driven, drive
from postroom.net.link import Link
from postroom.policy.conduct import Offence, Tally
from postroom.servers.login import Exchange, Kind, LoginRefused
from postroom.servers.outlet import Outlet
from postroom.servers.smtp.vetting import add, vet
from postroom.store.api import AccountRow, Spool, StoreError, StoreUnavailable
from postroom.values.content import Content
from postroom.values.refusal import Refusal
from postroom.wire.smtp import (
    Authenticate,
    AuthResponse,
    Body,
    Event,
    Mail,
    Profile,
    Rcpt,
    Reset,
    ServerSession,
    StartTls,
    Wait,
)

if TYPE_CHECKING:
    from postroom.servers.smtp.service import SmtpService

_EARLY: Final = Refusal(554, "5.5.1", "You spoke before the greeting (RFC 5321 3.1)")
_SILENT: Final = Refusal(421, "4.4.2", "No command for too long; closing")
_NO_LOGIN: Final = Refusal(421, "4.7.0", "No login within the time for it; closing")
_BUG: Final = Refusal(451, "4.3.0", "Something went wrong here; please try again later")
_NO_ROOM: Final = Refusal(452, "4.3.1", "There is no room for the message now; please try again later")

_NAMES: Final = {profile: profile.value for profile in Profile}

#: octets of a message that is never written to a spool (values.content: larger ones lie in a file)
_SMALL: Final = 64 * 1024

#: where in the dialog a refusal was said, for its event
_STAGES: Final = {Wait.MAIL: "mail", Wait.RCPT: "rcpt", Wait.BODY: "data", Wait.AUTH: "auth"}

#: RFC 4954 6 and RFC 5248 2.4: how a login is refused
_REFUSED_LOGIN: Final = {
    Kind.WRONG: (535, "5.7.8"),
    Kind.FORBIDDEN: (535, "5.7.8"),
    Kind.DISABLED: (525, "5.7.13"),
    Kind.THROTTLED: (421, "4.7.0"),
    Kind.MALFORMED: (501, "5.5.2"),
    Kind.UNAVAILABLE: (454, "4.7.0"),
}


class SmtpConnection:
    """net.link.Driver of one peer."""

    __slots__ = (
        "_account",
        "_envelope",
        "_exchange",
        "_greeting",
        "_ip",
        "_link",
        "_name",
        "_outlet",
        "_peer",
        "_service",
        "_session",
        "_spool",
        "_still",
        "_work",
        "tally",
    )

    def __init__(self, service: SmtpService, link: Link, session: ServerSession) -> None:
        self._service = service
        self._link = link
        self._session = session
        self._outlet = Outlet(link, session)
        self._name = _NAMES[session.options.profile]
        self._ip = link.peer[0]
        self._account: AccountRow | None = None
        self._envelope: Envelope | None = None
        self._exchange: Exchange | None = None
        self._greeting: asyncio.TimerHandle | None = None  # the greeting that is still to come
        self._peer: Peer | None = None
        self._spool: Spool | None = None
        self._work: Driven | None = None  # a decision that waits for something
        self._still = service.limits.transfer_octets  # octets of the message until the deadline moves
        self.tally = Tally()

    # The link's side

    def connected(self) -> None:
        """Greet, perhaps later; send away who has too many connections."""
        session, limits = self._session, self._service.limits
        refusal = self._service.admit(self, self._name, self._ip)
        if refusal is not None:
            session.turn_away(refusal)
            self._outlet.flush()
            return
        submission = session.options.profile is Profile.SUBMISSION
        self._link.deadline(limits.idle_login if submission else limits.idle_smtp)
        if limits.greeting_delay and session.options.profile is Profile.MX:
            self._greeting = asyncio.get_running_loop().call_later(limits.greeting_delay, self._greet)
        else:
            self._greet()

    def _greet(self) -> None:
        self._greeting = None
        self._session.greet()
        self._outlet.flush()

    def received(self, data: bytes) -> None:
        """Octets from the peer."""
        session = self._session
        if self._greeting is not None:
            self._speaks_early()
            return
        if self._outlet.handshake:
            self._outlet.handshake = False
            self._peer = None
            session.secured(self._service.mechanisms(self._link, session.options.profile))
        limits, receiving = self._service.limits, session.receiving
        if receiving:
            self._still -= len(data)
            if self._still <= 0:
                self._move_deadline(limits.transfer_seconds)
        elif b"\n" in data:  # an octet now and then is no command
            self._move_deadline(limits.idle_smtp)
        session.feed(data)
        if self._work is None:
            self._pump()
        else:
            self._link.pause()  # the peer has sent ahead: what it sends now can wait in its own buffers
        if receiving and not (session.receiving or session.closed):
            self._move_deadline(limits.idle_smtp)

    def _move_deadline(self, seconds: float) -> None:
        """The peer gets on. But a user's time for the login runs out however much is said."""
        self._still = self._service.limits.transfer_octets
        if self._account is not None or self._session.options.profile is not Profile.SUBMISSION:
            self._link.deadline(seconds)

    def expired(self) -> None:
        """RFC 5321 4.5.3.2.7: a peer that says nothing. Not one that waits for us."""
        if self._work is not None:
            self._link.deadline(self._service.limits.idle_smtp)
            return
        login = self._session.options.profile is Profile.SUBMISSION and self._account is None
        self._session.turn_away(_NO_LOGIN if login else _SILENT)
        self._outlet.flush()

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone. What is under way ends by itself: a message being accepted is accepted."""
        if self._greeting is not None:
            self._greeting.cancel()
        if self._work is None:
            self._abandon()
        self.tally.nonsense = self._session.nonsense
        self._service.forget(self, self._name, self._ip)
        self._log("session.closed", login=self._login, reason=str(reason or ""))

    @property
    def account(self) -> AccountRow | None:
        """Who has logged in."""
        return self._account

    @property
    def opened_by(self) -> bytes:
        """The digest of the app password it was opened with, if it was one."""
        return self._service.rooms.logins.opened.get(self._link, b"")

    def leave(self, fault: Refusal | None = None) -> None:
        """Say 421 when nothing is under way (graceful stop, account disabled)."""
        if self._greeting is not None:
            self._greeting.cancel()
        if self._outlet.handshake:
            self._link.close()
            return
        self._session.leave(*([fault] if fault else []))
        if self._work is None:
            self._outlet.flush()

    # Work

    def _speaks_early(self) -> None:
        assert self._greeting is not None
        self._greeting.cancel()
        self._greeting = None
        self._log("mail.early_talker")
        self.tally.wanted = True
        if self._service.rooms.conduct is not None:
            self._service.rooms.conduct.note(Offence.EARLY, self._ip)
        self._session.turn_away(_EARLY)
        self._outlet.flush()

    def _pump(self) -> None:
        """Take events until one waits or there are none, then send what was answered."""
        session = self._session
        while self._work is None:
            event = session.next_event()
            if session.faults:
                self._tell_faults()
            if event is None:
                break
            self._decide(event)
            if not session.reader.buffer:
                break
        if self._work is not None and session.ahead:
            self._link.pause()
        self._outlet.flush()
        if self._work is None:
            self._link.resume()

    def _decide(self, event: Event) -> None:
        if isinstance(event, Body):
            self._body(event)
        elif isinstance(event, Mail):
            self._start(self._mail(event))
        elif isinstance(event, Rcpt):
            self._start(self._rcpt(event))
        elif isinstance(event, Reset):
            self._abandon()
        elif isinstance(event, Authenticate | AuthResponse):
            self._start(self._authenticate(event))
        elif isinstance(event, StartTls):
            self._outlet.tls_due = True

    def _start(self, decision: Coroutine[Any, Any, None]) -> None:
        """Decide now, or when what the decision waits for is there; whatever it raises is a reply."""
        try:
            self._work = drive(decision, self._resumed)
        except Exception as fault:
            self._explain(fault)

    def _explain(self, fault: BaseException) -> None:
        if isinstance(fault, Refusal):
            self._refuse(fault)
        elif isinstance(fault, StoreError):
            self._refuse(_out_of_order(fault))
        else:
            self._log("session.fault", login=self._login, reason="".join(traceback.format_exception(fault)))
            self._refuse(_BUG)

    @property
    def _login(self) -> str:
        return self._account.login if self._account is not None else ""

    def _log(self, event: str, **fields: object) -> None:
        self._service.rooms.log(event, service=self._name, ip=self._ip, **fields)

    def _tell_faults(self) -> None:
        """What the session refused by itself."""
        for fault in self._session.faults:
            who: dict[str, object] = {}
            if fault.stage == "mail":
                who = {"queue_id": self._service.rooms.intake.new_id(), "sender": fault.path}
            elif fault.stage == "rcpt":
                who = {"recipient": fault.path}
            self._log_refusal(fault.refusal, fault.stage, **who)
            if fault.stage == "data":  # nothing more comes of this message
                self._drop()
        self._session.faults.clear()

    def _log_refusal(self, fault: Refusal, stage: str, **fields: object) -> None:
        told = self._transaction(whole=stage == "data") | fields
        if fault.reason != fault.public:
            told["reason"] = fault.reason
        self._log("mail.refused", stage=stage, code=f"{fault.code} {fault.enhanced}", text=fault.public, **told)

    def _transaction(self, *, whole: bool = True) -> dict[str, object]:
        """What is known of the peer and of the mail it is about to send; whole: with the recipients so far."""
        envelope, tls = self._envelope, self._link.tls
        told: dict[str, object] = {}
        if self._session.helo:
            told["helo"] = self._session.helo[:255]
        if tls is not None:
            told["tls"] = f"{tls.version} {tls.cipher}"
        if self._account is not None:
            told["login"] = self._account.login
        if envelope is not None:
            told["queue_id"] = envelope.id
            told["sender"] = "" if envelope.sender is None else str(envelope.sender)
            if whole and envelope.given:
                told["to"] = [given.address for given in envelope.given]
            told.update(envelope.named)
        return told

    def _refuse(self, fault: Refusal, **fields: object) -> None:
        session = self._session
        self._log_refusal(fault, _STAGES.get(session.wait, "command") if session.wait else "command", **fields)
        session.refuse(fault)

    def _resumed(self, fault: BaseException | None) -> None:
        """A decision that had to wait has been made: go on."""
        self._work = None
        if fault is not None:
            self._explain(fault)
        if not self._link.standing:
            self._drop()
        elif self._link.alive:
            self._pump()

    # Decisions

    def _who(self) -> Peer:
        """The peer as intake sees it; made again when what we know of it has changed."""
        session, peer = self._session, self._peer
        if peer is None or peer.helo != session.helo or peer.extended != session.esmtp:
            tls = self._link.tls
            peer = self._peer = Peer(
                service=self._name,
                ip=self._ip,
                port=self._link.peer[1],
                helo=session.helo,
                extended=session.esmtp,
                tls=f"{tls.version} {tls.cipher}" if tls is not None else None,
                account=self._account,
            )
        return peer

    async def _mail(self, event: Mail) -> None:
        self.tally.wanted = True
        options = MailOptions(
            sender=event.sender,
            size=event.size,
            body=event.body,
            smtputf8=event.smtputf8,
            ret=event.ret,
            envid=event.envid,
            requiretls=event.requiretls,
            hold_for=event.hold_for,
            hold_until=event.hold_until,
        )
        try:
            self._check_rate()
            self._envelope = await self._service.rooms.intake.sender(self._who(), options)
        except Refusal as fault:
            sender = "" if event.sender is None else str(event.sender)
            self._refuse(fault, queue_id=self._service.rooms.intake.new_id(), sender=sender)
        else:
            self._session.ok()

    def _check_rate(self) -> None:
        rates = self._service.rooms.rates
        if rates is not None and self._session.options.profile is Profile.MX:
            admission = rates.message(self._ip)
            if not admission.ok:
                raise Refusal(450, "4.7.1", admission.text)

    async def _rcpt(self, event: Rcpt) -> None:
        assert self._envelope is not None and self._peer is not None
        options = RcptOptions(address=event.recipient, orcpt=event.orcpt, notify=event.notify)
        rooms = self._service.rooms
        try:
            if rooms.strangers is not None and self._session.options.profile is Profile.MX:
                await vet(rooms.strangers, rooms.log, self._peer, self._envelope, event.recipient)
            await add(rooms.intake, self.tally, self._peer, self._envelope, options)
        except Refusal as fault:
            self._refuse(fault, recipient=str(event.recipient or "postmaster"))
        else:
            self._session.ok()

    def _body(self, event: Body) -> None:
        """Octets of the message: a small one that came whole goes straight to intake, others into the spool."""
        if event.last and self._spool is None and len(event.data) <= _SMALL:
            self._start(self._accept(Content(len(event.data), event.data)))
            return
        try:
            if self._spool is None:
                self._spool = self._service.rooms.store.spool()
            self._spool.write(event.data)
        except StoreUnavailable as fault:
            self._drop_spool()
            refusal = Refusal(_NO_ROOM.code, _NO_ROOM.enhanced, _NO_ROOM.public, reason=str(fault))
            if event.last:
                self._refuse(refusal)
            else:
                self._log_refusal(refusal, "data")
                self._session.discard(refusal)
                self._drop()
            return
        if event.last:
            self._start(self._accept(None))

    async def _accept(self, content: Content | None) -> None:
        """The message is complete; content None: it lies in the spool."""
        spool, envelope, peer = self._spool, self._envelope, self._peer
        assert envelope is not None and peer is not None
        try:
            if content is None:
                assert spool is not None
                content = await spool.seal()
            accepted = await self._service.rooms.intake.accept(peer, envelope, content)
        except Refusal as fault:
            self.tally.refused += not fault.temporary
            self._refuse(fault)
            return
        except StoreError as fault:
            self._refuse(_out_of_order(fault))
            return
        finally:
            self._drop()
        self.tally.kept += 1
        if self._service.rooms.rates is not None and self._session.options.profile is Profile.MX:
            self._service.rooms.rates.octets(self._ip, content.size)
        self._move_deadline(self._service.limits.idle_smtp)
        text = f"Queued as {accepted.id}"
        if self._session.options.profile is Profile.LMTP:
            for result in accepted.results:
                if result.refusal is not None:
                    who = {"queue_id": envelope.id, "recipient": result.address}
                    self._log_refusal(result.refusal, "data", **who)
            self._session.results([result.refusal or text for result in accepted.results])
        else:
            self._session.accept(text)

    async def _authenticate(self, event: Authenticate | AuthResponse) -> None:
        self.tally.wanted = True
        try:
            if isinstance(event, Authenticate):
                self._exchange = Exchange(self._service.rooms.logins, self._link, event.mechanism)
                step = await self._exchange.start(event.initial)
            else:
                assert self._exchange is not None
                step = await self._exchange.step(event.data)
        except LoginRefused as fault:
            self._exchange = None
            code, enhanced = _REFUSED_LOGIN[fault.kind]
            self._session.refuse(Refusal(code, enhanced, fault.text))
            return
        if isinstance(step, bytes):
            self._session.challenge(step)
            return
        self._exchange = self._peer = None
        self._account = step
        self._link.deadline(self._service.limits.idle_smtp)
        self._session.authenticated(step.login)

    def _abandon(self) -> None:
        """The peer gives up what it began."""
        if self._envelope is not None and self._envelope.given:
            self._log("mail.abandoned", **self._transaction())
        self._drop()

    def _drop(self) -> None:
        """The transaction is over."""
        self._envelope = None
        self._drop_spool()

    def _drop_spool(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()


def _out_of_order(fault: StoreError) -> Refusal:
    return Refusal(451, "4.3.0", _BUG.public, reason=str(fault))
