"""SMTP, submission and LMTP, both ends, without IO (RFC 5321, RFC 6409, RFC 2033)."""

from postroom.wire.sasl.exchange import AuthCancelled, Authenticate, AuthResponse
from postroom.wire.smtp.client import ClientEvent, ClientSession
from postroom.wire.smtp.client_types import (
    ClientOptions,
    Failed,
    Finished,
    Outgoing,
    OutgoingRecipient,
    Ready,
    Reply,
    Result,
    SendBody,
)
from postroom.wire.smtp.commands import COMMANDS, Command
from postroom.wire.smtp.events import (
    Body,
    Event,
    Fault,
    Mail,
    Rcpt,
    Reset,
    StartTls,
)
from postroom.wire.smtp.options import ServerOptions
from postroom.wire.smtp.server import ServerSession
from postroom.wire.smtp.state import Profile, Wait

__all__ = [
    "COMMANDS",
    "AuthCancelled",
    "AuthResponse",
    "Authenticate",
    "Body",
    "ClientEvent",
    "ClientOptions",
    "ClientSession",
    "Command",
    "Event",
    "Failed",
    "Fault",
    "Finished",
    "Mail",
    "Outgoing",
    "OutgoingRecipient",
    "Profile",
    "Rcpt",
    "Ready",
    "Reply",
    "Reset",
    "Result",
    "SendBody",
    "ServerOptions",
    "ServerSession",
    "StartTls",
    "Wait",
]
