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
    """A row. run: called with the session and the text after the command."""

    name: str
    run: Callable[[Pop3Session, str], Event | None]
    synopsis: str
    states: frozenset[State]


COMMANDS: Final[tuple[Command, ...]] = (
    Command(name="CAPA", run=verbs.capa, synopsis="CAPA", states=_BOTH),
    Command(name="STLS", run=verbs.stls, synopsis="STLS", states=_AUTHORIZATION),
    Command(name="UTF8", run=verbs.utf8, synopsis="UTF8", states=_AUTHORIZATION),
    Command(name="USER", run=verbs.user, synopsis="USER name", states=_AUTHORIZATION),
    Command(name="PASS", run=verbs.password, synopsis="PASS password", states=_AUTHORIZATION),
    Command(name="AUTH", run=verbs.auth, synopsis="AUTH [mechanism [initial-response]]", states=_AUTHORIZATION),
    Command(name="STAT", run=verbs.stat, synopsis="STAT", states=_TRANSACTION),
    Command(name="LIST", run=verbs.list_sizes, synopsis="LIST [message]", states=_TRANSACTION),
    Command(name="UIDL", run=verbs.uidl, synopsis="UIDL [message]", states=_TRANSACTION),
    Command(name="RETR", run=verbs.retr, synopsis="RETR message", states=_TRANSACTION),
    Command(name="TOP", run=verbs.top, synopsis="TOP message lines", states=_TRANSACTION),
    Command(name="DELE", run=verbs.dele, synopsis="DELE message", states=_TRANSACTION),
    Command(name="RSET", run=verbs.rset, synopsis="RSET", states=_TRANSACTION),
    Command(name="NOOP", run=verbs.noop, synopsis="NOOP", states=_TRANSACTION),
    Command(name="QUIT", run=verbs.leave, synopsis="QUIT", states=_BOTH),
)

BY_NAME: Final[dict[str, Command]] = {command.name: command for command in COMMANDS}
