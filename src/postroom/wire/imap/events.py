"""What the framer and the session tell the driver, one event at a time.

Purpose: the whole vocabulary between protocol and driver besides `commands.Command`.
Ownership: events are frozen; the octets in them belong to whoever takes the event.
Standards: RFC 9051 4.3 (literals), RFC 7888 (non-synchronising literals), RFC 3502 (MULTIAPPEND).
"""

from __future__ import annotations

from msgspec import Struct

from postroom.wire.imap.commands import AppendMessage, Command


class Line(Struct, frozen=True):
    r"""A complete command, not yet parsed.

    text: the command without its last CR LF; each literal announcement stands in it as `{5}` CR LF, and its octets
    stand in `literals` in the same order.
    """

    text: bytes
    literals: tuple[bytes, ...] = ()


class RawLine(Struct, frozen=True):
    """A line that is no command: DONE of IDLE, a SASL response. data: without its line end."""

    data: bytes


class Continue(Struct, frozen=True):
    """The client waits with a synchronising literal of `size` octets that is accepted: send `+ OK`."""

    size: int


class Refused(Struct, frozen=True):
    """A command that was turned down before it could run; answer it once, and nothing else.

    status: b"BAD" or b"NO"; code: response code without brackets or b""; pending: octets of a non-synchronising
    literal that the client will send all the same and that will be thrown away (RFC 7888 4: a driver may prefer BYE).
    A Refused between AppendStart and the Append command ends that APPEND: drop what was collected.
    """

    tag: bytes
    text: str
    status: bytes = b"BAD"
    code: bytes = b""
    pending: int = 0


class AppendStart(Struct, frozen=True):
    """Octets of a message are announced. The driver must answer with accept() or refuse() before the next event.

    index: the message's place in the command; sync: the client waits for accept()'s `+`. With CATENATE a message may
    be announced several times, a piece each time; urls: the parts since the last piece, with their messages' places.
    name, replaces: as in Command and Append.
    """

    tag: bytes
    mailbox: str
    index: int
    message: AppendMessage
    sync: bool
    urls: tuple[tuple[int, str], ...] = ()
    name: str = "APPEND"
    replaces: int | None = None


class AppendData(Struct, frozen=True):
    """The next of the octets announced last; never empty."""

    data: bytes


class AppendEnd(Struct, frozen=True):
    """All octets announced last have come; the command is not complete (its end comes as Command).

    complete: the message is, too; what CATENATE puts together may go on.
    """

    index: int
    complete: bool = True


#: what Framer.next_event gives
FrameEvent = Line | RawLine | Continue | Refused | AppendStart | AppendData | AppendEnd | Command
#: what Session.next_event gives: lines have become commands
Event = Command | RawLine | Continue | Refused | AppendStart | AppendData | AppendEnd
