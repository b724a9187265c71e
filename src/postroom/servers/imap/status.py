"""STATUS, also as part of LIST (RFC 9051 6.3.11, RFC 5819, RFC 7162 3.1.7, RFC 7889 4, RFC 8438, RFC 9208 4.1.4,
RFC 8474 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from postroom.mailbox.objectids import mailbox_id
from postroom.mailbox.places import Place
from postroom.servers.imap.replies import Reply, ok
from postroom.servers.imap.session import Session
from postroom.store.api import MailboxInfo, Snapshot
from postroom.values import rights as right
from postroom.values.flags import DELETED, SEEN
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, Status

_UNSEEN: Final = bytes(not octet & SEEN for octet in range(256))
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
    place = await session.world.find(args.mailbox, right.READ)
    session.note_condstore(command)
    session.send(await status_line(session, place, args.items))
    return ok("Status completed")


async def status_line(session: Session, place: Place, items: Sequence[str]) -> bytes:
    """The STATUS response."""
    values: list[tuple[str, int | str | None]] = []
    value: int | str
    for item in items:
        if item == "UNSEEN" and place.info.unseen < 0:  # a reader's own, not counted for lists
            value = await _unseen(place)
        elif item in _READY:
            value = _READY[item](place.info)
        elif item == "APPENDLIMIT":
            value = place.account.append_limit
        elif item == "MAILBOXID":
            value = f"({mailbox_id(place.account.id, place.id)})"  # RFC 8474 4.3
        elif item == "RECENT":
            value = await _recent(place)
        else:  # DELETED-STORAGE
            value = deleted_octets(await place.account.snapshot(place.id))
        values.append((item, value))
    return response.status(place.name, values, session.wire.utf8)


async def _unseen(place: Place) -> int:
    snapshot = await place.account.snapshot(place.id)
    return sum(page.flags.translate(_UNSEEN).count(1) for page in snapshot.pages)


async def _recent(place: Place) -> int:
    """Messages that no session was told of (RFC 3501 6.3.10); to ask changes nothing."""
    first = await place.account.store.recent(place.id, place.info.uidnext, claim=False)
    if first >= place.info.uidnext:
        return 0
    snapshot = await place.account.snapshot(place.id)
    return len(snapshot) + 1 - snapshot.seq_at_or_after(first)


def deleted_octets(snapshot: Snapshot) -> int:
    """Octets of the messages with \\Deleted (RFC 9208 4.1.4)."""
    total = 0
    for page in snapshot.pages:
        total += sum(size for size, flags in zip(page.sizes, page.flags, strict=True) if flags & DELETED)
    return total
