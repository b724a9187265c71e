"""How far a long command has come: told every ten seconds while it runs (RFC 9585).

One look at all connections of a worker every ten seconds, so that the other commands pay nothing for it. A command
that sends as it goes (FETCH) needs no such thing, and between its lines there may be a literal.
Owns: the clockwork. Standards: RFC 9585 2 and 3: not oftener than every ten seconds, no goal that is not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from postroom.wire.imap import response

if TYPE_CHECKING:
    from postroom.servers.imap.connection import ImapConnection

#: seconds between two notices, and before the first
INTERVAL: Final = 10.0
#: commands that send long before they end
_SENDING: Final = frozenset(("FETCH", "UID FETCH", "IDLE"))


class Progress:
    """The clockwork of one worker; it runs while there are connections."""

    __slots__ = ("_connections", "_due")

    def __init__(self, connections: Collection[ImapConnection]) -> None:
        self._connections = connections
        self._due: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """There is a connection."""
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(INTERVAL, self._look)

    def _look(self) -> None:
        self._due = None
        for connection in list(self._connections):
            tell(connection)
        if self._connections:
            self.start()

    def stop(self) -> None:
        """No more connections come."""
        if self._due is not None:
            self._due.cancel()
            self._due = None


def tell(connection: ImapConnection) -> None:
    """Tell a client whose command runs since the last look."""
    session = connection.session
    command, known = session.running, session.seen_running
    session.seen_running = command
    if command is None or command is not known or session.account is None or command.name in _SENDING:
        return
    if "INPROGRESS" in session.wire.offer.without or session.link.choked:
        return
    doing = session.progress
    known_goal = doing is not None and doing.goal > 0
    done, goal = (doing.done, doing.goal) if doing is not None and known_goal else (None, None)
    session.send(response.ok(b"*", "Still at it", response.inprogress(command.tag, done, goal)))
