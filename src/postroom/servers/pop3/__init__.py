"""POP3 served: see `service.Pop3Service`."""

from postroom.servers.pop3.service import Pop3Service, Rooms

__all__ = ["Pop3Service", "Rooms"]
