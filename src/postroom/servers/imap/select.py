"""SELECT, EXAMINE, CLOSE, UNSELECT.

Clients of IMAP4rev1 see \\Recent; the mark it needs is kept without a sync, so that no SELECT waits for the disk.
Standards: RFC 9051 6.3.2, 6.3.3, 6.4.1, 6.4.2; RFC 3501 2.3.2 and 6.3.1 (RECENT);
RFC 7162 3.1.8 and 3.2.5 (QRESYNC); RFC 2180 3.
On failure: a SELECT that fails leaves no mailbox selected (RFC 9051 6.3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from postroom.mailbox import selection
from postroom.mailbox.objectids import mailbox_id
from postroom.mailbox.places import Place
from postroom.mailbox.view import View
from postroom.servers.imap.list import send_list
from postroom.servers.imap.listing import attributes
from postroom.servers.imap.metadata import follow
from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.selected import Selected
from postroom.servers.imap.session import Session
from postroom.servers.imap.updates import all_flags, permanent_flags, send_rows
from postroom.servers.imap.vanished import vanished_uids
from postroom.store.api import Snapshot
from postroom.values import rights as right
from postroom.values.flags import SEEN
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Qresync, Select
from postroom.wire.imap.response import Listed
from postroom.wire.imap.sequence import ranges_of

#: flag octets to 0 (not seen) or 1
_SEEN_TABLE: Final = bytes(octet & SEEN for octet in range(256))


async def select(session: Session, command: Command) -> Reply:
    """SELECT and EXAMINE."""
    args = cast(Select, command.args)
    if args.qresync:
        session.require(session.wire.qresync, "ENABLE QRESYNC comes first (RFC 7162 3.2.5)")
    if session.selected is not None:
        session.deselect()
        session.send(response.ok(b"*", "The previous mailbox is closed", b"CLOSED"))
    session.note_condstore(command)
    place = await session.world.find(args.mailbox, right.READ)
    snapshot = await place.account.snapshot(place.id)
    view = View(snapshot)
    selected = Selected(place, view, examined=command.name == "EXAMINE")
    view.condstore = session.wire.condstore and selected.modseqs
    await selected.claim_recent()
    session.select(selected)
    if session.annotated is not None:
        await follow(session)
    _send_state(session, snapshot)
    if session.wire.rev2:
        await _send_name(session, args.mailbox, place)
    if args.qresync and args.qresync.uidvalidity == snapshot.uidvalidity and selected.modseqs:
        await _resynchronise(session, snapshot, args.qresync)
    await _tell_over_quota(session)
    done = "Examine completed" if selected.examined else "Select completed"
    return ok(done, b"READ-ONLY" if selected.read_only else b"READ-WRITE")


async def _tell_over_quota(session: Session) -> None:
    """RFC 9208 4.3.1: the account holds more than it may, which new mail within its grace can bring about."""
    account = session.box.account
    may = await account.allowance()
    if may.limited:
        usage = await account.store.usage()
        if 0 < may.octets < usage.octets or 0 < may.messages < usage.messages:
            text = "This account holds more than its quota; new mail may be refused until some is deleted"
            session.send(response.no(b"*", text, b"OVERQUOTA"))


def _send_state(session: Session, snapshot: Snapshot) -> None:
    permanent = permanent_flags(session.box, snapshot.keywords)
    what = "Flags that can be changed" if permanent else "No flags can be changed"
    lines = [
        response.flags(all_flags(snapshot.keywords)),
        response.ok(b"*", what, response.permanent_flags(permanent)),
        response.exists(len(snapshot)),
    ]
    if not session.wire.rev2:
        session.box.recent_told = session.recent.count(snapshot)
        lines.append(response.recent(session.box.recent_told))
        unseen = 0 if session.wire.uidonly else first_unseen(snapshot)
        if unseen:
            lines.append(response.ok(b"*", "First unseen", b"UNSEEN %d" % unseen))
    lines.append(response.ok(b"*", "UIDs valid", b"UIDVALIDITY %d" % snapshot.uidvalidity))
    lines.append(response.ok(b"*", "Predicted next UID", b"UIDNEXT %d" % snapshot.uidnext))
    if session.box.modseqs:
        lines.append(response.ok(b"*", "Highest", response.number_code(b"HIGHESTMODSEQ", snapshot.modseq)))
    else:
        lines.append(response.ok(b"*", "Nothing can be resynchronised here", b"NOMODSEQ"))
    objectid = response.mailboxid(mailbox_id(session.box.account.id, snapshot.mailbox))
    lines.append(response.ok(b"*", "Known as", objectid))  # RFC 8474 4.2
    session.send(b"".join(lines))


async def _send_name(session: Session, wanted: str, place: Place) -> None:
    """RFC 9051 6.3.2: the mailbox's LIST response, with OLDNAME when the name was normalised."""
    oldname = wanted if wanted.removesuffix("/") != place.name else None
    subscribed = await session.world.is_subscribed(place)
    for listed in await session.world.siblings(place):
        if listed.name == place.name:
            shown = attributes(listed, subscribed=subscribed)
            send_list(session, Listed(mailbox=place.name, attributes=shown, oldname=oldname))


def first_unseen(snapshot: Snapshot) -> int:
    """The sequence number of the first message without \\Seen, 0 when all have it (RFC 3501 6.3.1)."""
    start = 1
    for page in snapshot.pages:
        place = page.flags.translate(_SEEN_TABLE).find(0)
        if place >= 0:
            return start + place
        start += len(page)
    return 0


async def _resynchronise(session: Session, snapshot: Snapshot, sync: Qresync) -> None:
    """RFC 7162 3.2.5.1: what vanished and what changed since the client was here."""
    known = sync.known or ((1, snapshot.uidnext - 1),)
    above = _matched(snapshot, sync)
    gone = await vanished_uids(session, known, sync.modseq, above=above)
    if gone:
        session.send(response.vanished(ranges_of(gone), earlier=True))
    changed = selection.resolve(snapshot, known, uid=True).changed_since(sync.modseq)
    rows = changed.rows()
    if rows:
        await send_rows(session, rows)


def _matched(snapshot: Snapshot, sync: Qresync) -> int:
    """The highest UID up to which numbers and UIDs of client and mailbox agree (RFC 7162 3.2.5.2); 0 if none."""
    agreed = 0
    for seq, uid in zip(_numbers(sync.match_seqs), _numbers(sync.match_uids), strict=False):
        if seq > len(snapshot) or snapshot.uid(seq) != uid:
            break
        agreed = uid
    return agreed


def _numbers(ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Numbers of a set as written, at most a sample's worth: the client sends a few dozen."""
    found: list[int] = []
    for low, high in ranges:
        if low < 1 or high < low or len(found) + high - low > 10_000:
            break
        found.extend(range(low, high + 1))
    return found


async def close(session: Session, _command: Command) -> Reply:
    """CLOSE: expunge without saying so, then leave (RFC 9051 6.4.1); who may not expunge just leaves (RFC 4314 4)."""
    box = session.box
    if box.rights & right.EXPUNGE:
        await box.account.expunge(box.id)
    session.deselect()
    return ok("Close completed")


def unselect(session: Session, _command: Command) -> Reply:
    """UNSELECT: leave without expunging (RFC 9051 6.4.2)."""
    session.deselect()
    return ok("Unselect completed")
