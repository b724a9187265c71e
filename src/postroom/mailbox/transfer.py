"""Copying and moving between places: within an account in one transaction, between two accounts message by message.

Between accounts the octets are taken as they are, with what was rendered at delivery: nothing is parsed again, and a
large body is a second name of the same file. A batch is one commit. All or none (RFC 9051 6.4.7): what a copy that
fails has brought is taken out again; a machine that stops in the middle leaves copies, never a loss, because a move
removes from the source only when everything is in the target.
Owns: nothing. Trusts: both places; the caller has asked for the rights that the command needs.
Standards: RFC 4314 4 (flags that may not be set are not taken along), RFC 6851 3.3, RFC 8474 5 (EMAILID and THREADID
are those of the source).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from postroom.mailbox.places import Place, may_set
from postroom.mailbox.recover import PastStore
from postroom.mailbox.selection import of_uids
from postroom.mailbox.slices import EachTime
from postroom.mailbox.trait_keeper import origins_of
from postroom.mailbox.views import VIEW_STORES
from postroom.store.api import (
    CopyResult,
    NewMessage,
    NotFound,
    OverQuota,
    Page,
    Rendered,
    Snapshot,
    StoreError,
)
from postroom.values.flags import VISIBLE

#: messages, and octets of their bodies, that are in memory at once
_BATCH: Final = 200
_OCTETS: Final = 8 * 1024 * 1024

#: of a message: its page and its place there
_Spot = tuple[Page, int]


async def copy(source: Place, uids: Sequence[int], target: Place) -> CopyResult:
    """Copy messages; UIDs not there are left out. Raises OverQuota, TooManyKeywords, NotFound."""
    if source.account.id == target.account.id:
        if isinstance(source.account.store, VIEW_STORES):
            return await source.account.store.bring(source.id, uids, target)
        return await target.account.copy(source.id, uids, target.id, may_set(target.rights))
    return await _between(source, uids, target)


async def move(source: Place, uids: Sequence[int], target: Place) -> CopyResult:
    """Move messages. Raises TooManyKeywords, NotFound; between accounts OverQuota, too."""
    if source.account.id == target.account.id:
        if isinstance(source.account.store, PastStore):
            return await source.account.store.bring(source.id, uids, target)
        return await target.account.move(source.id, uids, target.id, may_set(target.rights))
    copied = await _between(source, uids, target)
    try:
        gone = await source.account.store.expunge(source.id, copied.source, only_deleted=False)
    except BaseException:
        await _take_back(target, copied.target)
        raise
    return CopyResult(copied.uidvalidity, copied.source, copied.target, gone.snapshot, copied.target_snapshot)


def gives(source: Place, target: Place) -> bool:
    """Do messages that are brought back from the past into this mailbox leave where they were, without any right?"""
    past = source.account.store
    return isinstance(past, PastStore) and past.gives and source.account.id == target.account.id


async def _between(source: Place, uids: Sequence[int], target: Place) -> CopyResult:
    """Copy into another account."""
    snapshot = await source.account.snapshot(source.id)
    taken = of_uids(snapshot, uids)
    spots = [(page, place) for _, page, begin, end in taken.runs() for place in range(begin, end)]
    octets = sum(page.sizes[place] for page, place in spots)
    quota = await target.account.quota()
    if not quota.has_room(octets, len(spots)):
        raise OverQuota("the account cannot hold so much more")
    came: list[int] = []
    latest = await target.account.snapshot(target.id)
    try:
        for batch in _batches(spots):
            result = await target.account.add(target.id, await _new(source, snapshot, batch, target))
            came += result.uids
            latest = result.snapshot
    except BaseException:
        await _take_back(target, came)
        raise
    return CopyResult(latest.uidvalidity, tuple(taken.uids()), tuple(came), snapshot, latest)


async def _take_back(target: Place, uids: Sequence[int]) -> None:
    """What was copied goes again, as far as the store will."""
    if uids:
        with suppress(StoreError):
            await target.account.store.expunge(target.id, uids, only_deleted=False)


def _batches(spots: Sequence[_Spot]) -> Iterator[Sequence[_Spot]]:
    begin = octets = 0
    for number, (page, place) in enumerate(spots):
        octets += page.sizes[place]
        if number > begin and (number - begin >= _BATCH or octets > _OCTETS):
            yield spots[begin:number]
            begin, octets = number, page.sizes[place]
    if begin < len(spots):
        yield spots[begin:]


async def _new(source: Place, snapshot: Snapshot, batch: Sequence[_Spot], target: Place) -> list[NewMessage]:
    """Messages as the target's account takes them. Raises NotFound when one was swept meanwhile."""
    store = source.account.store
    messages = [page.messages[place] for page, place in batch]
    rendered: dict[int, Rendered] = {row.message: row for row in await store.rendered(messages)}
    references = await store.columns(messages, "references")
    origins = await origins_of(store, messages, EachTime())
    may = may_set(target.rights)
    found = []
    for (page, place), refers, origin in zip(batch, references, origins, strict=True):
        row = rendered.get(page.messages[place])
        if row is None:
            raise NotFound("a message is not kept any more")
        keywords = snapshot.keyword_names(page.keywords[place]) if may.keywords else ()
        found.append(
            NewMessage(
                content=await store.content(row.message),
                guid=target.account.new_guid(),
                internaldate=page.dates[place],
                envelope=row.envelope,
                structure=row.structure,
                bodystructure=row.bodystructure,
                parts=row.parts,
                header=row.header,
                references=refers,
                origin=origin,
                flags=page.flags[place] & (may.flags | ~VISIBLE),
                keywords=tuple(keywords),
            )
        )
    return found
