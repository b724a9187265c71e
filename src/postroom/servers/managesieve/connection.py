"""The ManageSieve driver: octets from the link in, scripts of an account out and in.

Owns: the connection's session. Trusts: nobody before the log-in; scripts are compiled before they are kept.
Standards: RFC 5804 2.
On failure: NO with a response code; what nobody foresaw is (TRYLATER) and an event of the log.
"""

from __future__ import annotations

import traceback
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from postroom.mailbox.scripts import BadScriptName, Scripts
from postroom.net.drive import Driven, drive
from postroom.net.link import Link
from postroom.policy.conduct import Tally
from postroom.servers.guests import STOPPING
from postroom.servers.login import Exchange, Kind, LoginRefused
from postroom.servers.outlet import Outlet
from postroom.sieve.faults import BadScript, Fault
from postroom.store.api import (
    AccountRow,
    NotFound,
    OverQuota,
    ScriptActive,
    ScriptExists,
    StoreError,
    TooManyScripts,
)
from postroom.wire.managesieve import (
    Authenticate,
    AuthResponse,
    CheckScript,
    DeleteScript,
    Event,
    GetScript,
    HaveSpace,
    ListScripts,
    ManageSieveSession,
    PutScript,
    RenameScript,
    SetActive,
    StartTls,
    Unauthenticate,
)

if TYPE_CHECKING:
    from postroom.servers.managesieve.service import ManageSieveService

_SERVICE: Final = "managesieve"
_BUG: Final = "Something went wrong here; please try again later"

#: RFC 5804 1.3
_REFUSED_LOGIN: Final = {Kind.THROTTLED: "TRYLATER", Kind.UNAVAILABLE: "TRYLATER"}
_CODES: Final[tuple[tuple[type[Exception], str, str], ...]] = (
    (NotFound, "NONEXISTENT", "There is no such script"),
    (ScriptExists, "ALREADYEXISTS", "There is a script of that name already"),
    (ScriptActive, "ACTIVE", "The active script cannot be removed"),
    (TooManyScripts, "QUOTA/MAXSCRIPTS", "There are as many scripts as there may be"),
    (OverQuota, "QUOTA/MAXSIZE", "The scripts would be too large together"),
)


