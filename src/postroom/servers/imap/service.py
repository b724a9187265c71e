"""What all IMAP connections of a worker share: the rooms below, the limits, and who is connected.

Owns: what may be offered to whom.
Trusts: servers.login for logins, policy for counts.
Standards: RFC 9051 6.2.3 (no passwords in the clear), 7.1.5 (BYE) and 11.
On failure: a connection too many hears BYE.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from postroom import __version__
from postroom.config import Imap, Limits, Listener, TlsMode
from postroom.mailbox.places import Places
from postroom.mailbox.service import Mailboxes
from postroom.mailbox.shared import enter
from postroom.net.link import Link
from postroom.servers.guests import STOPPING, Guests
from postroom.servers.imap.compress import Awake
from postroom.servers.imap.connection import ImapConnection
from postroom.servers.imap.progress import Progress
from postroom.servers.imap.replies import SERVER_BUG, Reply
from postroom.servers.imap.session import Session
from postroom.servers.login import Logins, unwelcome
from postroom.servers.ports import Conduct, Gate, Log
from postroom.store.api import AccountRow, FlagOp, RightsChange, Store
from postroom.values.clock import Clock
from postroom.values.rights import letters
from postroom.wire.imap.capability import Offer, switched_off
from postroom.wire.imap.session import SessionLimits

_SERVICE: Final = "imap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the server rests on. conduct: None counts no offences.

    sieve: where clients keep scripts (RFC 5804 3), "" for nowhere; script: RFC 6785 2.3.1, the server's.
    """

    store: Store
    mailboxes: Mailboxes
    logins: Logins
    gate: Gate
    clock: Clock
    log: Log
    conduct: Conduct | None = None
    sieve: str = ""
    script: str = ""


