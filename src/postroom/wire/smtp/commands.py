"""The SMTP command table: who may say what, when. HELP and the documentation are printed from it.

Standards: RFC 5321 4.1.1; RFC 2033 4.1 (LMTP); RFC 4954, RFC 3207, RFC 3030.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from postroom.wire.smtp import verbs
from postroom.wire.smtp.events import Event
from postroom.wire.smtp.state import HELLO, IDLE, LOGIN, MAIL, NO_CHUNKS, RECIPIENT, Profile

if TYPE_CHECKING:
    from postroom.wire.smtp.server import ServerSession

_SMTP = frozenset((Profile.MX, Profile.SUBMISSION))
_ALL = frozenset(Profile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row. run: called with the session and the arguments; needs: bits of `state`.

    counted: one of those that lead nowhere when repeated without a message; rfc: where it is defined.
    """

    name: str
    run: Callable[[ServerSession, str], Event | None]
    synopsis: str
    rfc: str
    needs: int = 0
    profiles: frozenset[Profile] = _ALL
    counted: bool = True


COMMANDS: Final[tuple[Command, ...]] = (
    Command(name="EHLO", rfc="RFC 5321 4.1.1.1", run=verbs.ehlo, synopsis="EHLO name", profiles=_SMTP),
    Command(name="HELO", rfc="RFC 5321 4.1.1.1", run=verbs.helo, synopsis="HELO name", profiles=_SMTP),
    Command(name="LHLO", rfc="RFC 2033 4.1", run=verbs.ehlo, synopsis="LHLO name", profiles=frozenset((Profile.LMTP,))),
    Command(name="STARTTLS", rfc="RFC 3207 4", run=verbs.starttls, synopsis="STARTTLS", needs=HELLO | IDLE),
    Command(
        name="AUTH",
        rfc="RFC 4954 4",
        run=verbs.auth,
        synopsis="AUTH mechanism [initial-response]",
        needs=HELLO | IDLE,
        profiles=_SMTP,
    ),
    Command(
        name="MAIL",
        rfc="RFC 5321 4.1.1.2",
        run=verbs.mail,
        synopsis="MAIL FROM:<address> [SIZE= BODY= SMTPUTF8 RET= ENVID= AUTH= REQUIRETLS]",
        needs=HELLO | LOGIN | IDLE,
    ),
    Command(
        name="RCPT",
        rfc="RFC 5321 4.1.1.3",
        run=verbs.rcpt,
        synopsis="RCPT TO:<address> [NOTIFY= ORCPT=]",
        needs=HELLO | MAIL | NO_CHUNKS,
        counted=False,
    ),
    Command(
        name="DATA",
        rfc="RFC 5321 4.1.1.4",
        run=verbs.data,
        synopsis="DATA; then the message, a line with one dot ends it",
        needs=HELLO | MAIL | RECIPIENT | NO_CHUNKS,
    ),
    Command(
        name="BDAT", rfc="RFC 3030 2", run=verbs.bdat, synopsis="BDAT octets [LAST]", counted=False
    ),  # its octets follow in any case
    Command(name="RSET", rfc="RFC 5321 4.1.1.5", run=verbs.rset, synopsis="RSET"),
    Command(name="NOOP", rfc="RFC 5321 4.1.1.9", run=verbs.noop, synopsis="NOOP"),
    Command(name="VRFY", rfc="RFC 5321 4.1.1.6", run=verbs.vrfy, synopsis="VRFY address"),
    Command(name="EXPN", rfc="RFC 5321 4.1.1.7", run=verbs.expn, synopsis="EXPN list"),
    Command(name="HELP", rfc="RFC 5321 4.1.1.8", run=verbs.give_help, synopsis="HELP [command]"),
    Command(name="QUIT", rfc="RFC 5321 4.1.1.10", run=verbs.leave, synopsis="QUIT", counted=False),
)

BY_NAME: Final[dict[Profile, dict[str, Command]]] = {
    profile: {command.name: command for command in COMMANDS if profile in command.profiles} for profile in Profile
}

#: commands of other standards that we know and do not offer: 502 (RFC 5321 4.2.4)
NOT_IMPLEMENTED: Final = frozenset(("ETRN", "TURN", "ATRN", "SEND", "SOML", "SAML", "BURL", "XCLIENT", "XFORWARD"))

#: words a browser that was tricked into talking to us begins with: the connection ends
FOREIGN: Final = frozenset(("GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS"))

SYNOPSES: Final[dict[Profile, dict[str, str]]] = {
    profile: {name: command.synopsis for name, command in table.items()} for profile, table in BY_NAME.items()
}
