"""FETCH and UID FETCH: what to send, in which order; columns.py and bodies.py make the octets.

Standards: RFC 9051 6.4.5 and 7.5.2; RFC 7162 3.1.4 and 3.2.6 (CHANGEDSINCE, VANISHED); RFC 2180 4.1.1: expunged
messages that the client still counts can be fetched until it is told.
On failure: messages whose octets are gone for good are left out and the command ends with NO [EXPUNGEISSUED].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Final, cast

from postroom.mailbox.selection import Selection
from postroom.servers.imap import amount, updates
from postroom.servers.imap.bodies import send_bodies
from postroom.servers.imap.columns import (
    LOOKED_UP,
    RENDERED,
    groups,
    held,
    looked_up,
    messages_of,
    sequence_numbers,
    uids_of,
)
from postroom.servers.imap.pace import Pace
from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.results import slice_of
from postroom.servers.imap.session import Session
from postroom.servers.imap.vanished import vanished_uids
from postroom.store.api import FlagChange, FlagOp, StoreError
from postroom.values import rights as right
from postroom.values.flags import SEEN
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Fetch, Item
from postroom.wire.imap.fetch import ADDED_UID
from postroom.wire.imap.rows import RowFormat
from postroom.wire.imap.sequence import ranges_of

#: rows of one write; an ENVELOPE has about 450 octets
_PLAIN_ROWS: Final = 2048
_RENDERED_ROWS: Final = 256
_NO_SEEN: Final = bytes(not octet & SEEN for octet in range(256))


async def fetch(session: Session, command: Command) -> Reply:
    """FETCH and UID FETCH."""
    args = cast(Fetch, command.args)
    if session.news:
        await updates.tell(session, expunge_ok=False)
    session.note_condstore(command)
    if args.vanished:
        session.require(session.wire.qresync, "ENABLE QRESYNC comes first (RFC 7162 3.2.6)")
    selection = session.box.view.resolve(args.set, uid=command.name == "UID FETCH")
    if args.partial is not None:  # RFC 9394 3.4: first the range, then what changed
        selection = selection.part(slice_of(len(selection), args.partial))
        amount.demand_part(session, len(selection))
    if args.changed_since is not None:
        if args.vanished:
            gone = await vanished_uids(session, args.set, args.changed_since)
            session.send(response.vanished(ranges_of(gone), earlier=True))
        selection = selection.changed_since(args.changed_since)
    selection, limited = amount.newest(session, selection)
    if await show(session, selection, args.items, mark=True):
        return ok("Fetch completed", spare=limited)
    return Reply(b"NO", "Some of the messages are gone", b"EXPUNGEISSUED", limited)


async def show(session: Session, selection: Selection, items: Sequence[Item], *, mark: bool = False) -> bool:
    r"""Send the rows; False when some could not be. mark: items that set \Seen do."""
    uidonly = session.wire.uidonly
    if uidonly and ADDED_UID in items:
        items = [item for item in items if item != ADDED_UID]
    form = RowFormat.of(items, uidonly=uidonly)
    if form is not None:
        return await _send_rows(session, selection, form)
    marked: frozenset[int] = frozenset()
    if mark and session.box.rights & right.SEEN and not all(item.peek for item in items):
        marked = await _mark_seen(session, selection)
        selection = Selection(session.box.view.snapshot, selection.ranges)
    return await send_bodies(session, selection, items, marked)


async def _send_rows(session: Session, selection: Selection, form: RowFormat) -> bool:
    """Rows that need no message text, a few hundred in one write."""
    rendered = any(attribute in RENDERED for attribute in form.attributes)
    reading = rendered or not LOOKED_UP.isdisjoint(form.attributes)
    texts = session.box.flag_texts(selection.snapshot)
    pace = Pace(session.link)
    complete = True
    for runs in groups(selection, _RENDERED_ROWS if rendered else _PLAIN_ROWS):
        seqs: Sequence[int] = uids_of(runs) if session.wire.uidonly else sequence_numbers(runs)
        columns: list[Sequence[object]] = []
        messages = messages_of(runs) if reading else ()
        for attribute in form.attributes:
            if attribute in RENDERED:
                columns.append(await session.box.account.store.columns(messages, RENDERED[attribute]))
            elif attribute in LOOKED_UP:
                columns.append(await looked_up(session, attribute, messages, pace))
            else:
                columns.append(held(attribute, runs, texts, session.recent))
        if rendered and _has_gone(form, columns):
            seqs, columns = _without_gone(form, seqs, columns)
            complete = False
        session.send(form.rows(seqs, columns, len(seqs)))
        await pace.breathe()
    return complete


def _has_gone(form: RowFormat, columns: Sequence[Sequence[object]]) -> bool:
    """An empty text where the store should have rendered one: the message is gone."""
    return any(b"" in column for name, column in zip(form.attributes, columns, strict=True) if name in RENDERED)


def _without_gone(
    form: RowFormat, seqs: Sequence[int], columns: Sequence[Sequence[object]]
) -> tuple[Sequence[int], list[Sequence[object]]]:
    """The rows whose rendered fields the store still has."""
    texts = [column for name, column in zip(form.attributes, columns, strict=True) if name in RENDERED]
    there = [all(row) for row in zip(*texts, strict=True)]
    return list(compress(seqs, there)), [list(compress(column, there)) for column in columns]


async def _mark_seen(session: Session, selection: Selection) -> frozenset[int]:
    r"""Set \Seen where the client believes it missing (RFC 9051 6.4.5: BODY[…]); the UIDs whose rows must show flags.

    Those are all of them, not only what this changed: another client may have been quicker, and `stored` takes the
    client to know the flags from now on. A store that cannot write now does not keep the message from being read.
    """
    uids: list[int] = []
    for _, page, begin, end in selection.runs():
        if 1 in page.flags[begin:end].translate(_NO_SEEN):
            uids.extend(
                uid for uid, octet in zip(page.uids[begin:end], page.flags[begin:end], strict=True) if not octet & SEEN
            )
    if not uids:
        return frozenset()
    box = session.box
    change = FlagChange(op=FlagOp.ADD, bits=SEEN)
    try:
        result = await box.account.store_flags(box.id, uids, change)
    except StoreError:
        return frozenset()
    stored = box.view.stored(result, uids, change, silent=False)
    if stored.keywords is not None:  # somebody else's, come with this commit
        updates.send_flags(session, stored.keywords)
    return frozenset(uids)
