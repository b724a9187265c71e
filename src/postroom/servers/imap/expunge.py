"""EXPUNGE and UID EXPUNGE (RFC 9051 6.4.3 and 6.4.9, RFC 7162 3.2.7 and 3.2.9, RFC 9738 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from postroom.mailbox.selection import of_uids
from postroom.servers.imap import amount, updates
from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.session import Session
from postroom.values import rights as right
from postroom.values.flags import DELETED
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Expunge


async def expunge(session: Session, command: Command) -> Reply:
    """Remove what has \\Deleted: everything, or what of a set of UIDs has it."""
    args = command.args
    box = session.box
    uids: Sequence[int] | None = None
    limited = b""
    if command.name == "UID EXPUNGE":
        wanted = cast(Expunge, args).uids
        uids = box.view.resolve(wanted or (), uid=True).uids()
    box.demand(right.EXPUNGE)
    if uids is not None and session.wire.offer.message_limit:
        uids, limited = amount.newest_uids(session, await _deleted(session, uids))
    if uids is not None and not uids:
        return ok("Expunge completed")
    result = await box.account.expunge(box.id, uids)
    changes = box.view.changes(result.snapshot, expunge_ok=True)
    await updates.send_changes(session, changes)
    if session.wire.qresync and changes.vanished:
        return ok("Expunge completed", response.number_code(b"HIGHESTMODSEQ", box.view.modseq), limited)
    return ok("Expunge completed", spare=limited)


async def _deleted(session: Session, uids: Sequence[int]) -> list[int]:
    """Those with \\Deleted: what counts for the limit is what goes."""
    snapshot = await session.box.account.snapshot(session.box.id)
    rows = of_uids(snapshot, uids).rows()
    return [uid for uid, flags in zip(rows.uids, rows.flags, strict=True) if flags & DELETED]
