"""IDLE: the client listens, and is told what happens as it happens (RFC 9051 6.3.13, RFC 2177)."""

from __future__ import annotations

from postroom.servers.imap import updates
from postroom.servers.imap.replies import Reply, bad, ok
from postroom.servers.imap.session import Session
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command


async def idle(session: Session, command: Command) -> None:
    """Say "+", then what has happened already; the rest comes through dispatch.push."""
    session.await_line(command, _done)
    session.send(response.IDLING)
    if session.selected is not None:
        await updates.tell(session, expunge_ok=True)


def _done(_session: Session, line: bytes) -> Reply:
    if line.upper() == b"DONE":
        return ok("Idle completed")
    return bad("DONE expected", b"CLIENTBUG")
