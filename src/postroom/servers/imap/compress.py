"""COMPRESS=DEFLATE and UNAUTHENTICATE: how octets go to and fro, and how a connection starts over.

A command may expand to what it may have without compression, and a little: the framer's limits hold for the expanded
octets, and a client whose octets make no command in the end is sent away. No octet is expanded before the command in
front of it was answered, so one packet cannot fill the memory.
Owns: the two directions of a session; which of a worker's sessions keep what came last unpacked.
Standards: RFC 4978 3, RFC 8437 3 and 4.1.
"""

from __future__ import annotations

from typing import Final, cast

from postroom.servers.imap.replies import Reply, bad, ok
from postroom.servers.imap.session import Session
from postroom.wire.imap.commands import Command, Compress
from postroom.wire.imap.deflate import SLICE, Deflater, Inflater

#: sessions of a worker whose history is not packed, 32 KiB each at the most
AWAKE: Final = 256


class TooMuch(ValueError):
    """The client's octets expand to more than a command may have."""


class Awake:
    """The compressed sessions that were busy last; the others rest."""

    __slots__ = ("_most", "_sessions")

    def __init__(self, most: int = AWAKE) -> None:
        self._most = most
        self._sessions: dict[Inflater, None] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def touch(self, inflater: Inflater) -> None:
        """This one is busy."""
        self._sessions.pop(inflater, None)
        self._sessions[inflater] = None
        if len(self._sessions) > self._most:
            longest = next(iter(self._sessions))
            del self._sessions[longest]
            longest.rest()

    def forget(self, inflater: Inflater) -> None:
        """This one is gone."""
        self._sessions.pop(inflater, None)


class Compression:
    """Both directions of one session."""

    __slots__ = ("_awake", "_expanded", "_inflater", "_most", "deflater")

    def __init__(self, awake: Awake, most: int) -> None:
        """most: octets that may expand without making anything the server can use."""
        self._awake = awake
        self._inflater = Inflater()
        self._most = most + 2 * SLICE
        self._expanded = 0
        self.deflater: Final = Deflater()

    def feed(self, data: bytes) -> None:
        """Take octets from the client."""
        self._awake.touch(self._inflater)
        self._inflater.feed(data)

    def more(self) -> bytes:
        """The next expanded octets, b"" when there are none. Raises wire.imap.deflate.BadStream, TooMuch."""
        found = self._inflater.more()
        self._expanded += len(found)
        if self._expanded > self._most:
            raise TooMuch("The compressed command is too long")
        return found

    def used(self) -> None:
        """What was expanded so far has made a command, or octets of a message."""
        self._expanded = 0

    def end(self) -> bytes:
        """Compression is over: what the client sent behind its end."""
        self._awake.forget(self._inflater)
        return self._inflater.leftover()


def compress(session: Session, command: Command) -> Reply:
    """COMPRESS: from the end of the OK on (RFC 4978 3)."""
    algorithm = cast(Compress, command.args).algorithm
    if algorithm != "DEFLATE":
        return bad("The only algorithm is DEFLATE")
    if session.connection.compressed:
        return bad("Compression is on already", b"COMPRESSIONACTIVE")
    session.then = session.connection.compress
    return ok("Compression is on from here")


def unauthenticate(session: Session, _command: Command) -> Reply:
    """UNAUTHENTICATE: everything but TLS is as it was at the greeting (RFC 8437 3)."""
    # RFC 8437 8: it can be switched off, for proxies that look at logins only
    session.require("UNAUTHENTICATE" not in session.wire.offer.without, "UNAUTHENTICATE is switched off here")
    session.start_over()
    session.then = session.connection.start_over
    return ok("You are logged out; log in again")
