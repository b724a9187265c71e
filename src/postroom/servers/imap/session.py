"""What the server knows about one client: who it is, what it selected, what it is in the middle of.

Executors get a Session and a command, send untagged data through it and return the tagged reply.
Owns: the selected mailbox (its view and its ear on the feed). Kept small: thousands of clients sit in IDLE.
Trusts: `account` was authenticated before it is set.
Standards: RFC 9051 3 (states); what is enabled is known to `wire`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from postroom.mailbox.recent import Recent
from postroom.servers.imap.replies import Refused, Reply, bad
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command
from postroom.wire.imap.session import Session as Wire

if TYPE_CHECKING:
    from postroom.mailbox.places import Place, Places
    from postroom.mailbox.service import Account
    from postroom.net.link import Link
    from postroom.servers.imap.append import Appending
    from postroom.servers.imap.connection import ImapConnection
    from postroom.servers.imap.metadata import Annotated
    from postroom.servers.imap.selected import Selected
    from postroom.servers.imap.service import ImapService
    from postroom.servers.imap.watch import Watch
    from postroom.store.api import Hint

#: takes a line that is no command (SASL response, DONE) and gives the command's reply, or None to wait for more
LineTaker = Callable[["Session", bytes], "Awaitable[Reply | None] | Reply | None"]

_NONE_RECENT: Final = Recent()


class Doing(Protocol):
    """How far a command has come: messages it is done with, and all of them, 0 when that is not known."""

    @property
    def done(self) -> int: ...

    @property
    def goal(self) -> int: ...


class Session:
    """One client."""

    __slots__ = (
        "account",
        "annotated",
        "appending",
        "connection",
        "link",
        "news",
        "places",
        "progress",
        "running",
        "seen_running",
        "selected",
        "sent",
        "service",
        "takes_line",
        "then",
        "waiting",
        "watch",
        "wire",
    )

    def __init__(self, service: ImapService, link: Link, wire: Wire, connection: ImapConnection) -> None:
        self.service: Final = service
        self.link: Final = link
        self.wire: Final = wire
        self.connection: Final = connection
        self.account: Account | None = None
        self.places: Places | None = None
        self.selected: Selected | None = None
        self.annotated: Annotated | None = None  # for a client that enabled METADATA
        self.appending: Appending | None = None  # the messages of an APPEND that have arrived
        self.waiting: Command | None = None  # a command that goes on with the client's next line
        self.takes_line: LineTaker | None = None
        self.then: Callable[[], None] | None = None  # to be done once the tagged reply is sent (close, start TLS)
        self.sent = 0  # octets since the connection last saw to it that the client reads them
        self.news = False  # the feed said something about the selected mailbox
        self.watch: Watch | None = None  # since the client said NOTIFY
        self.running: Command | None = None  # until its tagged reply; progress: what is done of it, and its goal
        self.seen_running: Command | None = None  # when progress was looked at last
        self.progress: Doing | None = None

    @property
    def me(self) -> Account:
        """The login's own account; the command table lets only logged-in clients come here.

        The selected mailbox may belong to another: `box.account`.
        """
        assert self.account is not None
        return self.account

    @property
    def world(self) -> Places:
        """Every name this login can use: what a name means is asked there, never of the account."""
        assert self.places is not None
        return self.places

    @property
    def box(self) -> Selected:
        """The selected mailbox; the command table lets only clients come here that have one."""
        assert self.selected is not None
        return self.selected

    @property
    def recent(self) -> Recent:
        """The messages that are shown as \\Recent: none to a client of IMAP4rev2 (RFC 9051 Appendix E)."""
        return _NONE_RECENT if self.wire.rev2 else self.box.recent

    @property
    def condstore(self) -> bool:
        """Is the client told MODSEQs (of the selected mailbox, if it has any; RFC 7162 3.1.2.2)?"""
        return self.wire.condstore and (self.selected is None or self.selected.modseqs)

    @property
    def qresync(self) -> bool:
        """Does the client hear VANISHED for EXPUNGE (RFC 7162 3.2.10)?"""
        return self.wire.qresync and (self.selected is None or self.selected.modseqs)

    @property
    def idling(self) -> bool:
        """True while the client waits in IDLE and may be told anything at once."""
        return self.waiting is not None and self.waiting.name == "IDLE"

    @property
    def frozen(self) -> bool:
        """Nothing of the selected mailbox is told but what the client does itself (RFC 5465 3.1)."""
        return self.watch is not None and self.watch.frozen

    @property
    def due(self) -> bool:
        """The client listens, and there may be something to tell it."""
        watch = self.watch
        if watch is None:
            return self.idling and (self.news or (self.annotated is not None and self.annotated.news))
        if self.news or watch.pending:
            return True
        return not watch.patient and self.selected is not None and bool(self.selected.view.ghosts)

    def send(self, data: bytes) -> None:
        """Untagged data, complete lines."""
        self.sent += len(data)
        self.link.send(data)

    def require(self, condition: bool, text: str) -> None:
        """BAD with this text unless the condition holds."""
        if not condition:
            raise Refused(bad(text))

    def note_condstore(self, command: Command) -> None:
        """A CONDSTORE enabling command (RFC 7162 3.1): the first one with a mailbox selected tells HIGHESTMODSEQ."""
        if self.wire.notice(command):
            self.tell_condstore()

    def tell_condstore(self) -> None:
        """CONDSTORE has just come on."""
        if self.selected is not None and self.selected.modseqs:
            self.selected.view.condstore = True
            code = response.number_code(b"HIGHESTMODSEQ", self.selected.view.modseq)
            self.send(response.ok(b"*", "CONDSTORE is on", code))

    # --- the selected mailbox

    def select(self, selected: Selected) -> None:
        """Enter a mailbox and listen to what happens in it."""
        self.selected = selected
        self.news = False
        self.wire.selected()
        selected.watch(self.heard)

    def deselect(self) -> None:
        """Leave the selected mailbox, if there is one."""
        if self.selected is not None:
            selected, self.selected = self.selected, None
            selected.close()
            self.news = False
            if self.annotated is not None:
                self.annotated.unfollow()
            self.wire.unselected()
            if self.watch is not None:
                self.watch.left(selected)

    def heard(self, _hint: Hint | None = None) -> None:
        """The feed: something may have changed."""
        self.news = True
        if self.idling or self.watch is not None:
            self.connection.wake()

    def noticed(self) -> None:
        """The feed: annotations may have changed."""
        if self.idling:
            self.connection.wake()

    def listen(self, watch: Watch | None) -> None:
        """Hear of what a NOTIFY asked for, and of nothing an earlier one did."""
        if self.watch is not None:
            self.watch.close()
        self.watch = watch

    def added(self, place: Place, uids: Sequence[int]) -> None:
        """This client has put messages into a mailbox: it need not be told."""
        if self.watch is not None:
            selected = self.selected is not None and self.selected.place.same_mailbox(place)
            self.watch.added(place, uids, selected=selected)

    def made(self, *change: str) -> None:
        """This client has changed the list of mailboxes; see Watch.made."""
        if self.watch is not None:
            self.watch.made(*change)

    # --- commands of several lines

    def await_line(self, command: Command, taker: LineTaker) -> None:
        """The command goes on with the next line from the client, whatever it looks like."""
        self.waiting = command
        self.takes_line = taker
        self.wire.read_raw()

    def end_lines(self) -> None:
        """The command has its answer: lines are commands again."""
        self.waiting = self.takes_line = None
        self.wire.read_commands()

    def start_over(self) -> None:
        """Let go of everything that came with the login (RFC 8437 4.1)."""
        self.listen(None)
        self.deselect()
        if self.annotated is not None:
            self.annotated.close()
        self.account = self.places = self.annotated = None
        self.news = False

    def close(self) -> None:
        """The connection is gone."""
        self.start_over()
        self.then = None
