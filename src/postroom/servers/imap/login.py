"""STARTTLS, LOGIN, AUTHENTICATE.

Owns: the SASL exchange in progress (a closure over the mechanism, held by the session's waiting command).
Trusts: identity for every answer about passwords. Unknown login and wrong password look alike, in time and text.
Standards: RFC 9051 6.2; RFC 4422, RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM), RFC 4959 (initial response);
RFC 5530 3 (AUTHENTICATIONFAILED, AUTHORIZATIONFAILED, UNAVAILABLE).
On failure: NO, counted against the connection and the peer's network; "*" and malformed messages are BAD.
"""

from __future__ import annotations

import binascii
from typing import cast

from postroom.servers.imap.replies import FAILED, Refused, Reply, bad, no, ok
from postroom.servers.imap.session import Session
from postroom.store.api import AccountRow
from postroom.wire import sasl
from postroom.wire.imap import response
from postroom.wire.imap.commands import Authenticate, Command, Login


def starttls(session: Session, _command: Command) -> Reply:
    """STARTTLS: OK, then the handshake; nothing sent before it counts (RFC 9051 6.2.1)."""
    session.then = session.connection.start_tls
    return ok("Begin TLS negotiation now")


async def login(session: Session, command: Command) -> Reply:
    """LOGIN."""
    args = cast(Login, command.args)
    row = await session.service.check_password(session, command.name, args.user, args.password)
    return await _enter(session, command.name, row)


async def authenticate(session: Session, command: Command) -> Reply | None:
    """AUTHENTICATE: one step for each message of the client."""
    args = cast(Authenticate, command.args)
    if args.mechanism not in session.wire.offer.mechanisms:
        return no(f"The mechanisms are: {' '.join(session.wire.offer.mechanisms)}", b"CANNOT")
    exchange = session.service.mechanism(session.link, args.mechanism, session.wire.offer.mechanisms)

    async def go_on(session: Session, line: bytes) -> Reply | None:
        if line == b"*":
            return bad("Authentication was cancelled")  # RFC 9051 6.2.2
        try:
            return await _take(session, command, exchange, exchange.step(sasl.decode_base64(line)))
        except sasl.SaslFault as fault:
            return bad(str(fault))
        except sasl.NotProven:
            return _not_proven(session, args.mechanism)

    session.takes_line = go_on
    try:
        return await _take(session, command, exchange, exchange.start(args.initial))
    except sasl.SaslFault as fault:
        return bad(str(fault))
    except sasl.NotProven:
        return _not_proven(session, args.mechanism)


async def _take(session: Session, command: Command, exchange: sasl.ServerMechanism, step: sasl.Step) -> Reply | None:
    """Do what the mechanism asks for, until it waits for the client or is over."""
    service, name = session.service, cast(Authenticate, command.args).mechanism
    if isinstance(step, sasl.KeysWanted):
        assert isinstance(exchange, sasl.Scram)
        step = exchange.keys(await service.scram_keys(session, name, step.login))
    if isinstance(step, sasl.Challenge):
        taker = session.takes_line
        assert taker is not None
        session.await_line(command, taker)
        session.send(response.challenge(binascii.b2a_base64(step.data, newline=False)))
        return None
    if isinstance(step, sasl.Password):
        row = await service.check_password(session, name, step.login, step.password)
    else:
        row = await service.proven(session, name, step.login)
    _check_authzid(row, step.authzid)
    return await _enter(session, name, row)


def _not_proven(session: Session, mechanism: str) -> Reply:
    session.service.failed(session, mechanism, "", "wrong proof")
    return FAILED


def _check_authzid(row: AccountRow, authzid: str) -> None:
    """RFC 4616 2: nobody acts for another account here."""
    if authzid and authzid.casefold() != row.login.casefold():
        raise Refused(no("You cannot act for that account", b"AUTHORIZATIONFAILED"))


async def _enter(session: Session, mechanism: str, row: AccountRow) -> Reply:
    """The client is who it says: open its mailboxes."""
    session.account = await session.service.mailboxes.open(row)
    session.wire.logged_in()
    session.service.entered(session, mechanism, row)
    return ok("Logged in", response.capability_code(session.wire.capabilities()))
