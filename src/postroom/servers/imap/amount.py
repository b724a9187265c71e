"""How many messages one command may touch, where that is limited (RFC 9738).

The newest come first: of a set that is too large the messages with the highest UIDs are worked on, and the client is
told down to which UID. COPY and APPEND, which do all or nothing, are refused instead. EXPUNGE and CLOSE know no limit;
nor do SORT and THREAD, whose columns are kept for every message (RFC 9738 3.3).
Owns: nothing. Standards: RFC 9738 3.1 (MESSAGELIMIT, SAVELIMIT), 3.4 ("$").
"""

from __future__ import annotations

from collections.abc import Sequence

from postroom.mailbox.selection import Selection, resolve
from postroom.servers.imap.replies import Refused, no
from postroom.servers.imap.session import Session
from postroom.store.api import Snapshot
from postroom.wire.imap import response
from postroom.wire.imap.commands import Key, SearchKey

_LAST_UID = 2**32 - 1


def newest(session: Session, selection: Selection) -> tuple[Selection, bytes]:
    """As many of the messages as a command may touch, and the response code when they are not all."""
    limit = session.wire.offer.message_limit
    if not limit or len(selection) <= limit:
        return selection, b""
    part = selection.part(slice(len(selection) - limit, None))
    return part, response.messagelimit(limit, part.snapshot.uid(part.ranges[0][0]))


def newest_uids(session: Session, uids: Sequence[int]) -> tuple[Sequence[int], bytes]:
    """The same of UIDs, ascending."""
    limit = session.wire.offer.message_limit
    if not limit or len(uids) <= limit:
        return uids, b""
    return uids[-limit:], response.messagelimit(limit, uids[-limit])


def demand_all(session: Session, count: int, what: str) -> None:
    """For commands that do all or nothing. Raises Refused when that would be too much."""
    limit = session.wire.offer.message_limit or session.wire.offer.save_limit
    if limit and count > limit:
        raise Refused(no(f"At most {limit} messages can be {what} at once", response.messagelimit(limit)))


def demand_part(session: Session, count: int) -> None:
    """For a window of PARTIAL. Raises Refused."""
    limit = session.wire.offer.message_limit
    if limit and count > limit:
        raise Refused(no(f"At most {limit} messages can be looked at at once", response.messagelimit(limit)))


def within(session: Session, key: SearchKey, snapshot: Snapshot, saved: Sequence[int]) -> tuple[SearchKey, bytes]:
    """The search program for as many messages as may be searched, and the response code when they are not all.

    What counts is how many are looked at, not how many are found. Raises BadSequence.
    """
    limit = session.wire.offer.message_limit
    if not limit or len(snapshot) <= limit:
        return key, b""
    named = _named(key, snapshot, saved)
    if sum(last - first + 1 for first, last in named) <= limit:
        return key, b""
    part = Selection(snapshot, named)
    lowest = snapshot.uid(part.part(slice(len(part) - limit, None)).ranges[0][0])
    newer = SearchKey(Key.UID, set=((lowest, _LAST_UID),))
    return SearchKey(Key.AND, keys=(newer, key)), response.messagelimit(limit, lowest)


def _named(key: SearchKey, snapshot: Snapshot, saved: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of the sequence numbers to which the program restricts itself."""
    ranges = [(1, len(snapshot))]
    for each in key.keys if key.key is Key.AND else (key,):
        if each.key in (Key.SEQ, Key.UID):
            wanted = resolve(snapshot, each.set, uid=each.key is Key.UID, saved=saved)
            ranges = _common(ranges, wanted.ranges)
        elif each.key is Key.AND:
            ranges = _common(ranges, _named(each, snapshot, saved))
    return ranges


def _common(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What lies in both; each ascending and without overlaps."""
    found = []
    one = other = 0
    while one < len(some) and other < len(others):
        first = max(some[one][0], others[other][0])
        last = min(some[one][1], others[other][1])
        if first <= last:
            found.append((first, last))
        if some[one][1] < others[other][1]:
            one += 1
        else:
            other += 1
    return found
