"""What a POP3 session hands its driver. Each event says how it is answered."""

from __future__ import annotations

from msgspec import Struct

from postroom.wire.sasl.exchange import AuthCancelled, Authenticate, AuthResponse


class Login(Struct, frozen=True):
    """USER and PASS, prepared with SASLprep: answer with `opened` or `refuse`."""

    login: str
    password: str


class StartTls(Struct, frozen=True):
    """+OK is in the output: send it, do the handshake, then call `secured`."""


class Retrieve(Struct, frozen=True):
    """RETR or TOP of message `index` (from 0): answer with `begin`, `body`…, `end`; or `refuse`.

    top: True for TOP; the session cuts the text, and `body` says when it has enough.
    """

    index: int
    top: bool


class Identify(Struct, frozen=True):
    """The first UIDL: answer with `identified` or `refuse`."""


class Update(Struct, frozen=True):
    """QUIT after a login: remove these messages (from 0), then answer with `done` or `turn_away`."""

    deleted: tuple[int, ...]


Event = Login | Authenticate | AuthResponse | AuthCancelled | StartTls | Retrieve | Identify | Update
