"""COPY, MOVE and their UID forms (RFC 9051 6.4.7 and 6.4.8, RFC 6851, RFC 4315 3).

All or nothing: within an account the store does it in one transaction (mailbox.transfer between two). UIDs that are
gone are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from postroom.mailbox import transfer
from postroom.mailbox.errors import NoSuchMailbox
from postroom.mailbox.places import Place
from postroom.mailbox.recover import PastStore
from postroom.mailbox.selection import of_uids
from postroom.servers.imap import amount, updates
from postroom.servers.imap.replies import Refused, Reply, no, ok
from postroom.servers.imap.session import Session
from postroom.store.api import CopyResult, NotFound
from postroom.values import rights as right
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Copy
from postroom.wire.imap.sequence import ranges_of


async def copy(session: Session, command: Command) -> Reply:
    """COPY and UID COPY."""
    args = cast(Copy, command.args)
    box = session.box
    uids = box.view.resolve(args.set, uid=command.name == "UID COPY").uids()
    amount.demand_all(session, len(uids), "copied")
    target = await destination(session, args.mailbox)
    if not uids:
        return ok("Copy completed, nothing to copy")
    if command.name == "COPY" and not await _all_there(session, uids):
        # RFC 2180 4.4.1: refused as a whole, and the expunges are told with the reply; UID COPY passes over them
        session.news = True
        return no("Some of the messages no longer exist; nothing was copied", b"EXPUNGEISSUED")
    result = await transfer.copy(box.place, uids, target)
    session.added(target, result.target)
    return ok("Copy completed", _copyuid(result))


async def _all_there(session: Session, uids: Sequence[int]) -> bool:
    """No message has been expunged by somebody else."""
    snapshot = await session.box.account.snapshot(session.box.id)
    return len(of_uids(snapshot, uids)) == len(uids)


async def move(session: Session, command: Command) -> Reply:
    """MOVE and UID MOVE: COPYUID untagged, then the EXPUNGEs, then OK (RFC 6851 4.3)."""
    args = cast(Copy, command.args)
    box = session.box
    selection, limited = amount.newest(session, box.view.resolve(args.set, uid=command.name == "UID MOVE"))
    uids = selection.uids()
    if box.examined or not isinstance(box.account.store, PastStore):
        box.demand(right.DELETE_MESSAGE | right.EXPUNGE)  # RFC 6851 4.2
    target = await destination(session, args.mailbox)
    if not transfer.gives(box.place, target):
        box.demand(right.DELETE_MESSAGE | right.EXPUNGE)
    if target.same_mailbox(box.place):
        return no("The messages are in that mailbox already", b"CANNOT")
    if not uids:
        return ok("Move completed, nothing to move")
    result = await transfer.move(box.place, uids, target)
    session.added(target, result.target)
    code = _copyuid(result)
    if code:
        session.send(response.ok(b"*", "Moved", code))
    changes = box.view.changes(result.source_snapshot, expunge_ok=True)
    await updates.send_changes(session, changes)
    # RFC 7162 3.2.7 is for EXPUNGE; the same knowledge is due after MOVE
    modseq = response.number_code(b"HIGHESTMODSEQ", box.view.modseq) if session.qresync and changes.vanished else b""
    return ok("Move completed", modseq, limited)


async def destination(session: Session, name: str) -> Place:
    """The mailbox to copy or append to. A missing one is a hint to create it (RFC 9051 7.1, TRYCREATE)."""
    try:
        return await session.world.find(name, right.INSERT)
    except (NoSuchMailbox, NotFound):
        raise Refused(no("There is no such mailbox; create it first", b"TRYCREATE")) from None


def _copyuid(result: CopyResult) -> bytes:
    if not result.source:
        return b""
    return response.copyuid(result.uidvalidity, ranges_of(result.source), ranges_of(result.target))
