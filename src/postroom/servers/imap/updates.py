"""Untagged news for a client with a selected mailbox: what others did, in its own numbering.

Owns: nothing; mailbox.View decides what is news and remembers what was told.
Standards: RFC 9051 5.2 and 7.4 to 7.5, RFC 7162 3.2.4 (UID and MODSEQ in all FETCH) and 3.2.10 (VANISHED).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from postroom.mailbox.errors import MailboxError
from postroom.mailbox.places import settable
from postroom.mailbox.selection import Rows
from postroom.mailbox.view import NOTHING, Changes
from postroom.servers.imap.pace import Pace
from postroom.servers.imap.selected import Selected
from postroom.servers.imap.session import Session
from postroom.store.api import NotFound, StoreError
from postroom.values import rights as right
from postroom.values.flags import NAMES
from postroom.values.keywords import missing, room_for_more
from postroom.wire.imap import response
from postroom.wire.imap.commands import Attribute
from postroom.wire.imap.rows import RowFormat
from postroom.wire.imap.sequence import ranges_of

SYSTEM_FLAGS: Final = (b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft")
_ROWS_AT_ONCE: Final = 4096

_FORMATS: Final = {
    (flags, modseq, uidonly): RowFormat(
        [*[Attribute.UID] * (not uidonly), *[Attribute.FLAGS] * flags, *[Attribute.MODSEQ] * modseq], uidonly=uidonly
    )
    for flags in (False, True)
    for modseq in (False, True)
    for uidonly in (False, True)
}


async def tell(session: Session, *, expunge_ok: bool) -> Changes:
    """Send what the client does not know yet. Raises NotFound when its mailbox is gone, StoreUnavailable."""
    box = session.box
    session.news = False
    if session.frozen:
        return NOTHING
    known = box.view.snapshot.uidnext
    changes = box.view.changes(await box.account.snapshot(box.id), expunge_ok=expunge_ok)
    if changes.exists is not None:
        await box.claim_recent(known)
    if changes:
        await send_changes(session, changes)
    return changes


async def news(session: Session, *, expunge_ok: bool) -> Changes | None:
    """The same where nobody waits for it: what fails is put off, a mailbox that is gone ends the connection."""
    try:
        return await tell(session, expunge_ok=expunge_ok)
    except NotFound:
        # RFC 2180 3.3: somebody deleted the mailbox (or the account) under this client
        session.deselect()
        session.connection.leave("[NONEXISTENT] The selected mailbox was deleted")
    except StoreError:
        session.news = True
        session.connection.wake_later()  # when the store answers again
    return None


async def follow(session: Session) -> None:
    """Bring searches that go on up to what the client knows; a store that fails is asked again with the next news."""
    with suppress(StoreError, MailboxError):
        await session.box.contexts.follow(session)


async def send_changes(session: Session, changes: Changes) -> None:
    """Print changes in the order mailbox.view asks for, and what they mean for searches that go on."""
    contexts = session.box.contexts
    if changes.expunged:
        contexts.leaving(session, changes.vanished, [seq + gone for gone, seq in enumerate(changes.expunged)])
        if session.qresync or session.wire.uidonly:
            session.send(response.vanished(ranges_of(changes.vanished)))
        else:
            session.send((b"* %d EXPUNGE\r\n" * len(changes.expunged)) % tuple(changes.expunged))
    if changes.keywords is not None:
        send_flags(session, changes.keywords)
    if changes.exists is not None:
        session.send(response.exists(changes.exists))
        recent = session.recent.count(session.box.view.snapshot)
        if recent != session.box.recent_told and not session.wire.rev2:  # RFC 3501 7.3.2
            session.box.recent_told = recent
            session.send(response.recent(recent))
    watch = session.watch
    if changes.flags and (watch is None or watch.flags):
        await send_rows(session, changes.flags)
    if changes.arrived and watch is not None:
        await watch.arrived(session, changes.arrived)
    if contexts:
        await follow(session)


def send_flags(session: Session, keywords: tuple[str, ...]) -> None:
    """The flags there are now; when no more keywords can be made, PERMANENTFLAGS says so (RFC 9051 7.1)."""
    known = all_flags(keywords)
    session.send(response.flags(known))
    if not room_for_more(keywords) and not session.box.read_only:
        permanent = response.permanent_flags(permanent_flags(session.box, keywords))
        session.send(response.ok(b"*", "No more keywords can be made", permanent))


def send_permanent(session: Session) -> None:
    """FLAGS and PERMANENTFLAGS, because the client's rights have changed (RFC 4314 5.1.1)."""
    keywords = session.box.view.snapshot.keywords
    session.send(response.flags(all_flags(keywords)))
    permanent = response.permanent_flags(permanent_flags(session.box, keywords))
    session.send(response.ok(b"*", "Flags that can be changed now", permanent))


def permanent_flags(box: Selected, keywords: Sequence[str]) -> list[bytes]:
    r"""What PERMANENTFLAGS says: the flags this client may change, \* when it may make keywords (RFC 4314 5.1.1)."""
    bits = settable(box.rights)
    found = [name for bit, name in NAMES.items() if bits & bit]
    if box.rights & right.WRITE:
        found += [name.encode() for name in keywords]
        found += [b"\\*"] if room_for_more(keywords) else [name.encode() for name in missing(keywords)]
    return found


def all_flags(keywords: Iterable[str]) -> list[bytes]:
    """System flags and keywords, printed."""
    return [*SYSTEM_FLAGS, *(name.encode() for name in keywords)]


async def send_rows(session: Session, rows: Rows, *, flags: bool = True) -> None:
    """FETCH responses that nobody asked for: UID always (RFC 9051 7.5.2), MODSEQ for CONDSTORE clients."""
    count = len(rows)
    if count <= _ROWS_AT_ONCE:
        if count:
            _send_some(session, rows, 0, count, flags=flags)
        return
    pace = Pace(session.link)
    for begin in range(0, count, _ROWS_AT_ONCE):
        _send_some(session, rows, begin, begin + _ROWS_AT_ONCE, flags=flags)
        await pace.breathe()


def _send_some(session: Session, rows: Rows, begin: int, end: int, *, flags: bool) -> None:
    modseq, uidonly = session.condstore, session.wire.uidonly
    numbers = rows.uids[begin:end] if uidonly else rows.seqs[begin:end]
    columns: list[Iterable[object]] = [] if uidonly else [rows.uids[begin:end]]
    if flags:
        texts = session.box.flag_texts(session.box.view.snapshot)
        octets = bytes(rows.flags[begin:end])
        if session.recent:
            octets = session.recent.marked(rows.uids[begin:end], octets)
        columns.append(texts.column(octets, rows.keywords[begin:end]))
    if modseq:
        columns.append(rows.modseqs[begin:end])
    session.send(_FORMATS[flags, modseq, uidonly].rows(numbers, columns, len(numbers)))
