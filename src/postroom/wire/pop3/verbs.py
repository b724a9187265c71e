"""What each POP3 command does to a session. The state is checked before, by the table.

Each function takes the session and the text after the command, and returns an event when the driver has to decide.
Raises Pop3Refusal with the text of the -ERR to send.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from postroom.wire.pop3.events import Event, Identify, Login, Retrieve, StartTls, Update
from postroom.wire.pop3.top import TopCutter
from postroom.wire.sasl.exchange import Authenticate
from postroom.wire.sasl.server import SaslFault, decode_base64, prepared

if TYPE_CHECKING:
    from postroom.wire.pop3.session import Pop3Session

_NEEDS_TLS: Final = "Passwords need encryption: say STLS first"


class Pop3Refusal(Exception):
    """-ERR. code: a response code such as "IN-USE" (RFC 2449 8, RFC 3206), "" for none."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def capa(session: Pop3Session, text: str) -> None:
    """CAPA (RFC 2449 5)."""
    options = session.options
    capabilities = [
        "TOP",
        "UIDL",
        "RESP-CODES",
        "AUTH-RESP-CODE",
        "PIPELINING",
        "UTF8 USER",
        f"LOGIN-DELAY {options.login_delay}",
        f"EXPIRE {'NEVER' if options.expire < 0 else options.expire}",
        "IMPLEMENTATION Postroom",
    ]
    if session.mechanisms:  # RFC 2449 6.2, 6.3: announced in both states
        capabilities += ["USER", "SASL " + " ".join(session.mechanisms)]
    if session.starttls and not session.secure and not session.logged_in:  # RFC 2595 9: before the login only
        capabilities.append("STLS")
    session.answer("Capabilities follow", *capabilities)


def stls(session: Pop3Session, text: str) -> Event:
    """STLS (RFC 2595 4): what came with it is thrown away unread."""
    _nothing(text, "STLS")
    if session.secure:
        raise Pop3Refusal("TLS is active already")
    if not session.starttls:
        raise Pop3Refusal("STLS is not offered here")
    if session.utf8:
        raise Pop3Refusal("STLS comes before UTF8")  # RFC 6856 2.1
    session.ok("Go ahead with the TLS handshake")
    session.waiting = True
    session.reader.clear()
    return StartTls()


def utf8(session: Pop3Session, text: str) -> None:
    """UTF8 (RFC 6856 2.1): messages are given as they are from now on, and not as surrogates."""
    _nothing(text, "UTF8")
    session.utf8 = True
    session.ok("UTF-8 it is")


def user(session: Pop3Session, text: str) -> None:
    """USER is answered alike for names we know and names we do not."""
    _need_passwords(session)
    if not text:
        raise Pop3Refusal("Write USER name")
    session.user = text
    session.ok("Now the password")


def password(session: Pop3Session, text: str) -> Event:
    """PASS; all of the line is the password (RFC 1939 7)."""
    _need_passwords(session)
    name, session.user = session.user, ""
    if not name:
        raise Pop3Refusal("Say USER first")
    try:
        event = Login(prepared(name.encode(), "login"), prepared(text.encode(), "password"))
    except SaslFault as fault:
        raise Pop3Refusal(str(fault), "AUTH") from None
    session.waiting = True
    return event


def _need_passwords(session: Pop3Session) -> None:
    if not session.mechanisms:
        raise Pop3Refusal(_NEEDS_TLS if session.starttls else "No login is possible here")


def auth(session: Pop3Session, text: str) -> Event | None:
    """AUTH (RFC 5034 4); alone it lists the mechanisms, as programs older than CAPA expect."""
    words = text.split()
    if not words:
        session.answer("Mechanisms follow", *session.mechanisms)
        return None
    _need_passwords(session)
    mechanism = words[0].upper()
    if mechanism not in session.mechanisms or len(words) > 2:
        raise Pop3Refusal(f"Write AUTH mechanism [initial-response], with one of {' '.join(session.mechanisms)}")
    initial = None
    if len(words) == 2:
        try:
            initial = decode_base64(words[1].encode())
        except SaslFault as fault:
            raise Pop3Refusal(str(fault)) from None
    session.waiting = True
    return Authenticate(mechanism, initial)


