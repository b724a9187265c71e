"""CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE, NAMESPACE.

Standards: RFC 9051 6.1, 6.3.1, 6.3.10; RFC 2971 (ID); RFC 5161 and RFC 6855 4 (ENABLE); RFC 3501 6.4.1 (CHECK).
"""

from __future__ import annotations

from typing import Final, cast

from postroom.mailbox.places import Kind
from postroom.servers.imap.metadata import listen
from postroom.servers.imap.replies import Reply, bad, ok
from postroom.servers.imap.session import Session
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Enable, Id

_METADATA: Final = frozenset(("METADATA", "METADATA-SERVER"))


def capability(session: Session, _command: Command) -> Reply:
    """CAPABILITY."""
    session.send(response.capability(session.wire.capabilities()))
    return ok("Capability completed")


def jmap_access(session: Session, _command: Command) -> Reply:
    """GETJMAPACCESS (RFC 9698 3), which nobody hears of without a URL."""
    url = session.wire.offer.jmap
    if not url:
        return bad("unknown command")
    session.send(response.jmap_access(url))
    return ok("Getjmapaccess completed")


def noop(_session: Session, command: Command) -> Reply:
    """NOOP and CHECK: the news comes with every reply, and everything is durable already."""
    return ok(f"{command.name.capitalize()} completed")


def logout(session: Session, _command: Command) -> Reply:
    """LOGOUT: BYE, OK, close."""
    session.deselect()
    session.send(response.bye("Logging out"))
    session.then = session.connection.close
    return ok("Logout completed")


def identify(session: Session, command: Command) -> Reply:
    """ID: who we are, and a note of who the client says it is (RFC 2971 3; never used to decide anything)."""
    session.service.identified(session, cast(Id, command.args).fields)
    session.send(response.identification({"name": "Postroom", "version": session.service.version}))
    return ok("ID completed")


async def enable(session: Session, command: Command) -> Reply:
    """ENABLE: what we know of the list."""
    before = session.wire.condstore
    enabled = session.wire.enable(cast(Enable, command.args).names)
    if _METADATA.intersection(enabled):
        await listen(session)
    session.send(response.enabled(enabled))
    if session.wire.condstore and not before:
        session.tell_condstore()
    return ok("Enabled")


def namespace(session: Session, _command: Command) -> Reply:
    """NAMESPACE: one's own mailboxes at the top, others' below a level of their own (RFC 9051 6.3.10)."""
    kinds = {kind: [""] if kind is Kind.PERSONAL else [] for kind in Kind}
    for namespace in session.world.namespaces:
        kinds[namespace.kind].append(namespace.prefix)
    session.send(response.namespace([kinds[kind] for kind in Kind], utf8=session.wire.utf8))
    return ok("Namespace completed")
