"""A worker tells the process that keeps the full-text indexes which accounts changed.

Owns: the accounts not yet told of. Each is told once in half a second, with how often it changed, so a commit costs one
entry in a table. Losing a hint costs only time: the process looks at every account once a day.
On failure: never; what cannot be told now is told later.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Final

from postroom.store.api import Feed, Hint

TOLD_SECONDS: Final = 0.5
#: octets of one datagram
_MESSAGE: Final = 32 * 1024

CHANGED: Final = b"C"
REBUILD: Final = b"R"


class IndexHints:
    """The worker's end."""

    __slots__ = ("_changed", "_forward", "_sock", "_timer")

    def __init__(self, sock: socket.socket, feed: Feed) -> None:
        """From now on hints of this process's commits pass through here on their way to the other workers."""
        self._sock = sock
        self._changed: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._forward = feed.forward
        feed.forward = self.forward

    def forward(self, hint: Hint) -> None:
        """Remember the account, and pass the hint on."""
        self._changed[hint.account] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOLD_SECONDS, self._tell)
        self._forward(hint)

    def rebuild(self, account: str) -> bool:
        """Have an account's index made anew; False when it cannot be told now."""
        return self._send(REBUILD + account.encode())

    def _tell(self) -> None:
        self._timer = None
        waiting, self._changed = self._changed, Counter()
        line = b""
        for account, times in waiting.items():
            line += b"%b%b %d\n" % (CHANGED, account.encode(), times)
            if len(line) > _MESSAGE and self._send(line):
                line = b""
        if line and not self._send(line):
            self._changed += waiting
            self._timer = asyncio.get_running_loop().call_later(TOLD_SECONDS, self._tell)

    def _send(self, message: bytes) -> bool:
        try:
            self._sock.send(message)
        except OSError:
            return False
        return True
