"""What a server needs of SASL: the steps all mechanisms share, PLAIN and LOGIN.

Trust: responses are hostile octets of bounded length (the protocol's line limit).
Standards: RFC 4422 3 and appendix A (EXTERNAL), RFC 4616 (PLAIN), draft-murchison-sasl-login (LOGIN), RFC 4648 4
(base64).
On failure: SaslFault (the message is malformed) or NotProven (the credentials are wrong); the mechanism is then over.
"""

from __future__ import annotations

import binascii
from typing import Protocol

from msgspec import Struct

from postroom.wire.sasl.prepare import saslprep


class SaslFault(ValueError):
    """A SASL message that does not follow its mechanism's grammar; the text says what, without secrets."""


class NotProven(Exception):
    """The proof is wrong: as a wrong password, and to be answered the same."""


class Challenge(Struct, frozen=True):
    """Send these octets (base64 in SMTP, POP3 and IMAP) and feed the answer to `step`."""

    data: bytes


class Password(Struct, frozen=True):
    """Check this login and password. authzid: whose account is asked for, "" = the login's own."""

    login: str
    password: str
    authzid: str = ""


class KeysWanted(Struct, frozen=True):
    """Look up the SCRAM keys of this login and call `keys` with them, or with None."""

    login: str
    authzid: str = ""


class Proven(Struct, frozen=True):
    """The client has proven that it is `login`. which: by which of the keys that were given."""

    login: str
    authzid: str = ""
    which: int = 0


class Asserted(Struct, frozen=True):
    """Who the client is, something outside SASL has to say. authzid: whose account is asked for, "" = its own."""

    authzid: str = ""


Step = Challenge | Password | KeysWanted | Proven | Asserted


class ServerMechanism(Protocol):
    """One authentication exchange, seen from the server."""

    def start(self, initial: bytes | None) -> Step:
        """Begin; initial: the client's initial response, None when it sent none. Raises SaslFault, NotProven."""
        ...

    def step(self, response: bytes) -> Step:
        """Go on with the client's answer to the last challenge. Raises SaslFault, NotProven."""
        ...


def decode_base64(text: bytes) -> bytes:
    """Octets of a strict base64 text (RFC 4648 4); "=" alone is the empty string (RFC 4954 4). Raises SaslFault."""
    if text == b"=":
        return b""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise SaslFault("This is not base64") from None


def utf8(octets: bytes, what: str) -> str:
    """UTF-8 text without NUL. Raises SaslFault naming `what`."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise SaslFault(f"The {what} is not UTF-8") from None
    if "\0" in text:
        raise SaslFault(f"The {what} holds a NUL")
    return text


def prepared(octets: bytes, what: str) -> str:
    """UTF-8 text after SASLprep, not empty. Raises SaslFault naming `what`."""
    try:
        text = saslprep(utf8(octets, what))
    except SaslFault:
        raise
    except ValueError as fault:
        raise SaslFault(f"The {what} holds {fault}") from None
    if not text:
        raise SaslFault(f"The {what} is empty")
    return text


class Plain:
    """PLAIN: [authzid] NUL authcid NUL passwd (RFC 4616 2)."""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Step:
        """The message may come with the command or after an empty challenge."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        """Read the message."""
        fields = response.split(b"\0")
        if len(fields) != 3:
            raise SaslFault("PLAIN is: authorization identity, NUL, login, NUL, password (RFC 4616)")
        # RFC 4616 2: authcid and passwd are prepared with SASLprep before they are compared
        return Password(
            login=prepared(fields[1], "login"),
            password=prepared(fields[2], "password"),
            authzid=utf8(fields[0], "authorization identity"),
        )


class External:
    """EXTERNAL: the authorization identity alone (RFC 4422 A.1)."""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Step:
        """The message may come with the command or after an empty challenge."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        """Read the message."""
        return Asserted(utf8(response, "authorization identity"))


class LoginMechanism:
    """LOGIN: the name and the password in two answers. Old, and all some programs know."""

    __slots__ = ("_login",)

    def __init__(self) -> None:
        self._login: str | None = None

    def start(self, initial: bytes | None) -> Step:
        """Ask for the name, unless it came with the command."""
        return Challenge(b"Username:") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        """The name first, then the password."""
        if self._login is None:
            self._login = prepared(response.rstrip(b"\0"), "login")
            return Challenge(b"Password:")
        return Password(login=self._login, password=prepared(response, "password"))
