"""One pass over a message's body for all who want hashes of it, large ones beside the event loop.

Owns: nothing. Trusts: the content's octets stay as they are while they are read.
Standards: RFC 6376 3.7 (what is hashed is mailauth.body's business).
On failure: OSError when the file of a large message cannot be read.
"""

from __future__ import annotations

import asyncio
from typing import Final

from postroom.mailauth.body import BodyHashes
from postroom.values.content import Content

_SLICE: Final = 256 * 1024
#: bodies above this are hashed in a thread; 512 KiB take one or two milliseconds
_IN_THREAD: Final = 512 * 1024


async def hash_body(hashes: BodyHashes, content: Content, start: int) -> None:
    """Feed the octets from `start` on to what was wanted of `hashes`."""
    if content.size - start > _IN_THREAD:
        await asyncio.to_thread(_feed, hashes, content, start)
    else:
        _feed(hashes, content, start)


def _feed(hashes: BodyHashes, content: Content, start: int) -> None:
    for at in range(start, content.size, _SLICE):
        hashes.update(content.read(at, at + _SLICE))
