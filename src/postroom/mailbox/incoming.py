"""A message that is to be added, with everything rendered that its readers will ask for.

Owns: that a message is indexed exactly once. Trusts: nothing in the message; the indexer never fails.
"""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from postroom.message.index import IndexLimits, MessageIndex, index
from postroom.store.api import NewMessage, Origin
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.flags import EIGHT_BIT, VISIBLE

#: octets above which a message is indexed in a thread instead of on the loop
_INDEX_IN_THREAD: Final = 512 * 1024


class Incoming(Struct, frozen=True, kw_only=True):
    """A message to be added. internaldate: Unix seconds, None = now; index: as message.index gave it, None = do it.

    index counts offsets with content.prefix in front (its `lead`); origin: identifiers it keeps, being a copy of a
    message of another account.
    """

    content: Content
    internaldate: int | None = None
    flags: int = 0
    keywords: tuple[str, ...] = ()
    index: MessageIndex | None = None
    origin: Origin | None = None


async def rendered(message: Incoming, limits: IndexLimits, guid: str, clock: Clock) -> NewMessage:
    """As the store takes it. guid: 32 hex digits, new."""
    content = message.content
    found = message.index if message.index is not None else await _index(content, limits)
    date = message.internaldate
    lead = content.prefix if content.path else content.data[: found.header]  # the trace fields were not indexed
    eight_bit = found.eight_bit or not lead.isascii()
    return NewMessage(
        content=content,
        guid=guid,
        internaldate=int(clock.now()) if date is None else date,
        envelope=found.envelope,
        structure=found.structure,
        bodystructure=found.bodystructure,
        parts=found.parts,
        header=found.header,
        references=found.references,
        origin=message.origin,
        flags=message.flags & VISIBLE | (EIGHT_BIT if eight_bit else 0),
        keywords=message.keywords,
    )


async def _index(content: Content, limits: IndexLimits) -> MessageIndex:
    """Index octets whose first part may be a prefix that is not in the source; large ones beside the loop."""
    source = content.source()
    lead = len(content.prefix) if content.path else 0
    if content.size > _INDEX_IN_THREAD:
        return await asyncio.to_thread(index, source, lead, limits=limits)
    return index(source, lead, limits=limits)