def stat(session: Pop3Session, text: str) -> None:
    """STAT: how many messages, how many octets; deleted ones do not count (RFC 1939 5)."""
    _nothing(text, "STAT")
    sizes = session.sizes
    count = len(sizes) - len(session.deleted)
    session.ok(f"{count} {sum(sizes) - sum(sizes[index] for index in session.deleted)}")


def list_sizes(session: Pop3Session, text: str) -> None:
    """LIST (RFC 1939 5)."""
    if text.strip():
        index = _message(session, text, "LIST")
        session.ok(f"{index + 1} {session.sizes[index]}")
    else:
        session.answer("Sizes follow", *_listing(session, session.sizes))


def uidl(session: Pop3Session, text: str) -> Event | None:
    """UIDL (RFC 1939 7)."""
    if session.uids is None:
        session.asked = text
        session.waiting = True
        return Identify()
    if text.strip():
        index = _message(session, text, "UIDL")
        session.ok(f"{index + 1} {session.uids[index]}")
    else:
        session.answer("Unique ids follow", *_listing(session, session.uids))
    return None


def _listing(session: Pop3Session, values: Sequence[int] | Sequence[str]) -> list[str]:
    deleted = session.deleted
    if not deleted:
        return [f"{number} {value}" for number, value in enumerate(values, 1)]
    return [f"{index + 1} {value}" for index, value in enumerate(values) if index not in deleted]


def retr(session: Pop3Session, text: str) -> Event:
    """RETR (RFC 1939 5)."""
    index = _message(session, text, "RETR")
    session.cutter = None
    session.waiting = True
    return Retrieve(index, False)


def top(session: Pop3Session, text: str) -> Event:
    """TOP (RFC 1939 7)."""
    number, _, lines = text.strip().partition(" ")
    lines = lines.strip()
    if not (lines.isascii() and lines.isdigit() and len(lines) < 10):
        raise Pop3Refusal("Write TOP message lines")
    index = _message(session, number, "TOP")
    session.cutter = TopCutter(int(lines))
    session.waiting = True
    return Retrieve(index, True)


def dele(session: Pop3Session, text: str) -> None:
    """DELE marks; QUIT removes (RFC 1939 5, 6)."""
    index = _message(session, text, "DELE")
    session.deleted.add(index)
    session.ok(f"Message {index + 1} is removed at QUIT")


def rset(session: Pop3Session, text: str) -> None:
    """RSET takes the marks away (RFC 1939 5)."""
    _nothing(text, "RSET")
    session.deleted.clear()
    session.ok("Nothing is marked as deleted")


def noop(session: Pop3Session, text: str) -> None:
    """NOOP (RFC 1939 5)."""
    session.ok("Nothing done")


def leave(session: Pop3Session, text: str) -> Event | None:
    """QUIT: after a login the UPDATE state begins (RFC 1939 6)."""
    _nothing(text, "QUIT")
    if not session.logged_in:
        session.ok("Goodbye")
        session.closed = True
        return None
    session.waiting = True
    return Update(tuple(sorted(session.deleted)))


def _nothing(text: str, name: str) -> None:
    if text.strip():
        raise Pop3Refusal(f"{name} takes no argument")


def _message(session: Pop3Session, text: str, name: str) -> int:
    """The index of a message that is there. Raises Pop3Refusal."""
    word = text.strip()
    if not (word.isascii() and word.isdigit() and len(word) < 10):
        raise Pop3Refusal(f"Write {name} and the number of a message")
    index = int(word) - 1
    if not 0 <= index < len(session.sizes):
        raise Pop3Refusal(f"There is no message {word[:10]}; there are {len(session.sizes)}")
    if index in session.deleted:
        raise Pop3Refusal(f"Message {index + 1} is marked as deleted")
    return index