class ManageSieveConnection:
    """net.link.Driver of one client."""

    __slots__ = (
        "_exchange",
        "_leaving",
        "_link",
        "_outlet",
        "_scripts",
        "_service",
        "_session",
        "_work",
        "account",
        "tally",
    )

    def __init__(self, service: ManageSieveService, link: Link, session: ManageSieveSession) -> None:
        self._service = service
        self._link = link
        self._session = session
        self._outlet = Outlet(link, session)
        self._outlet.upgraded = self._secured
        self._exchange: Exchange | None = None
        self._scripts: Scripts | None = None
        self.account: AccountRow | None = None  # after the log-in
        self.tally = Tally()
        self._leaving = ""
        self._work: Driven | None = None

    # The link's side

    def connected(self) -> None:
        """Greet, or send away who has too many connections."""
        refusal = self._service.admit(self, self._link.peer[0])
        if refusal:
            self._session.bye(refusal, "TRYLATER")
        else:
            self._link.deadline(self._service.limits.idle_login)
            self._session.greet()
        self._outlet.flush()

    def received(self, data: bytes) -> None:
        """Octets from the client."""
        if self._session.logged_in:
            self._link.deadline(self._service.idle)
        self._session.feed(data)
        if self._work is None:
            self._pump()
        else:
            self._link.pause()

    def _secured(self) -> None:
        """TLS stands: tell again what there is."""
        self._outlet.handshake = False
        self._session.secured(self._service.logins.mechanisms(self._link))
        self._outlet.flush()

    def expired(self) -> None:
        """RFC 5804 1.2: who is silent for long is sent away."""
        if self._work is not None:
            self._link.deadline(self._service.idle)
            return
        self._session.bye("Too long without a command")
        self._outlet.flush()

    def closed(self, reason: Exception | None) -> None:
        """The connection is gone."""
        self.tally.nonsense = self._session.nonsense and not self.tally.wanted
        self._service.forget(self, self._link.peer[0])
        self._log("session.closed", reason=str(reason or ""))

    @property
    def opened_by(self) -> bytes:
        """The digest of the app password it was opened with, if it was one."""
        return self._service.logins.opened.get(self._link, b"")

    def leave(self, text: str = STOPPING) -> None:
        """Send the client away as soon as the command in progress is answered."""
        self._leaving = text
        if self._work is None:
            self._goodbye()

    # Work

    def _goodbye(self) -> None:
        self._session.bye(self._leaving, "TRYLATER")
        self._outlet.flush()

    def _pump(self) -> None:
        """Take events until one waits or there are none, then send what was answered."""
        while self._work is None:
            event = self._session.next_event()
            if event is None:
                break
            if isinstance(event, StartTls):
                self._outlet.tls_due = True
                break
            self._work = drive(self._guarded(self._do(event)), self._resumed)
            if self._work is not None and self._session.ahead:
                self._link.pause()
        self._outlet.flush()
        if self._work is None:
            self._link.resume()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What a command asks for; whatever it raises is an answer."""
        try:
            await work
        except Exception as fault:
            self._explain(fault)

    def _resumed(self, fault: BaseException | None) -> None:
        self._work = None
        if self._leaving:
            self._goodbye()
        elif self._link.alive:
            self._pump()

    def _log(self, event: str, **fields: object) -> None:
        login = self.account.login if self.account is not None else ""
        self._service.log(event, service=_SERVICE, ip=self._link.peer[0], login=login, **fields)

    def _explain(self, fault: Exception) -> None:
        session = self._session
        if isinstance(fault, LoginRefused):
            self._exchange = None
            session.no(fault.text, _REFUSED_LOGIN.get(fault.kind, ""))
            return
        if isinstance(fault, BadScript):
            session.no(told(fault.faults))
            return
        if isinstance(fault, BadScriptName):
            session.no(str(fault))
            return
        for kind, code, text in _CODES:
            if isinstance(fault, kind):
                session.no(text, code)
                return
        known = isinstance(fault, StoreError | OSError)
        self._log("session.fault", reason=str(fault) if known else "".join(traceback.format_exception(fault)))
        session.no("The scripts cannot be reached now; try again later" if known else _BUG, "TRYLATER")

    # What commands ask for

    async def _do(self, event: Event) -> None:
        if isinstance(event, Authenticate | AuthResponse):
            await self._authenticate(event)
        elif isinstance(event, Unauthenticate):
            self.account = self._scripts = None
            self._link.deadline(self._service.limits.idle_login)
            self._session.forgotten(self._service.logins.mechanisms(self._link))
        else:
            assert self._scripts is not None
            await self._manage(event, self._scripts)

    async def _authenticate(self, event: Authenticate | AuthResponse) -> None:
        self.tally.wanted = True
        if isinstance(event, Authenticate):
            self._exchange = Exchange(self._service.logins, self._link, event.mechanism)
            step = await self._exchange.start(event.initial)
        else:
            if self._exchange is None:
                raise LoginRefused(Kind.MALFORMED, "Nothing was asked")
            step = await self._exchange.step(event.data)
        if isinstance(step, bytes):
            self._session.challenge(step)
            return
        self._exchange = None
        self._scripts = await self._service.scripts(step)
        self.account = step
        self._link.deadline(self._service.idle)
        self._session.logged(step.login)

    async def _manage(self, event: Event, scripts: Scripts) -> None:
        session = self._session
        if isinstance(event, ListScripts):
            session.listed([(each.name, each.active) for each in await scripts.all()])
        elif isinstance(event, GetScript):
            session.script(await scripts.get(event.name))
        elif isinstance(event, CheckScript):
            faults = await scripts.faults(event.text)
            session.no(told(faults)) if faults else session.ok()
        elif isinstance(event, HaveSpace):
            code = await scripts.room_for(event.name, event.size)
            session.no("There is no room for that", f"QUOTA/{code}") if code else session.ok()
        else:
            await self._change(event, scripts)
            session.ok()

    async def _change(self, event: Event, scripts: Scripts) -> None:
        if isinstance(event, PutScript):
            await scripts.put(event.name, event.text)
        elif isinstance(event, SetActive):
            await scripts.activate(event.name)
        elif isinstance(event, DeleteScript):
            await scripts.remove(event.name)
        elif isinstance(event, RenameScript):
            await scripts.rename(event.name, event.new)


def told(faults: Sequence[Fault]) -> str:
    """Every fault on a line of its own, for the person who edits."""
    return "\r\n".join(map(str, faults))
