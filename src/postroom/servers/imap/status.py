"""STATUS, also as part of LIST (RFC 9051 6.3.11, RFC 5819, RFC 7162 3.1.7, RFC 7889 4, RFC 8438, RFC 9208 4.1.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.session import Session
from postroom.store.api import MailboxInfo, Snapshot
from postroom.values.flags import DELETED
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Status

#: what the store keeps ready
_READY: Final[dict[str, Callable[[MailboxInfo], int]]] = {
    "MESSAGES": lambda info: info.messages,
    "UIDNEXT": lambda info: info.uidnext,
    "UIDVALIDITY": lambda info: info.uidvalidity,
    "UNSEEN": lambda info: info.unseen,
    "DELETED": lambda info: info.deleted,
    "SIZE": lambda info: info.size,
    "HIGHESTMODSEQ": lambda info: info.modseq,
}


async def status(session: Session, command: Command) -> Reply:
    """STATUS."""
    args = cast(Status, command.args)
    info = await session.me.find(args.mailbox)
    session.note_condstore(command)
    session.send(await status_line(session, info, args.items))
    return ok("Status completed")


async def status_line(session: Session, info: MailboxInfo, items: Sequence[str]) -> bytes:
    """The STATUS response."""
    values = []
    for item in items:
        if item in _READY:
            value = _READY[item](info)
        elif item == "APPENDLIMIT":
            value = session.me.append_limit
        elif item == "RECENT":
            value = await _recent(session, info)
        else:  # DELETED-STORAGE
            value = deleted_octets(await session.me.snapshot(info.id))
        values.append((item, value))
    return response.status(info.name, values, session.wire.utf8)


async def _recent(session: Session, info: MailboxInfo) -> int:
    """Messages that no session was told of (RFC 3501 6.3.10); to ask changes nothing."""
    first = await session.me.store.recent(info.id, info.uidnext, claim=False)
    if first >= info.uidnext:
        return 0
    snapshot = await session.me.snapshot(info.id)
    return len(snapshot) + 1 - snapshot.seq_at_or_after(first)


def deleted_octets(snapshot: Snapshot) -> int:
    """Octets of the messages with \\Deleted (RFC 9208 4.1.4)."""
    total = 0
    for page in snapshot.pages:
        total += sum(size for size, flags in zip(page.sizes, page.flags, strict=True) if flags & DELETED)
    return total
