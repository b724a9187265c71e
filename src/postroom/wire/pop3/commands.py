"""The POP3 command table: who may say what, when.

Standards: RFC 1939 4 to 8 (states), RFC 2449 (CAPA), RFC 2595 4 (STLS), RFC 5034 (AUTH), RFC 6856 2 (UTF8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from postroom.wire.pop3 import verbs
from postroom.wire.pop3.events import Event

if TYPE_CHECKING:
    from postroom.wire.pop3.session import Pop3Session


class State(StrEnum):
    """RFC 1939 3; the UPDATE state begins with QUIT and takes no commands."""

    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"


_AUTHORIZATION = frozenset((State.AUTHORIZATION,))
_TRANSACTION = frozenset((State.TRANSACTION,))
_BOTH = _AUTHORIZATION | _TRANSACTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row. run: called with the session and the text after the command; rfc: where it is defined."""

    name: str
    run: Callable[[Pop3Session, str], Event | None]
    synopsis: str
    rfc: str
    states: frozenset[State]


COMMANDS: Final[tuple[Command, ...]] = (
    Command(name="CAPA", rfc="RFC 2449 5", run=verbs.capa, synopsis="CAPA", states=_BOTH),
    Command(name="STLS", rfc="RFC 2595 4", run=verbs.stls, synopsis="STLS", states=_AUTHORIZATION),
    Command(name="UTF8", rfc="RFC 6856 2.1", run=verbs.utf8, synopsis="UTF8", states=_AUTHORIZATION),
    Command(name="USER", rfc="RFC 1939 7", run=verbs.user, synopsis="USER name", states=_AUTHORIZATION),
    Command(name="PASS", rfc="RFC 1939 7", run=verbs.password, synopsis="PASS password", states=_AUTHORIZATION),
    Command(
        name="AUTH",
        rfc="RFC 5034 4",
        run=verbs.auth,
        synopsis="AUTH [mechanism [initial-response]]",
        states=_AUTHORIZATION,
    ),
    Command(name="STAT", rfc="RFC 1939 5", run=verbs.stat, synopsis="STAT", states=_TRANSACTION),
    Command(name="LIST", rfc="RFC 1939 5", run=verbs.list_sizes, synopsis="LIST [message]", states=_TRANSACTION),
    Command(name="UIDL", rfc="RFC 1939 7", run=verbs.uidl, synopsis="UIDL [message]", states=_TRANSACTION),
    Command(name="RETR", rfc="RFC 1939 5", run=verbs.retr, synopsis="RETR message", states=_TRANSACTION),
    Command(name="TOP", rfc="RFC 1939 7", run=verbs.top, synopsis="TOP message lines", states=_TRANSACTION),
    Command(name="DELE", rfc="RFC 1939 5", run=verbs.dele, synopsis="DELE message", states=_TRANSACTION),
    Command(name="RSET", rfc="RFC 1939 5", run=verbs.rset, synopsis="RSET", states=_TRANSACTION),
    Command(name="NOOP", rfc="RFC 1939 5", run=verbs.noop, synopsis="NOOP", states=_TRANSACTION),
    Command(name="QUIT", rfc="RFC 1939 6", run=verbs.leave, synopsis="QUIT", states=_BOTH),
)

BY_NAME: Final[dict[str, Command]] = {command.name: command for command in COMMANDS}
