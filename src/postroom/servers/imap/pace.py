"""Long replies in fair pieces: wait for a slow reader, and let other clients have their turn."""

from __future__ import annotations

import asyncio
from typing import Final

from postroom.net.link import Link

#: seconds of work for one client before others get their turn
TURN_SECONDS: Final = 0.005


class Pace:
    """One per long command. Call `breathe` after each piece."""

    __slots__ = ("_due", "_link", "_loop")

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + TURN_SECONDS

    async def breathe(self) -> None:
        """Wait until the client has read enough, and step aside when our turn is over. Raises ConnectionError."""
        if self._link.choked:  # not always: a flush of its own for each small answer costs more than the answer
            await self._link.drain()
        if self._loop.time() >= self._due:
            await asyncio.sleep(0)
            self._due = self._loop.time() + TURN_SECONDS
