"""A worker tells the process that keeps the full-text indexes which accounts got mail.

Owns: the accounts not yet told of. Each is told once in half a second, with how many messages it got, so a commit costs
one entry in a table; sooner when there are files among them, whose text a search cannot read itself. Commits that add
nothing are no news. Losing a hint costs only time: the process looks at every account once a day.
On failure: never; what cannot be told now is told later.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from postroom.store.api import Feed

TOLD_SECONDS: Final = 0.5
TOLD_SOON: Final = 0.1
#: octets of one datagram
_MESSAGE: Final = 32 * 1024

#: what a line begins with: an account got messages, the same with files among them, it is to be made anew
CHANGED: Final = b"C"
FILES: Final = b"F"
REBUILD: Final = b"R"


class IndexHints:
    """The worker's end."""

    __slots__ = ("_news", "_sock", "_timer")

    def __init__(self, sock: socket.socket, feed: Feed) -> None:
        """From now on what this process's commits add is told."""
        self._sock = sock
        self._news: dict[str, tuple[int, bool]] = {}
        self._timer: asyncio.TimerHandle | None = None
        feed.arrived = self.arrived

    def arrived(self, account: str, messages: int, files: bool) -> None:
        """Remember the account. messages: 0 when the index itself is to be looked at."""
        before, had_files = self._news.get(account, (0, False))
        self._news[account] = before + messages, had_files or files
        self._tell_within(TOLD_SOON if files else TOLD_SECONDS)

    def _tell_within(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if seconds >= TOLD_SECONDS or self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._tell)

    def rebuild(self, account: str) -> bool:
        """Have an account's index made anew; False when it cannot be told now."""
        return self._send(REBUILD + account.encode())

    def _tell(self) -> None:
        self._timer = None
        waiting, self._news = self._news, {}
        line = b""
        for account, (messages, files) in waiting.items():
            line += b"%b%b %d\n" % (FILES if files else CHANGED, account.encode(), messages)
            if len(line) > _MESSAGE and self._send(line):
                line = b""
        if line and not self._send(line):
            self._news = waiting
            self._tell_within(TOLD_SECONDS)

    def _send(self, message: bytes) -> bool:
        try:
            self._sock.send(message)
        except OSError:
            return False
        return True
