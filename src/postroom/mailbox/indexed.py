"""Searching with the help of an account's full-text index: messages it cannot speak for are looked at themselves.

Owns: what the index said during one search, so that every mailbox and page of it gets the same answer.
Trusts: the index as far as it says it is sure; one that is damaged, or of other messages, is not asked.
On failure: never for the index's sake; errors of looking at messages pass through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from postroom.index.lookup import NOTHING_KNOWN, Found, look_up
from postroom.index.segment import Field
from postroom.index.terms import Wanted
from postroom.message.parts import may_hold_files
from postroom.store.api import AccountStore, IndexDamaged, StoreUnavailable

#: message ids to whether each matches
Look = Callable[[Sequence[int]], Awaitable[Sequence[bool]]]

#: messages that are looked at before the index is asked: a few are quicker read than looked up
_FEW: Final = 24


class Indexed:
    """What one search knows from the index."""

    __slots__ = ("_known", "_store")

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._known: dict[tuple[Wanted, tuple[int, ...]], Found] = {}

    def test(self, wanted: Wanted, fields: tuple[int, ...], look: Look, *, narrows: bool = False) -> Look:
        """A test that reads only messages the index is not sure of. narrows: it is sure of misses only.

        What was read in attachments is in the index alone, so of few messages too it is asked when there are any.
        """
        few = _FEW
        attached = Field.ATTACHED in fields and not narrows
        found: Found | None = None

        async def decide(messages: Sequence[int]) -> Sequence[bool]:
            nonlocal few, found
            if found is None:
                few -= len(messages)
                if few >= 0:
                    held = await look(messages)
                    return await self._or_attached(wanted, fields, messages, held) if attached else held
                found = await self._about(wanted, fields)
                if narrows:
                    found = Found(frozenset(), found.sure | found.maybe, found.until)
            return await _decided(found, messages, look)

        return decide

    async def _or_attached(
        self, wanted: Wanted, fields: tuple[int, ...], messages: Sequence[int], held: Sequence[bool]
    ) -> Sequence[bool]:
        """Which of these messages hold it, if not in what was looked at then in their attachments."""
        left = [message for message, holds in zip(messages, held, strict=True) if not holds]
        if not left or not any(map(may_hold_files, await self._store.columns(left, "parts"))):
            return held
        sure = (await self._about(wanted, fields)).sure
        return [holds or message in sure for message, holds in zip(messages, held, strict=True)]

    async def _about(self, wanted: Wanted, fields: tuple[int, ...]) -> Found:
        found = self._known.get((wanted, fields))
        if found is None:
            found = self._known[wanted, fields] = await self._asked(wanted, fields)
        return found

    async def _asked(self, wanted: Wanted, fields: tuple[int, ...]) -> Found:
        try:
            found = await look_up(self._store.index, wanted, fields)
            last = await self._store.rendered([found.until]) if found.until else ()
        except IndexDamaged:
            self._store.index.report()
            return NOTHING_KNOWN
        except StoreUnavailable:
            return NOTHING_KNOWN
        return NOTHING_KNOWN if last and last[0].guid != found.witness else found


async def _decided(found: Found, messages: Sequence[int], look: Look) -> Sequence[bool]:
    sure, maybe, until = found.sure, found.maybe, found.until
    if not maybe and max(messages, default=0) <= until:
        return list(map(sure.__contains__, messages))
    doubtful = [message for message in messages if message > until or message in maybe]
    if not doubtful:
        return [message in sure for message in messages]
    truth = dict(zip(doubtful, await look(doubtful), strict=True))
    return [message in sure or truth.get(message, False) for message in messages]
