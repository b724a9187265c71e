"""What became of a message, for the one who sent it, and taking it back while it waits.

Drawn from the queue, which knows what waits, and from the events, which know what is over (observe.story).
Owns: nothing. Trusts: ids come from anybody; nobody learns of a message of somebody else, not even that it exists.
On failure: Problem 404, 409; StoreError.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from postroom.observe.story import State, Story, Waiting, story
from postroom.queue.ids import moment
from postroom.servers.http.problems import Problem
from postroom.servers.ports import Log
from postroom.store.api import AccountRow, Entry, EventQuery, Life, QueueFilter, RecipientState, Store
from postroom.store.api import Recipient as Queued
from postroom.values.clock import Clock

#: seconds for which another worker may not have written down yet what it did
_FRESH: Final = 3.0
_LOOK_AGAIN: Final = 0.5


class Recipient(Struct, frozen=True, kw_only=True):
    """How it stands with one recipient. state: waiting, held, delivered, relayed, failed, refused, dropped, unknown."""

    address: str
    state: str
    text: str
    time: float = 0.0
    next_try: float = 0.0


class Fate(Struct, frozen=True, kw_only=True):
    """How it stands with a message. state: of all its recipients, or "partly"; time, send_at: Unix seconds."""

    id: str
    state: str
    time: float
    sender: str
    message_id: str
    recipients: tuple[Recipient, ...]
    send_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """Looks messages up."""

    store: Store
    clock: Clock
    log: Log

    async def find(self, name: str, account: AccountRow) -> Fate:
        """Raises Problem 404."""
        given = moment(name)
        if given:
            fresh_until = given + _FRESH
            while True:
                found = await self._look(name, account)
                if found is not None:
                    return found
                if self.clock.now() >= fresh_until:
                    break
                await asyncio.sleep(_LOOK_AGAIN)
        raise Problem(404, "unknown", "You have sent no message with this id, or its events are no longer kept")

    async def cancel(self, name: str, account: AccountRow) -> Fate:
        """What waits is not sent any more. Raises Problem 404, 409."""
        found = await self.find(name, account)
        if any(one.state in (State.WAITING, State.HELD) for one in found.recipients):
            which = QueueFilter(ids=(name,))
            if await self.store.queue.change(which, RecipientState.DROPPED, None):
                self.log("queue.changed", queue_id=name, state="cancelled", who=account.login)
                return await self.find(name, account)
            found = await self.find(name, account)
        raise Problem(409, "too_late", f"It does not wait any more: {found.state}")

    async def _look(self, name: str, account: AccountRow) -> Fate | None:
        await self.store.events.flush()
        entries = await self.store.queue.entries(QueueFilter(ids=(name,)))
        lives = [life for life in await self.store.events.find(EventQuery(word=name, alone=False)) if life.id == name]
        entry = entries[0] if entries else None
        if not _owned(entry, lives, account):
            return None
        if not lives:
            assert entry is not None
            return _plain(name, entry)
        waiting = [_waiting(one) for one in entry.recipients] if entry is not None else []
        release = entry.release if entry is not None else 0.0
        return _fate(story(name, lives[0].events, waiting, {}, _moment), release)


def _owned(entry: Entry | None, lives: Sequence[Life], account: AccountRow) -> bool:
    if entry is not None:
        return entry.account == account.id
    logins = {told.fields.get("login") for life in lives for told in life.events if told.fields.get("login")}
    return logins == {account.login}


def _waiting(one: Queued) -> Waiting:
    return Waiting(
        address=one.address,
        state=str(one.state),
        next_try=one.next_try,
        attempts=one.attempts,
        last_reply=one.last_reply,
    )


def _plain(name: str, entry: Entry) -> Fate:
    """What the queue alone can tell."""
    recipients = tuple(
        Recipient(address=one.address, state=str(one.state), text=one.last_reply, next_try=one.next_try)
        for one in entry.recipients
    )
    states = {one.state for one in recipients}
    return Fate(
        id=name,
        state=states.pop() if len(states) == 1 else str(State.PARTLY),
        time=entry.received,
        sender=entry.sender,
        message_id="",
        recipients=recipients,
        send_at=entry.release,
    )


def _fate(told: Story, release: float) -> Fate:
    recipients = tuple(
        Recipient(address=one.address, state=str(one.state), text=one.text, time=one.time, next_try=one.next_try)
        for one in told.fates
    )
    return Fate(
        id=told.id,
        state=str(told.state),
        time=told.time,
        sender=told.sender or "",
        message_id=told.message_id,
        recipients=recipients,
        send_at=release,
    )


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
