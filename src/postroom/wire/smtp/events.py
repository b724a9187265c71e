"""What a server session hands its driver. Each event that asks for an answer says which."""

from __future__ import annotations

from msgspec import Struct

from postroom.values.address import Address
from postroom.values.refusal import Refusal
from postroom.wire.sasl.exchange import AuthCancelled, Authenticate, AuthResponse


class Mail(Struct, frozen=True):
    """MAIL: answer with `ok` or `refuse`.

    sender: None is the null sender. size: octets announced, 0 = unknown (RFC 1870). body: 7BIT or 8BITMIME.
    ret, envid: RFC 3461 4.3, 4.4, envid decoded. auth: RFC 4954 5, decoded, None when it was not given.
    requiretls: RFC 8689. hold_for: seconds, hold_until: Unix seconds, 0 when not given (RFC 4865).
    """

    sender: Address | None
    size: int = 0
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    auth: str | None = None
    requiretls: bool = False
    hold_for: int = 0
    hold_until: float = 0.0


class Rcpt(Struct, frozen=True):
    """RCPT: answer with `ok` or `refuse`.

    notify: "NEVER" or a list such as "SUCCESS,DELAY" (RFC 3461 4.1). orcpt: "rfc822;a@b", decoded (RFC 3461 4.2).
    """

    recipient: Address
    notify: str = ""
    orcpt: str = ""


class Body(Struct, frozen=True):
    """Octets of the message. After the last: answer with `accept`, `refuse`, or in LMTP `results`."""

    data: bytes
    last: bool


class Reset(Struct, frozen=True):
    """The transaction is over without a message: let go of it. No answer."""


class StartTls(Struct, frozen=True):
    """220 is in the output: send it, do the handshake, then call `secured`."""


class Fault(Struct, frozen=True):
    """Something that was refused without asking the driver, for its log.

    stage: "mail", "rcpt", "data" or "command"; path: what stood between the angle brackets of MAIL or RCPT.
    """

    stage: str
    refusal: Refusal
    path: str = ""


Event = Mail | Rcpt | Body | Reset | Authenticate | AuthResponse | AuthCancelled | StartTls
