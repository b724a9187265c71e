"""The way out of a connection of a line protocol (SMTP, POP3): what its session says goes to the link.

Owns: what comes after what was said: the end of the connection, or the TLS handshake.
Trusts: the session for when the dialog is over. A peer that does not read is the link's matter.
Standards: RFC 3207 4, RFC 2595 4 (the handshake begins right after the answer to STARTTLS or STLS).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from postroom.net.link import Link


class Speaker(Protocol):
    """A session, as far as it speaks (wire.smtp, wire.pop3)."""

    closed: bool

    def data_to_send(self) -> bytes:
        """What is to be sent, once."""
        ...


class Outlet:
    """One connection's. handshake: TLS has begun, and the session has not been told yet that it stands."""

    __slots__ = ("_link", "_session", "handshake", "tls_due", "upgraded")

    def __init__(self, link: Link, session: Speaker) -> None:
        self._link = link
        self._session = session
        self.tls_due = False  # the handshake begins when the answer is sent
        self.handshake = False
        #: called when TLS stands, where the server speaks first then (RFC 5804 2.2)
        self.upgraded: Callable[[], None] | None = None

    def flush(self) -> None:
        """Send what the session has said; it is the last of this turn."""
        data = self._session.data_to_send()
        if data:
            self._link.send_now(data)
        if self._session.closed:
            self._link.close()
        elif self.tls_due:
            self.tls_due = False
            self.handshake = True
            self._link.start_tls(self.upgraded)
