"""LIST and LSUB.

Standards: RFC 9051 6.3.9 and 7.3.1, RFC 5258, RFC 5819 (STATUS), RFC 6154, RFC 8440 (MYRIGHTS), RFC 9590 (METADATA),
RFC 3501 6.3.9 (LSUB).
"""

from __future__ import annotations

from typing import Final, cast

from postroom.mailbox import names
from postroom.mailbox.errors import NoSuchMailbox
from postroom.servers.imap.acl import send_my_rights
from postroom.servers.imap.listing import Known, Shown, select_mailboxes, select_subscribed
from postroom.servers.imap.metadata import metadata_line
from postroom.servers.imap.pace import Pace
from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.session import Session
from postroom.servers.imap.status import status_line
from postroom.store.api import MailboxInfo, NotFound
from postroom.values import rights as right
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, List, MetadataOptions
from postroom.wire.imap.response import Listed

#: RFC 9051 6.3.9: the answer to LIST "" ""
_ROOT: Final = Listed(mailbox="", attributes=("\\Noselect",))


def send_list(session: Session, entry: Listed, word: bytes = b"LIST") -> None:
    """One LIST (or LSUB) response."""
    session.send(response.listed(entry, session.wire.utf8, word))


async def list_mailboxes(session: Session, command: Command) -> Reply:
    """LIST."""
    args = cast(List, command.args)
    if not args.extended and args.patterns == ("",):
        # RFC 9051 6.3.9: asks for the delimiter and the root of the reference
        send_list(session, _ROOT)
        return ok("List completed")
    matches = names.Matcher(args.reference, [pattern for pattern in args.patterns if pattern])
    pace = Pace(session.link)
    asked = "SUBSCRIBED" in args.select or "SUBSCRIBED" in args.returns
    subscribed = await session.world.subscribed(pace.breathe) if asked else frozenset[str]()
    known = Known(await session.world.list(matches, pace.breathe), subscribed)
    for shown in select_mailboxes(known, matches, frozenset(args.select), frozenset(args.returns)):
        told = shown.attributes if args.extended else _for_old(shown.attributes)
        send_list(session, Listed(mailbox=shown.name, attributes=told, childinfo=shown.childinfo))
        if shown.info is not None and shown.met:
            await _send_more(session, shown, shown.info, args)
        await pace.breathe()
    return ok("List completed")


def _for_old(attributes: tuple[str, ...]) -> tuple[str, ...]:
    r"""\NonExistent implies \Noselect (RFC 5258 3), which is all that clients of the basic LIST may know."""
    return ("\\Noselect", *attributes) if "\\NonExistent" in attributes else attributes


async def _send_more(session: Session, shown: Shown, info: MailboxInfo, args: List) -> None:
    """What RETURN asks for, after its LIST; RFC 5819 2: none for a name that cannot be selected (RFC 8440 3)."""
    rights = "MYRIGHTS" in args.returns
    if not (rights or args.status or args.metadata):
        return
    try:
        place = await session.world.find(shown.name) if shown.foreign else session.world.own_place(info)
    except (NoSuchMailbox, NotFound):  # lost since it was listed
        return
    if rights:
        send_my_rights(session, place)
    if args.status and place.rights & right.READ:
        session.send(await status_line(session, place, args.status))
    if args.metadata:
        session.send(await metadata_line(session, place, args.metadata, args.metadata_options or MetadataOptions()))


async def list_subscribed(session: Session, command: Command) -> Reply:
    """LSUB (RFC 3501 6.3.9)."""
    args = cast(List, command.args)
    if args.patterns == ("",):
        send_list(session, _ROOT, b"LSUB")
        return ok("Lsub completed")
    matches = names.Matcher(args.reference, args.patterns)
    levels = any(pattern.endswith("%") for pattern in args.patterns)
    for shown in select_subscribed(await session.world.subscribed(Pace(session.link).breathe), matches, levels=levels):
        send_list(session, Listed(mailbox=shown.name, attributes=shown.attributes), b"LSUB")
    return ok("Lsub completed")
