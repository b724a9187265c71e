"""POP3, the server's end, without IO (RFC 1939, RFC 2449, RFC 2595, RFC 3206, RFC 5034, RFC 6856)."""

from postroom.wire.pop3.commands import COMMANDS, Command, State
from postroom.wire.pop3.events import (
    Event,
    Identify,
    Login,
    Retrieve,
    StartTls,
    Update,
)
from postroom.wire.pop3.session import Pop3Options, Pop3Session
from postroom.wire.pop3.verbs import Pop3Refusal
from postroom.wire.sasl.exchange import AuthCancelled, Authenticate, AuthResponse

__all__ = [
    "COMMANDS",
    "AuthCancelled",
    "AuthResponse",
    "Authenticate",
    "Command",
    "Event",
    "Identify",
    "Login",
    "Pop3Options",
    "Pop3Refusal",
    "Pop3Session",
    "Retrieve",
    "StartTls",
    "State",
    "Update",
]
