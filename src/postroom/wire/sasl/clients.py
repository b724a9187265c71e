"""What a client needs of SASL: PLAIN and LOGIN, for sending mail through a smart host.

Standards: RFC 4616, draft-murchison-sasl-login. Trust: use over TLS only; the caller decides.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class ClientMechanism(Protocol):
    """One authentication exchange, seen from the client."""

    @property
    def name(self) -> str:
        """As it stands after AUTH."""
        ...

    @property
    def initial(self) -> bytes | None:
        """What is sent with the command, None when the server speaks first."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge."""
        ...


class PlainClient:
    """PLAIN (RFC 4616)."""

    __slots__ = ("_message",)
    name = "PLAIN"

    def __init__(self, login: str, password: str) -> None:
        self._message = b"\0".join((b"", login.encode(), password.encode()))

    @property
    def initial(self) -> bytes:
        """The whole message goes with the command."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """A server that ignored the initial response asks for it again."""
        return self._message


class LoginClient:
    """LOGIN: answers whatever the server asks with the name first, then the password."""

    __slots__ = ("_answers",)
    name = "LOGIN"
    initial = None

    def __init__(self, login: str, password: str) -> None:
        self._answers = [login.encode(), password.encode()]

    def respond(self, challenge: bytes) -> bytes:
        """The next answer; nothing when both were given."""
        return self._answers.pop(0) if self._answers else b""


def choose_client(offered: Collection[str], login: str, password: str) -> PlainClient | LoginClient | None:
    """The mechanism to use with a server that offers these names (upper case); None when there is none we know."""
    if "PLAIN" in offered:
        return PlainClient(login, password)
    if "LOGIN" in offered:
        return LoginClient(login, password)
    return None
