"""What each SMTP command does to a session. The order of commands is checked before, by the table's `needs`.

Each function takes the session and the text after the command word, and returns an event when the driver has to
decide or to know. Raises Refusal with the reply to send.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from postroom.values.refusal import Refusal
from postroom.wire.sasl.exchange import Authenticate
from postroom.wire.sasl.server import SaslFault, decode_base64
from postroom.wire.smtp import replies
from postroom.wire.smtp.arguments import parse_mail, parse_rcpt
from postroom.wire.smtp.body import Incoming
from postroom.wire.smtp.events import Event, StartTls
from postroom.wire.smtp.options import ServerOptions
from postroom.wire.smtp.state import HELLO, MAIL, NO_CHUNKS, RECIPIENT, Profile, Wait, refusal_for

if TYPE_CHECKING:
    from postroom.wire.smtp.server import ServerSession

_GO_ON: Final = b"354 Send the message; a line with one dot ends it\r\n"
_DONE: Final = b"250 2.0.0 Done\r\n"
_BDAT_DIGITS: Final = 18


def ehlo(session: ServerSession, text: str) -> Event | None:
    """EHLO, and LHLO in LMTP: the name is kept, extensions are listed, a transaction is forgotten."""
    _keep_name(session, text)
    session.esmtp = True
    mechanisms = () if session.authenticated_as else session.mechanisms
    starttls = session.starttls and not session.secure
    session.out.append(_ehlo_reply(session.options, starttls, mechanisms, session.secure, session.latest))
    return session.forget()


@lru_cache(maxsize=64)
def _ehlo_reply(
    options: ServerOptions, starttls: bool, mechanisms: tuple[str, ...], secure: bool, latest: str
) -> bytes:
    keywords = options.keywords(starttls=starttls, mechanisms=mechanisms, secure=secure, latest=latest)
    return replies.lines(250, [f"{options.hostname} at your service", *keywords])


def helo(session: ServerSession, text: str) -> Event | None:
    """HELO."""
    _keep_name(session, text)
    session.esmtp = False
    session.out.append(replies.reply(250, "", session.options.hostname))
    return session.forget()


def _keep_name(session: ServerSession, text: str) -> None:
    # RFC 5321 4.1.1.1 asks for a name, 4.1.4 forbids to refuse mail because it is not a true one
    name = text.strip()
    if not name or " " in name or len(name) > 255 or not name.isascii():
        raise Refusal(501, "5.5.4", "Give your host name, as in EHLO host.example.org")
    session.helo = name
    session.has |= HELLO


def starttls(session: ServerSession, text: str) -> Event | None:
    """STARTTLS (RFC 3207 4): commands that came with it are thrown away unread."""
    if session.secure:
        raise Refusal(503, "5.5.1", "TLS is active already")
    if not session.starttls:
        raise Refusal(502, "5.5.1", "STARTTLS is not offered here")
    if text.strip():
        raise Refusal(501, "5.5.4", "STARTTLS takes no argument")
    session.out.append(b"220 2.0.0 Go ahead with the TLS handshake\r\n")
    session.wait = Wait.TLS
    session.reader.clear()
    return StartTls()


def auth(session: ServerSession, text: str) -> Event | None:
    """AUTH (RFC 4954 4)."""
    if session.authenticated_as:
        raise Refusal(503, "5.5.1", "You are authenticated already")
    if not session.mechanisms:
        if session.options.profile is not Profile.SUBMISSION:
            raise Refusal(502, "5.5.1", "No AUTH here: users send mail through the submission ports 587 and 465")
        raise Refusal(538, "5.7.11", "Passwords need encryption: say STARTTLS first")
    words = text.split()
    if not 1 <= len(words) <= 2:
        raise Refusal(501, "5.5.4", "Write AUTH mechanism [initial-response]")
    mechanism = words[0].upper()
    if mechanism not in session.mechanisms:
        raise Refusal(504, "5.5.4", f"This mechanism is not offered; use one of {' '.join(session.mechanisms)}")
    initial = None
    if len(words) == 2:
        try:
            initial = decode_base64(words[1].encode())
        except SaslFault as fault:
            raise Refusal(501, "5.5.2", str(fault)) from None
    session.wait = Wait.AUTH
    return Authenticate(mechanism, initial)


def mail(session: ServerSession, text: str) -> Event:
    """MAIL (RFC 5321 4.1.1.2)."""
    if session.transactions >= session.options.transactions:  # RFC 9422 MAILMAX
        raise Refusal(421, "4.7.0", f"{session.transactions} messages are the limit of a session; please connect again")
    event = parse_mail(text, session.options.size, future=bool(session.latest))
    if event.requiretls and not session.secure:
        raise Refusal(530, "5.7.10", "REQUIRETLS needs TLS on this connection: say STARTTLS first")  # RFC 8689 2
    session.mail = event
    session.wait = Wait.MAIL
    return event


def rcpt(session: ServerSession, text: str) -> Event:
    """RCPT (RFC 5321 4.1.1.3)."""
    options = session.options
    if session.recipients >= options.recipients:  # RFC 5321 4.5.3.1.10, RFC 9422 RCPTMAX
        raise Refusal(452, "4.5.3", f"{options.recipients} recipients are the limit of a message; send another one")
    assert session.mail is not None
    event = parse_rcpt(text, smtputf8=session.mail.smtputf8, hostname=options.hostname)
    session.wait = Wait.RCPT
    return event


def data(session: ServerSession, text: str) -> None:
    """DATA (RFC 5321 4.1.1.4)."""
    if text.strip():
        raise Refusal(501, "5.5.4", "DATA takes no argument")
    session.incoming = Incoming(session.options.size, session.options.text_line)
    session.chunked = False
    session.out.append(_GO_ON)


def bdat(session: ServerSession, text: str) -> None:
    """BDAT (RFC 3030 2): its octets follow at once, so they are taken in whatever the answer will be."""
    words = text.split()
    last = len(words) == 2 and words[1].upper() == "LAST"
    if not words or not (len(words) == 1 or last) or not _is_size(words[0]):
        # Where the octets end cannot be known, so the dialog cannot go on.
        session.turn_away(Refusal(501, "5.5.4", "Write BDAT octets [LAST]; closing"))
        return
    incoming = session.parked
    session.parked = None
    if incoming is None:
        incoming = Incoming(session.options.size, session.options.text_line)
        missing = (HELLO | MAIL | RECIPIENT) & ~session.has
        if missing:
            incoming.fault = refusal_for(missing, session.options.profile)
            incoming.told = session.mail is None
    incoming.chunk(int(words[0]), last=last)
    session.chunked = True
    session.has &= ~NO_CHUNKS
    session.incoming = incoming


def _is_size(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= _BDAT_DIGITS


def rset(session: ServerSession, text: str) -> Event | None:
    """RSET (RFC 5321 4.1.1.5)."""
    if text.strip():
        raise Refusal(501, "5.5.4", "RSET takes no argument")
    session.out.append(_DONE)
    return session.forget()


def noop(session: ServerSession, text: str) -> None:
    """NOOP; an argument is ignored (RFC 5321 4.1.1.9)."""
    session.out.append(_DONE)


def vrfy(session: ServerSession, text: str) -> None:
    """VRFY tells nobody who is here (RFC 5321 3.5.3, 7.3)."""
    if not text.strip():
        raise Refusal(501, "5.5.4", "Write VRFY address")
    session.out.append(b"252 2.0.0 Not verified here; send mail and see\r\n")


def expn(session: ServerSession, text: str) -> None:
    """EXPN is not for the public (RFC 5321 3.5.2, 7.3)."""
    raise Refusal(502, "5.5.1", "EXPN is not offered")


def give_help(session: ServerSession, text: str) -> None:
    """HELP (RFC 5321 4.1.1.8), printed from the table."""
    word = text.strip().upper()
    known = session.synopses
    if word and word in known:
        session.out.append(replies.reply(214, "2.0.0", known[word]))
    elif word:
        raise Refusal(504, "5.5.4", "No help for that; HELP alone lists the commands")
    else:
        session.out.append(replies.lines(214, ["Commands:", *known.values()], "2.0.0"))


def leave(session: ServerSession, text: str) -> None:
    """QUIT (RFC 5321 4.1.1.10)."""
    session.out.append(b"221 2.0.0 Goodbye\r\n")
    session.closed = True
