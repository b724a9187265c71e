"""What a session of a line protocol hands its driver while a client logs in by SASL: the same in all of them."""

from __future__ import annotations

from msgspec import Struct


class Authenticate(Struct, frozen=True):
    """The command: challenge, let in or refuse. mechanism: upper case; initial: decoded, None when there is none."""

    mechanism: str
    initial: bytes | None


class AuthResponse(Struct, frozen=True):
    """The client's answer to a challenge, decoded: answer as to Authenticate."""

    data: bytes


class AuthCancelled(Struct, frozen=True):
    """The client gave up (RFC 4954 4), or sent what is no base64. No answer."""
