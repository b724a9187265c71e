"""The protocol side of one IMAP connection: its state, what the client enabled, and its framer.

Purpose: the driver feeds octets, takes one event at a time, does what the event says, and tells the session what
came of it. Everything here is small: ten thousand of them wait in IDLE.
Ownership: owns the framer. Knows nothing of mailboxes; the driver holds the view.
Standards: RFC 9051 3 (states), 6.3.1 (ENABLE), 6.2.1 (STARTTLS); RFC 7162 3.1 (CONDSTORE enabling commands).
On failure: Refused events; never an exception for what a client sent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from postroom.wire.imap.capability import ENABLED, Offer, capabilities, commands_off
from postroom.wire.imap.commands import (
    SAVED,
    Attribute,
    Command,
    Fetch,
    Key,
    MultiSearch,
    Search,
    SearchKey,
    Select,
    Sort,
    Status,
    Store,
    Thread,
)
from postroom.wire.imap.errors import BadCommand
from postroom.wire.imap.events import AppendStart, Event, Line, Refused
from postroom.wire.imap.framer import Framer, FramerLimits
from postroom.wire.imap.table import COMMANDS, Row, State, parse, wrong_state


class SessionLimits(Struct, frozen=True, kw_only=True):
    """Octets; see config limits.imap_line and limits.imap_login_literal."""

    line: int = 65536
    login_literal: int = 4096  # all literals of a command before login
    literal: int = 65536  # and after
    annotation: int = 32768  # a value in SETMETADATA


_DEFAULT: Final = SessionLimits()
_NOTHING: Final[frozenset[str]] = frozenset()  # of all that have enabled nothing: each would take 216 octets
_UNKNOWN: Final = "unknown command"
_REV2: Final = "RFC 9051 "
_NONSYNC: Final = 4096  # RFC 7888 5


class Session:
    """State of one connection. Attributes are for reading; the methods change them."""

    __slots__ = ("enabled", "framer", "limits", "offer", "state")

    def __init__(self, offer: Offer, limits: SessionLimits = _DEFAULT) -> None:
        self.offer = offer
        self.limits = limits
        self.state = State.NOT_AUTHENTICATED
        self.enabled = _NOTHING  # as ENABLED prints them
        self.framer = Framer(self._frame_limits(limits.login_literal))

    def _frame_limits(self, literal: int) -> FramerLimits:
        nonsync = _NONSYNC if self.offer.literal_minus else None
        literal = max(literal, self.limits.annotation) if self.authenticated else literal
        return _frame_limits(self.limits.line, literal, nonsync, self.limits.annotation)

    # -- octets and events ----------------------------------------------------------------------------------------
    def feed(self, data: bytes) -> None:
        """Take octets that came from the client."""
        self.framer.feed(data)

    def next_event(self) -> Event | None:
        """The next thing to do, or None until more octets come (or accept() or refuse() was called).

        A Command given here may run in the present state. Take events one by one: what a command changes
        (state, ENABLE, raw lines) counts for the octets behind it.
        """
        if self.state is State.LOGOUT:
            return None
        event = self.framer.next_event()
        if isinstance(event, Line):
            return self._command(event)
        if isinstance(event, AppendStart):
            return self._append(event)
        return event

    def _append(self, event: AppendStart) -> Event:
        """Octets of a message: only where the command may come."""
        row = COMMANDS[event.name]
        pending = 0 if event.sync else event.message.size
        if not row.states & self.state:
            self.framer.refuse()
            return Refused(event.tag, f"{event.name}: {wrong_state(row, self.state)}", pending=pending)
        if self.offer.without and self._is_off(event.name):
            self.framer.refuse()
            return Refused(event.tag, _UNKNOWN, pending=pending)
        if row.numbers and self.uidonly:
            self.framer.refuse()
            return needs_uids(event.tag, pending)
        return event

    def _command(self, line: Line) -> Event:
        try:
            command = parse(line, self.framer.utf8, self.state)
        except BadCommand as fault:
            return Refused(fault.tag, fault.text, fault.status, fault.code)
        if self.offer.without and self._is_off(command.name):
            return Refused(command.tag, _UNKNOWN)
        if self.state is State.NOT_AUTHENTICATED:
            return self._before_login(command)
        if self.uidonly and _names_numbers(command):
            return needs_uids(command.tag)
        return command

    def _is_off(self, name: str) -> bool:
        """The command went with its capability; but IMAP4rev2 has some of them itself, for who has enabled it."""
        return name in commands_off(self.offer.without) and not (self.rev2 and COMMANDS[name].rfc.startswith(_REV2))

    def _before_login(self, command: Command) -> Event:
        """No password without TLS where that is the rule (RFC 9051 6.2.3, RFC 5530 3: PRIVACYREQUIRED)."""
        barred = not self.offer.login if command.name == "LOGIN" else not self.offer.mechanisms
        if command.name in ("LOGIN", "AUTHENTICATE") and barred:
            return Refused(command.tag, "log in after STARTTLS", b"NO", b"PRIVACYREQUIRED")
        if command.name == "STARTTLS" and not self.offer.starttls:
            return Refused(command.tag, "STARTTLS is not available")
        return command

    def accept(self) -> bytes:
        """Take the message announced by AppendStart; send what this gives: `+ OK` to a client that waits, else b""."""
        return b"+ OK\r\n" if self.framer.accept() else b""

    def refuse(self) -> None:
        """Turn down the message announced by AppendStart; the driver sends the tagged NO."""
        self.framer.refuse()

    def read_raw(self) -> None:
        """Lines are RawLine from now on (IDLE, AUTHENTICATE)."""
        self.framer.expect_raw()

    def read_commands(self) -> None:
        """Lines are commands again."""
        self.framer.expect_commands()

    # -- what happened --------------------------------------------------------------------------------------------
    def secured(self, offer: Offer) -> None:
        """TLS is there: forget what came before it (RFC 9051 6.2.1 and 11.1), offer what is right now."""
        self.framer.drop_input()
        self.offer = offer

    def logged_in(self, without: frozenset[str] = frozenset()) -> None:
        """The client is authenticated. without: what this account's clients are not offered, besides."""
        self.state = State.AUTHENTICATED
        if not without <= self.offer.without:
            self.offer = replace(self.offer, without=self.offer.without | without)
        self.framer.limits = self._frame_limits(self.limits.literal)

    def logged_out(self, offer: Offer) -> None:
        """Nobody is logged in any more and nothing is enabled (RFC 8437 4.1); what the client sent ahead counts."""
        self.state = State.NOT_AUTHENTICATED
        self.offer = offer
        self.enabled = _NOTHING
        self.framer.utf8 = False
        self.framer.limits = self._frame_limits(self.limits.login_literal)

    def selected(self) -> None:
        """A mailbox is open."""
        self.state = State.SELECTED

    def unselected(self) -> None:
        """No mailbox is open (CLOSE, UNSELECT, failed SELECT)."""
        self.state = State.AUTHENTICATED

    def closing(self) -> None:
        """LOGOUT or BYE: nothing may follow."""
        self.state = State.LOGOUT
        self.framer.drop_input()

    def enable(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Turn on what we know of the names; gives those that were not on before (RFC 9051 7.2.1), as printed."""
        known = dict.fromkeys(ENABLED[name] for name in names if name in ENABLED)
        new = [name for name in known if name not in self.enabled and name not in self.offer.without]
        self.enabled |= frozenset(new)
        if "QRESYNC" in new:
            self.enabled |= {"CONDSTORE"}  # RFC 7162 3.2.3
        self.framer.utf8 = self.utf8
        return tuple(new)

    def notice(self, command: Command) -> bool:
        """True when this command turns CONDSTORE on that was off (RFC 7162 3.1).

        The driver then sends HIGHESTMODSEQ of the selected mailbox (RFC 7162 3.1).
        """
        if "CONDSTORE" in self.enabled or not _enables_condstore(command.args):
            return False
        self.enabled |= {"CONDSTORE"}
        return True

    # -- what that means ------------------------------------------------------------------------------------------
    @property
    def authenticated(self) -> bool:
        """True in the authenticated and the selected state."""
        return self.state is State.AUTHENTICATED or self.state is State.SELECTED

    @property
    def rev2(self) -> bool:
        """The client enabled IMAP4rev2: ESEARCH in place of SEARCH, no RECENT (RFC 9051 Appendix E)."""
        return "IMAP4rev2" in self.enabled

    @property
    def utf8(self) -> bool:
        """Names and quoted strings are UTF-8 (RFC 6855 3, RFC 9051 5.1)."""
        return "UTF8=ACCEPT" in self.enabled or "IMAP4rev2" in self.enabled

    @property
    def condstore(self) -> bool:
        """Untagged FETCH of changed flags carries MODSEQ (RFC 7162 3.1)."""
        return "CONDSTORE" in self.enabled

    @property
    def qresync(self) -> bool:
        """VANISHED in place of EXPUNGE (RFC 7162 3.2.10)."""
        return "QRESYNC" in self.enabled

    @property
    def uidonly(self) -> bool:
        """Messages are named by UIDs alone (RFC 9586 3)."""
        return "UIDONLY" in self.enabled

    def capabilities(self) -> tuple[str, ...]:
        """The capabilities of this moment."""
        return capabilities(self.offer, self.authenticated)


@lru_cache(maxsize=64)
def _frame_limits(line: int, literal: int, nonsync: int | None, annotation: int) -> FramerLimits:
    """One for all connections that have the same."""
    return FramerLimits(line=line, literal=literal, nonsync=nonsync, annotation=annotation)


def needs_uids(tag: bytes, pending: int = 0) -> Refused:
    """RFC 9586 3.2: what a client hears that enabled UIDONLY and names message numbers."""
    return Refused(tag, "Only UIDs can be used after ENABLE UIDONLY", code=b"UIDREQUIRED", pending=pending)


def _names_numbers(command: Command) -> bool:
    if COMMANDS[command.name].numbers:
        return True
    args = command.args
    if isinstance(args, Select):
        return args.qresync is not None and bool(args.qresync.match_seqs)  # RFC 9586 3.5
    if isinstance(args, Sort | Thread | MultiSearch):
        args = args.search
    return isinstance(args, Search) and names_numbers(args.key)


def names_numbers(key: SearchKey) -> bool:
    """The search program names message numbers; "$" are none (RFC 9586 3.4)."""
    return (key.key is Key.SEQ and key.set != SAVED) or any(names_numbers(inner) for inner in key.keys)


def row_of(command: Command) -> Row:
    """The command's row of the table."""
    return COMMANDS[command.name]


def _enables_condstore(args: object) -> bool:
    match args:
        case Select():
            return args.condstore or args.qresync is not None
        case Fetch():
            return args.changed_since is not None or any(item.attribute is Attribute.MODSEQ for item in args.items)
        case Store():
            return args.unchanged_since is not None
        case Search():
            return args.uses_modseq
        case Sort() | Thread() | MultiSearch():
            return args.search.uses_modseq
        case Status():
            return "HIGHESTMODSEQ" in args.items
        case _:
            return False
