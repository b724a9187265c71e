"""ManageSieve (RFC 5804), the server's half: octets in, events out; answers in, octets out."""

from postroom.wire.managesieve.commands import (
    CheckScript,
    DeleteScript,
    Event,
    GetScript,
    HaveSpace,
    ListScripts,
    PutScript,
    RenameScript,
    SetActive,
    StartTls,
    Unauthenticate,
)
from postroom.wire.managesieve.session import ManageSieveOptions, ManageSieveSession
from postroom.wire.sasl.exchange import Authenticate, AuthResponse

__all__ = [
    "AuthResponse",
    "Authenticate",
    "CheckScript",
    "DeleteScript",
    "Event",
    "GetScript",
    "HaveSpace",
    "ListScripts",
    "ManageSieveOptions",
    "ManageSieveSession",
    "PutScript",
    "RenameScript",
    "SetActive",
    "StartTls",
    "Unauthenticate",
]
