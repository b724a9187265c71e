"""Columns of a selection for FETCH rows: what wire.imap.rows prints, cut into groups of bounded size.

A group is a list of runs as Snapshot.runs gives them; one run (the usual case) costs slices only.
Owns: nothing. Trusts: pages of the store.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from postroom.mailbox.objectids import email_ids, thread_id
from postroom.mailbox.recent import Recent
from postroom.mailbox.selection import Selection
from postroom.mailbox.slices import Breathing
from postroom.mailbox.trait_keeper import shelf_of
from postroom.mailbox.traits import THREAD
from postroom.servers.imap.session import Session
from postroom.store.api import Page
from postroom.wire.imap.commands import Attribute
from postroom.wire.imap.rows import FlagTexts, dates
from postroom.wire.imap.strings import nstring

#: (sequence number of the first message, page, begin, end)
Run = tuple[int, Page, int, int]

#: attributes that the store renders: its name of the column
RENDERED: Final[dict[Attribute, str]] = {
    Attribute.ENVELOPE: "envelope",
    Attribute.BODY: "structure",
    Attribute.BODYSTRUCTURE: "bodystructure",
}

#: attributes that pages hold
HELD: Final = frozenset(
    (
        Attribute.UID,
        Attribute.FLAGS,
        Attribute.INTERNALDATE,
        Attribute.SIZE,
        Attribute.MODSEQ,
        Attribute.SAVEDATE,
    ),
)
_PREVIEWS: Final = frozenset((Attribute.PREVIEW, Attribute.LAZY_PREVIEW))
#: attributes that are found by message id
LOOKED_UP: Final = frozenset((Attribute.EMAILID, Attribute.THREADID, Attribute.PREVIEW, Attribute.LAZY_PREVIEW))


def groups(selection: Selection, size: int) -> Iterator[list[Run]]:
    """The runs of a selection in groups of up to `size` messages."""
    group: list[Run] = []
    room = size
    for seq, page, begin, end in selection.runs():
        while end - begin > room:
            group.append((seq, page, begin, begin + room))
            yield group
            seq, begin, group, room = seq + room, begin + room, [], size
        group.append((seq, page, begin, end))
        room -= end - begin
        if not room:
            yield group
            group, room = [], size
    if group:
        yield group


def sequence_numbers(runs: Sequence[Run]) -> Sequence[int]:
    """The sequence numbers of runs."""
    if len(runs) == 1:
        seq, _, begin, end = runs[0]
        return range(seq, seq + end - begin)
    return [number for seq, _, begin, end in runs for number in range(seq, seq + end - begin)]


def uids_of(runs: Sequence[Run]) -> Sequence[int]:
    """The UIDs of runs."""
    return _joined([page.uids[begin:end] for _, page, begin, end in runs])


def messages_of(runs: Sequence[Run]) -> Sequence[int]:
    """The message ids of runs."""
    return _joined([page.messages[begin:end] for _, page, begin, end in runs])


def held(attribute: Attribute, runs: Sequence[Run], texts: FlagTexts, recent: Recent) -> Sequence[object]:
    """Values of an attribute that pages hold, as wire.imap.rows wants them; recent: see Session.recent."""
    if attribute is Attribute.UID:
        return uids_of(runs)
    if attribute is Attribute.FLAGS:
        flags = b"".join([page.flags[begin:end] for _, page, begin, end in runs])
        if recent:
            flags = recent.marked(uids_of(runs), flags)
        return list(texts.column(flags, _joined([page.keywords[begin:end] for _, page, begin, end in runs])))
    if attribute is Attribute.SIZE:
        return _joined([page.sizes[begin:end] for _, page, begin, end in runs])
    if attribute is Attribute.MODSEQ:
        return _joined([page.modseqs[begin:end] for _, page, begin, end in runs])
    if attribute is Attribute.SAVEDATE:
        return dates(_joined([page.saved[begin:end] for _, page, begin, end in runs]))
    return dates(_joined([page.dates[begin:end] for _, page, begin, end in runs]))


async def looked_up(
    session: Session, attribute: Attribute, messages: Sequence[int], pace: Breathing
) -> Sequence[object]:
    """Values of an attribute that is found by message id, in the order of the messages."""
    store = session.box.account.store
    if attribute in _PREVIEWS:
        previews = session.service.mailboxes.previews
        texts = await previews.of(store, messages, pace, lazy=attribute is Attribute.LAZY_PREVIEW)
        return [nstring(None if text is None else text.encode(), session.wire.utf8) for text in texts]
    if attribute is Attribute.THREADID:
        shelf = await shelf_of(store, messages, pace)
        return list(map(thread_id, shelf.numbers(THREAD)))
    return email_ids(store.id, messages, await store.origins(messages))


def _joined(pieces: list[array[int]]) -> Sequence[int]:
    return pieces[0] if len(pieces) == 1 else list(chain.from_iterable(pieces))
