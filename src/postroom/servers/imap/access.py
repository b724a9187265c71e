"""Rights on the selected mailbox, asked again before each command: they may be taken away at any time.

Only for mailboxes of others. A client whose rights changed is told what it may change now; one that may not read any
more is sent away, because clients do not understand a mailbox that says NO to everything.
Standards: RFC 4314 5.1.1 (FLAGS and PERMANENTFLAGS again, BYE), RFC 9051 7.1 (READ-ONLY, READ-WRITE).
"""

from __future__ import annotations

from postroom.servers.imap.selected import Selected
from postroom.servers.imap.session import Session
from postroom.servers.imap.updates import send_permanent
from postroom.values import rights as right
from postroom.wire.imap import response
from postroom.wire.imap.commands import Attribute, Command, Fetch, Search, Sort, Store, Thread


def names_modseqs(command: Command) -> bool:
    """RFC 7162 3.1.2.2: what a mailbox without mod-sequences refuses."""
    args = command.args
    if isinstance(args, Fetch):
        return (
            args.vanished
            or args.changed_since is not None
            or any(item.attribute is Attribute.MODSEQ for item in args.items)
        )
    if isinstance(args, Store):
        return args.unchanged_since is not None
    if isinstance(args, Sort | Thread):
        args = args.search
    return isinstance(args, Search) and args.uses_modseq


async def may_go_on(session: Session, box: Selected) -> bool:
    """Look at the rights once more; False when the client has to leave, and was told so."""
    rights = await box.place.realm.rights(box.id)
    if rights == box.granted:
        return True
    if not rights & right.READ:
        session.deselect()
        session.connection.leave("[NOPERM] The selected mailbox is not shared with you any more")
        return False
    before = box.read_only
    box.grant(rights)
    send_permanent(session)
    if box.read_only != before:
        code = b"READ-ONLY" if box.read_only else b"READ-WRITE"
        session.send(response.ok(b"*", "Your rights on this mailbox have changed", code))
    return True