class ImapService:
    """Built once per worker."""

    __slots__ = (
        "_guests",
        "_jmap_url",
        "_literal_minus",
        "_message_limit",
        "_offers",
        "_progress",
        "_rooms",
        "_save_limit",
        "_without",
        "annotations",
        "awake",
        "greeting",
        "limits",
        "takes_8bit_headers",
        "version",
        "wire_limits",
    )

    def __init__(self, rooms: Rooms, limits: Limits, hostname: str, options: Imap | None = None) -> None:
        options = options or Imap()
        self._without = switched_off(options.disable)
        self._literal_minus = options.literal_minus
        self._jmap_url = options.jmap_url
        self._message_limit = options.message_limit
        self._save_limit = options.save_limit
        self.takes_8bit_headers: Final = options.accept_8bit_headers
        self._rooms = rooms
        self._guests: Guests[ImapConnection] = Guests(rooms.gate, rooms.log, limits.connections)
        self._progress = Progress(self._guests)
        self._offers: dict[Offer, Offer] = {}  # few different ones, shared by all connections
        self.awake: Final = Awake()
        self.limits: Final = limits
        self.wire_limits: Final = SessionLimits(
            line=limits.imap_line,
            login_literal=limits.imap_login_literal,
            annotation=rooms.mailboxes.limits.annotation_size,
        )
        #: RFC 5464 6.2: what every client may read about the server
        self.annotations: Final = {
            "/shared/admin": options.admin or f"mailto:postmaster@{hostname}",
            "/shared/comment": options.comment,
            "/shared/imapsieve/script": rooms.script,
        }
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

    @property
    def logins(self) -> Logins:
        """How clients log in."""
        return self._rooms.logins

    def offer(self, link: Link, *, starttls: bool) -> Offer:
        """What this connection may use now: nothing that carries a password before TLS."""
        mechanisms = self._rooms.logins.mechanisms(link)
        offer = Offer(
            starttls=starttls and not link.secure,
            login="PLAIN" in mechanisms,
            mechanisms=mechanisms,
            append_limit=self._rooms.mailboxes.limits.message_size,
            literal_minus=self._literal_minus,
            message_limit=self._message_limit,
            save_limit=self._save_limit,
            jmap=self._jmap_url,
            sieve=self._rooms.sieve,
            without=self._without,
        )
        return self._offers.setdefault(offer, offer)

    async def enter(self, row: AccountRow) -> Places:
        """Everything this account's login can name. Raises NotFound, StoreUnavailable."""
        return await enter(self._rooms.mailboxes, self._rooms.store.directory, row, self._rooms.clock)

    # --- connections

    def admit(self, connection: ImapConnection, link: Link) -> str:
        """Count a new connection; why it must go away, or ""."""
        turned = self._guests.admit(connection, _SERVICE, link.peer[0])
        if turned is not None:
            return f"[UNAVAILABLE] {turned.text}"
        self._progress.start()
        return ""

    def forget(self, connection: ImapConnection, link: Link, reason: str = "") -> None:
        """A connection is gone."""
        self._tell("session.closed", link, login=_login(connection.session), reason=reason)
        known, conduct = self._guests.forget(connection, _SERVICE, link.peer[0]), self._rooms.conduct
        if known and conduct is not None and connection.session.account is None:
            conduct.session(link.peer[0], connection.tally)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._guests)

    def stop(self) -> None:
        """Graceful stop: everybody hears BYE, once the command in progress is answered."""
        self._guests.stop()
        self._progress.stop()
        for connection in self._guests:
            connection.leave(f"[UNAVAILABLE] {STOPPING}")

    async def settled(self) -> None:
        """Wait until every client is gone; to be called after `stop`."""
        await self._guests.settled()

    async def recheck(self) -> None:
        """The directory changed: clients that may not stay hear BYE (RFC 9051 7.1.5)."""
        whose: dict[tuple[str, bytes], list[ImapConnection]] = {}
        for connection in self._guests:
            account = connection.session.account
            if account is not None:
                opened_by = self.logins.opened.get(connection.session.link, b"")
                whose.setdefault((account.id, opened_by), []).append(connection)
        for (owner, opened_by), connections in whose.items():
            why = await unwelcome(self._rooms.store.directory, owner, opened_by)
            for connection in connections if why else ():
                connection.leave(f"[CONTACTADMIN] {why}")
        for connection in self._guests:
            if connection.session.watch is not None:
                connection.session.watch.look_again()
            box = connection.session.selected
            if box is not None and not box.own:  # a group may have changed: its rights are looked at again
                connection.session.heard()

    # --- the log

    def _tell(self, event: str, link: Link, **fields: object) -> None:
        self._rooms.log(event, service=_SERVICE, ip=link.peer[0], **fields)

    def identified(self, session: Session, fields: Sequence[tuple[str, str | None]]) -> None:
        """A client said what it is (RFC 2971)."""
        known = {name: value for name, value in fields if name.lower() in ("name", "version", "vendor", "os")}
        self._tell("client.named", session.link, login=_login(session), client=known)

    def acl_changed(self, session: Session, mailbox: str, identifier: str, change: RightsChange) -> None:
        """A login gave or took rights."""
        word = {FlagOp.ADD: "+", FlagOp.REMOVE: "-"}.get(change.op, "")
        rights = word + letters(change.rights)
        login = _login(session)
        self._tell("acl.changed", session.link, login=login, mailbox=mailbox, identifier=identifier, rights=rights)

    def damaged(self, session: Session, what: str, fault: Exception) -> None:
        """Something that was kept cannot be read."""
        self._tell("store.damaged", session.link, login=_login(session), reason=f"{what}: {fault}")

    def bug(self, session: Session, what: str, fault: BaseException) -> Reply:
        """Something nobody foresaw: log it with its trace; the reply for the client."""
        trace = "".join(traceback.format_exception(fault))
        self._tell("session.fault", session.link, login=_login(session), reason=f"{what}: {trace}")
        return SERVER_BUG


def _login(session: Session) -> str:
    return session.account.row.login if session.account is not None else ""
