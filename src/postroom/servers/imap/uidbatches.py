"""UIDBATCHES: UIDs at which a mailbox can be cut into parts of equal size, the newest messages first (RFC 10022 3.1).

A batch reaches from the highest UID in it to the lowest, the last one down to UID 1. Sequence numbers tell where the
cuts are, so a batch costs the same whatever its size.
"""

from __future__ import annotations

from typing import Final, cast

from postroom.servers.imap.replies import Reply, bad, no, ok
from postroom.servers.imap.session import Session
from postroom.store.api import Snapshot
from postroom.wire.imap import response
from postroom.wire.imap.commands import Command, UidBatches

#: messages in the smallest batch; RFC 10022 3.1.3 asks that 500 and more be possible
LEAST: Final = 10


def uidbatches(session: Session, command: Command) -> Reply:
    """UIDBATCHES."""
    args = cast(UidBatches, command.args)
    if args.last is not None and args.last < args.first:
        return bad("The range of batches is in the wrong order", b"CLIENTBUG")  # RFC 10022 3.1.5
    if args.size < LEAST:
        return no(f"A batch has {LEAST} messages at least", b"TOOFEW")
    most = session.wire.offer.message_limit
    if most and args.size > most:
        return no(f"A batch has {most} messages at most", b"TOOMANY")
    ranges = _cut(session.box.view.snapshot, args)
    session.send(response.uidbatches(command.tag, ranges))
    return ok("Uidbatches completed")


def _cut(snapshot: Snapshot, args: UidBatches) -> list[tuple[int, int]]:
    """Highest and lowest UID of each batch, newest first."""
    ranges = []
    high = len(snapshot) - (args.first - 1) * args.size
    number = args.first
    while high > 0 and (args.last is None or number <= args.last):
        low = high - args.size
        ranges.append((snapshot.uid(high), snapshot.uid(low + 1) if low > 0 else 1))
        high = low
        number += 1
    return ranges
