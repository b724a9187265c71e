"""HTTP served: see `service.HttpService`. Nothing here is imported before a listener for it is configured."""

from postroom.servers.http.service import HttpLimits, HttpService, Rooms

__all__ = ["HttpLimits", "HttpService", "Rooms"]
