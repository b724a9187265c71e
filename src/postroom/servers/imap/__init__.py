"""IMAP4rev1 and IMAP4rev2 over net.link: one executor for each command, one session for each client."""

from postroom.servers.imap.service import ImapService, Rooms

__all__ = ["ImapService", "Rooms"]
