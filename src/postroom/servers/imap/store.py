"""STORE and UID STORE.

Standards: RFC 9051 6.4.6; RFC 7162 3.1.3 (UNCHANGEDSINCE, MODIFIED) and 3.2.4; RFC 2180 4.2 (messages that are gone).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from msgspec.structs import replace

from postroom.mailbox.places import may_set
from postroom.mailbox.selection import Rows, Selection, of_uids
from postroom.mailbox.view import Stored
from postroom.servers.imap import amount, updates
from postroom.servers.imap.replies import NO_PERMISSION, READ_ONLY, Reply, no, ok
from postroom.servers.imap.session import Session
from postroom.store.api import FlagChange, FlagOp
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Store
from postroom.wire.imap.sequence import ranges_of

_OPS: Final = {"": FlagOp.REPLACE, "+": FlagOp.ADD, "-": FlagOp.REMOVE}


async def store(session: Session, command: Command) -> Reply:
    """STORE and UID STORE."""
    args = cast(Store, command.args)
    by_uid = command.name == "UID STORE"
    box = session.box
    session.note_condstore(command)
    selection, limited = amount.newest(session, box.view.resolve(args.set, uid=by_uid))
    change = FlagChange(
        op=_OPS[args.op],
        bits=args.flags.bits,
        keywords=args.flags.keywords,
        unchanged_since=args.unchanged_since,
        may=may_set(box.rights),
    )
    if not _reaches_any(change):
        return READ_ONLY if box.examined else NO_PERMISSION
    uids = selection.uids()
    if not uids:
        return ok("Store completed, nothing to change")
    result = await box.account.store_flags(box.id, uids, change)
    stored = box.view.stored(result, uids, change, silent=args.silent)
    await _send(session, stored, silent=args.silent, conditional=args.unchanged_since is not None)
    reply = _reply(session, result.modified, result.missing, by_uid=by_uid, silent=args.silent)
    return replace(reply, spare=limited) if limited else reply


def _reaches_any(change: FlagChange) -> bool:
    """RFC 4314 4: the command fails only if none of its flags may be changed."""
    may = change.may
    if change.op is FlagOp.REPLACE or not (change.bits or change.keywords):
        return bool(may.flags) or may.keywords
    return bool(change.bits & may.flags) or (may.keywords and bool(change.keywords))


async def _send(session: Session, stored: Stored, *, silent: bool, conditional: bool) -> None:
    """The FETCH responses a STORE owes its own client."""
    if stored.keywords is not None:
        updates.send_flags(session, stored.keywords)
    if not silent:
        await updates.send_rows(session, stored.rows)
        return
    if session.condstore or conditional:
        # RFC 7162 3.1.3: MODSEQ is told even after .SILENT; flags only where the client would be wrong
        await updates.send_rows(session, _without(stored.applied.rows(), stored.rows), flags=False)
    await updates.send_rows(session, stored.rows)


def _without(rows: Rows, others: Rows) -> Rows:
    """The rows of messages that are not among the others."""
    if not others:
        return rows
    left, passed_over = Rows(), set(others.seqs)
    for seq, uid, flags, keywords, modseq in rows:
        if seq not in passed_over:
            left.seqs.append(seq)
            left.uids.append(uid)
            left.flags.append(flags)
            left.keywords.append(keywords)
            left.modseqs.append(modseq)
    return left


def _reply(session: Session, modified: Sequence[int], missing: Sequence[int], *, by_uid: bool, silent: bool) -> Reply:
    code = b""
    if modified:
        failed: Selection = of_uids(session.box.view.snapshot, modified)
        code = response.modified(ranges_of(modified) if by_uid else failed.ranges)
    if missing and not silent and not by_uid:
        # RFC 2180 4.2.2 and 4.2.3; UIDs that are not there are no error (RFC 9051 6.4.9)
        return no("Some of the messages no longer exist", code or b"EXPUNGEISSUED")
    if modified:
        return ok("Conditional store failed for some messages", code)
    return ok("Store completed")
