"""Previews of messages: made when they are asked for, and remembered for the next who asks.

Owns: the last few thousand previews, by account and message id; a message never changes.
Standards: RFC 8970 3.2 and 4.1 (LAZY: what would take long is left out, as None).
On failure: StoreUnavailable. A message that was swept has the preview "".
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from postroom.mailbox.slices import Breathing
from postroom.message.parts import Parts
from postroom.message.preview import preview
from postroom.store.api import AccountStore, NotFound
from postroom.values.content import Content

#: previews that are remembered; about 500 octets each
_MOST: Final = 8192
#: seconds of work that LAZY may cost in one call
_LAZY_SECONDS: Final = 0.02
#: octets above which a message is looked at in a thread
_IN_THREAD: Final = 512 * 1024


class Previews:
    """What is remembered. clock: seconds that only grow."""

    __slots__ = ("_clock", "_known")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, int], str] = OrderedDict()

    async def of(
        self, store: AccountStore, messages: Sequence[int], pace: Breathing, *, lazy: bool = False
    ) -> list[str | None]:
        """Previews in the order of the messages; None only for lazy ones."""
        until = self._clock() + _LAZY_SECONDS
        found: dict[int, str] = {}
        missing = []
        for message in messages:
            known = self._known.get((store.id, message))
            if known is None:
                missing.append(message)
            else:
                found[message] = known
        packed = await store.columns(missing, "parts") if missing else []
        for message, parts in zip(missing, packed, strict=True):
            if lazy and self._clock() >= until:
                break
            found[message] = await self._make(store, message, parts)
            await pace.breathe()
        return [found.get(message) for message in messages]

    async def _make(self, store: AccountStore, message: int, parts: bytes) -> str:
        try:
            content = await store.content(message)
            if content.size > _IN_THREAD:
                text = await asyncio.to_thread(_preview, content, parts)
            else:
                text = _preview(content, parts)
        except (NotFound, FileNotFoundError, ValueError):  # no parts: the message is gone
            return ""
        self._known[store.id, message] = text
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return text


def _preview(content: Content, parts: bytes) -> str:
    return preview(content.read, Parts.unpack(parts))
