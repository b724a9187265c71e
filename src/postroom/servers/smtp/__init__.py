"""SMTP, submission and LMTP served: see `service.SmtpService`."""

from postroom.servers.smtp.service import Rooms, SmtpService

__all__ = ["Rooms", "SmtpService"]
