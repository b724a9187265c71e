"""Work of one worker for all in the quarantine: releasing what is to be released, and dropping what is too old.

A release is queued like mail that comes now: to its recipient's inbox through his Sieve script, past the spam filter.
It is written down with its queue id before it is queued, and delivery by (queue id, recipient) keeps one, so that it
is done once whatever dies meanwhile.
Owns: nothing; items belong to the store. Trusts: whoever set the state RELEASING was allowed to.
On failure: an event, and another try at the next turn; an item that cannot be delivered is kept as it was.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from postroom.app.runfolder import Lock
from postroom.intake.filtering import folded
from postroom.intake.routing import LOCAL, Routes
from postroom.queue.reports import Route
from postroom.store.api import (
    Entry,
    ItemState,
    NewEntry,
    NewRecipient,
    NotFound,
    Once,
    QuarantineItem,
    QuarantineQuery,
    StateChange,
    Store,
    StoreError,
)
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

if TYPE_CHECKING:
    from postroom.app.rooms import Core

QUARANTINE_LOCK: Final = "quarantine.lock"
TURN_SECONDS: Final = 30.0
#: releases of a turn
_AT_ONCE: Final = 10_000
_VERDICT: Final = re.compile(
    rb"^x-spam-(?:flag|score|status|report)[ \t]*:.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE
)
_RELEASING: Final = frozenset({ItemState.RELEASING})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRooms:
    """What it works with. accept, new_id: of the queue; route: where mail to an address goes."""

    store: Store
    accept: Callable[[NewEntry], Awaitable[Entry]]
    new_id: Callable[[], str]
    route: Route
    clock: Clock
    event: Callable[..., None]


class Releases:
    """The loop of a worker, and its steps."""

    def __init__(self, rooms: ReleaseRooms, lock: Lock, also: Callable[[], Awaitable[bool]]) -> None:
        """also: done at each turn by the one who holds the lock (digests); True when it has more to do."""
        self._rooms = rooms
        self._lock = lock
        self._also = also
        self._wake = asyncio.Event()

    def poke(self) -> None:
        """Somebody released something."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                if self._lock.take():
                    await self.turn()
                timer = loop.call_later(TURN_SECONDS, self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    timer.cancel()
        finally:
            self._lock.release()

    async def turn(self) -> None:
        """Release what is to be released, then the rest. What fails does not hold up the others."""
        query = QuarantineQuery(states=_RELEASING, limit=_AT_ONCE)
        try:
            items = await self._rooms.store.quarantine.find(query)
        except StoreError as fault:
            self._rooms.event("quarantine.fault", reason=str(fault))
            return
        for item in items:
            try:
                await self.release(item)
            except (StoreError, Refusal, OSError) as fault:
                self._rooms.event("quarantine.fault", reason=f"{item.id}: {fault}")
        if await self._also() or len(items) == _AT_ONCE:
            self._wake.set()

    async def release(self, item: QuarantineItem) -> None:
        """One item. Raises StoreError, Refusal, OSError."""
        rooms = self._rooms
        recipients, reason = await self._recipients(item)
        told = {"queue_id": item.entry, "recipient": item.recipient, "item": item.id}
        if not recipients:
            await self._put(item, ItemState.KEPT)
            rooms.event("quarantine.unreleased", **told, reason=reason)
            return
        new = rooms.new_id()
        try:
            content = await rooms.store.quarantine.content(item.id)
            entry = await rooms.store.quarantine.reserve(item.id, new)
        except NotFound:
            return  # gone meanwhile
        if entry == new or not await queued(rooms.store, entry, rooms.clock.now()):
            await rooms.accept(self._entry(item, entry, recipients, content))
        await self._put(item, ItemState.RELEASED)
        rooms.event("quarantine.released", **told, release=entry, who=item.by)

    async def _put(self, item: QuarantineItem, state: ItemState) -> None:
        change = StateChange(before=_RELEASING, state=state, at=self._rooms.clock.now(), by=item.by)
        await self._rooms.store.quarantine.put_state((item.id,), change)

    async def _recipients(self, item: QuarantineItem) -> tuple[tuple[NewRecipient, ...], str]:
        """Queue recipients, or why there are none. Nobody hears of a release that fails: the sender knows of none."""
        if item.outgoing:
            try:
                return await self._rooms.route(Address.parse(item.recipient)), "there is no such address here"
            except BadAddress as fault:
                return (), str(fault)
        row = await self._rooms.store.directory.account(item.account)
        if row is None:
            return (), "the account is gone"
        if row.disabled and not row.receives:
            return (), "the account is disabled and receives nothing"
        return (NewRecipient(address=item.recipient, route=LOCAL, notify="NEVER"),), ""

    def _entry(
        self, item: QuarantineItem, entry: str, recipients: tuple[NewRecipient, ...], content: Content
    ) -> NewEntry:
        return NewEntry(
            id=entry,
            sender=item.sender,
            recipients=recipients,
            content=without_verdict(content),
            received=self._rooms.clock.now(),
            trace=b"" if item.outgoing else release_fields(item),
            body=item.body,
            smtputf8=item.smtputf8,
            account=item.account if item.outgoing else "",
            keywords=() if item.outgoing else ("$NotJunk",),
            told={"to": [item.recipient], "released": item.id},
            once=once(entry),
        )


def once(entry: str) -> Once:
    """Kept in the same commit as the entry, so that it is known after a crash that it came into the queue."""
    return Once(key=sha256(b"quarantine " + entry.encode()).digest(), request=b"", answer=b"queued")


async def queued(store: Store, entry: str, now: float) -> bool:
    """Did this id come into the queue, of any worker, before a crash? Raises StoreError."""
    return await store.queue.answered(once(entry).key, now) is not None


def without_verdict(content: Content) -> Content:
    """The message without what our filter wrote into it: of a large one, it all lies in the prefix."""
    if content.path:
        prefix = _VERDICT.sub(b"", content.prefix)
        return replace(content, prefix=prefix, size=content.size - len(content.prefix) + len(prefix))
    head, end, body = content.data.partition(b"\r\n\r\n")
    return Content.of(_VERDICT.sub(b"", head + b"\r\n") + (end and b"\r\n") + body)


def release_fields(item: QuarantineItem) -> bytes:
    """Instead of that: scripts and mail programs take it for wanted, and its reader can see why."""
    by = f" by {item.by}" if item.by else ""
    lines = [
        *folded("X-Spam-Status", "No, score=0.0 required=5.0 tests=RELEASED"),
        *folded("X-Spam-Report", f"released from quarantine{by}; its score was {item.score:.1f}: {item.why}"),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


async def sweep(store: Store, now: float, event: Callable[..., None]) -> int:
    """Drop what is too old, and say so; how many items. Raises StoreError."""
    count = 0
    while gone := await store.quarantine.sweep(now):
        count += len(gone)
        accounts = len({item.account for item in gone})
        event("quarantine.swept", messages=len(gone), octets=sum(item.size for item in gone), accounts=accounts)
    return count


def make_releases(core: Core, lock: Lock, also: Callable[[], Awaitable[bool]]) -> Releases:
    """A worker's."""
    rooms = ReleaseRooms(
        store=core.store,
        accept=core.queue.accept,
        new_id=core.queue.new_id,
        route=Routes(core.identity),
        clock=core.clock,
        event=core.events,
    )
    return Releases(rooms, lock, also)
