"""Which UIDs are gone since a MODSEQ: VANISHED (EARLIER) (RFC 7162 3.2.6 and 3.2.10.1)."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.servers.imap.session import Session
from postroom.wire.imap import sequence
from postroom.wire.imap.commands import SequenceSet


async def vanished_uids(session: Session, known: SequenceSet, since: int, *, above: int = 0) -> Sequence[int]:
    """UIDs of `known` expunged after MODSEQ since, ascending; those up to `above` are known to the client.

    Where the store's history does not reach back that far, all UIDs of the set that are not there (RFC 7162 3.2.6:
    a server that forgot must report all expunged messages of the set).
    """
    box = session.box
    snapshot = box.view.snapshot
    ranges = sequence.intersect(sequence.resolve(known, snapshot.max_uid), above + 1, snapshot.uidnext - 1)
    gone = await box.account.store.vanished(box.id, since)
    if gone is not None:
        # what the client still counts comes later, as VANISHED without EARLIER
        return [uid for uid in gone if sequence.contains(ranges, uid) and snapshot.seq(uid) is None]
    present: set[int] = set()
    for page in snapshot.pages:
        present.update(page.uids)
    return [uid for uid in sequence.numbers(ranges) if uid not in present]
