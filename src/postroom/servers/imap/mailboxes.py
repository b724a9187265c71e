"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 6.3.4 to 6.3.8, RFC 6154 3).

The rules are the room mailbox's; here are only the responses. A name that was normalised is told with a LIST that has
OLDNAME (RFC 9051 6.3.9.7), to clients that know of it.
"""

from __future__ import annotations

from typing import cast

from postroom.mailbox.names import normalize
from postroom.mailbox.objectids import mailbox_id
from postroom.servers.imap.list import send_list
from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.session import Session
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Create, Mailbox, Rename
from postroom.wire.imap.response import Listed


async def create(session: Session, command: Command) -> Reply:
    """CREATE, also with USE (RFC 6154 3)."""
    args = cast(Create, command.args)
    place = await session.world.create(args.mailbox, args.special_use)
    session.made("created", place.name)
    _tell_normalised(session, args.mailbox, place.name)
    return ok("Create completed", response.mailboxid(mailbox_id(place.account.id, place.id)))  # RFC 8474 4.1


async def delete(session: Session, command: Command) -> Reply:
    """DELETE. A client that deletes the mailbox it has selected finds itself without one."""
    place = await session.world.delete(cast(Mailbox, command.args).mailbox)
    session.made("deleted", place.name)
    if session.selected is not None and session.selected.place.same_mailbox(place):
        session.deselect()
        session.send(response.ok(b"*", "The selected mailbox was deleted", b"CLOSED"))
    return ok("Delete completed")


async def rename(session: Session, command: Command) -> Reply:
    """RENAME."""
    args = cast(Rename, command.args)
    place = await session.world.rename(args.mailbox, args.target)
    session.made("renamed", normalize(args.mailbox), place.name)
    _tell_normalised(session, args.target, place.name)
    return ok("Rename completed")


async def subscribe(session: Session, command: Command) -> Reply:
    """SUBSCRIBE and UNSUBSCRIBE.

    A name that is no mailbox's is refused, as RFC 9051 6.3.7 allows, so that a slip of the pen shows at once; not if it
    is subscribed to already.
    """
    name = cast(Mailbox, command.args).mailbox
    subscribed = command.name == "SUBSCRIBE"
    await session.world.subscribe(name, subscribed)
    session.made("subscribed", normalize(name))
    return ok("Subscribe completed" if subscribed else "Unsubscribe completed")


def _tell_normalised(session: Session, wanted: str, name: str) -> None:
    if session.wire.rev2 and wanted.rstrip("/") != name:
        send_list(session, Listed(mailbox=name, oldname=wanted))
