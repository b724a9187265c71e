"""STARTTLS, LOGIN, AUTHENTICATE (RFC 9051 6.2, RFC 4959; RFC 5530 3 for the response codes).

What a login is and who may is servers.login's; here it becomes IMAP. A SASL exchange lives as long as its command.
On failure: NO, counted against the connection; "*" and malformed messages are BAD.
"""

from __future__ import annotations

import binascii
from typing import Final, cast

from postroom.servers.imap.replies import Reply, bad, no, ok
from postroom.servers.imap.session import Session
from postroom.servers.login import Exchange, Kind, LoginRefused
from postroom.store.api import AccountRow
from postroom.wire import sasl
from postroom.wire.imap import response
from postroom.wire.imap.capability import switched_off
from postroom.wire.imap.commands import Authenticate, Command, Login

_CODES: Final = {
    Kind.WRONG: b"AUTHENTICATIONFAILED",
    Kind.FORBIDDEN: b"AUTHORIZATIONFAILED",
    Kind.DISABLED: b"CONTACTADMIN",
    Kind.THROTTLED: b"LIMIT",
    Kind.UNAVAILABLE: b"UNAVAILABLE",
}


def starttls(session: Session, _command: Command) -> Reply:
    """STARTTLS: OK, then the handshake; nothing sent before it counts (RFC 9051 6.2.1)."""
    session.then = session.connection.start_tls
    return ok("Begin TLS negotiation now")


async def login(session: Session, command: Command) -> Reply:
    """LOGIN."""
    args = cast(Login, command.args)
    try:
        return await _enter(session, await session.service.logins.password(session.link, args.user, args.password))
    except LoginRefused as fault:
        return _refused(session, fault)


async def authenticate(session: Session, command: Command) -> Reply | None:
    """AUTHENTICATE: one step for each message of the client."""
    args = cast(Authenticate, command.args)
    if args.mechanism not in session.wire.offer.mechanisms:
        return no(f"The mechanisms are: {' '.join(session.wire.offer.mechanisms)}", b"CANNOT")
    exchange = Exchange(session.service.logins, session.link, args.mechanism)

    async def go_on(session: Session, line: bytes) -> Reply | None:
        if line == b"*":
            return bad("Authentication was cancelled")  # RFC 9051 6.2.2
        try:
            return await _took(session, await exchange.step(sasl.decode_base64(line)))
        except sasl.SaslFault as fault:
            return bad(str(fault))
        except LoginRefused as fault:
            return _refused(session, fault)

    try:
        reply = await _took(session, await exchange.start(args.initial))
    except LoginRefused as fault:
        return _refused(session, fault)
    if reply is None:
        session.await_line(command, go_on)
    return reply


async def _took(session: Session, answer: bytes | AccountRow) -> Reply | None:
    """Send the next challenge, or let the client in."""
    if isinstance(answer, AccountRow):
        return await _enter(session, answer)
    session.send(response.challenge(binascii.b2a_base64(answer, newline=False)))
    return None


def _refused(session: Session, fault: LoginRefused) -> Reply:
    if fault.kind is Kind.MALFORMED:
        return bad(fault.text)  # counted by the dispatcher, as all BAD are
    session.connection.tally.wanted = True
    session.connection.fault()
    return no(fault.text, _CODES[fault.kind])


async def _enter(session: Session, row: AccountRow) -> Reply:
    """The client is who it says: open its mailboxes."""
    session.places = await session.service.enter(row)
    session.account = session.places.own
    session.wire.logged_in(switched_off(row.imap_without))
    session.link.deadline(session.service.limits.idle_imap)
    return ok("Logged in", response.capability_code(session.wire.capabilities()))
