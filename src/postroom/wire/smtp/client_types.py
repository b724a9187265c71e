"""What goes into a client session and what comes out of it."""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

# RFC 2034 4, RFC 3463 2
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")


class Reply(Struct, frozen=True):
    """What the server said (RFC 5321 4.2). text: its lines joined by a space, without the enhanced code."""

    code: int
    enhanced: str
    text: str
    local: bool = False  # made here: the server was not asked, or gave no answer

    @property
    def ok(self) -> bool:
        """2yz."""
        return self.code // 100 == 2

    @property
    def temporary(self) -> bool:
        """4yz: the same may succeed later."""
        return self.code // 100 == 4

    def __str__(self) -> str:
        """As a person reads it, and as RFC 3464 2.3.6 wants it in a report."""
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)


def read_reply(code: int, texts: list[str]) -> Reply:
    """A reply from its lines (without their codes)."""
    match = _ENHANCED.match(texts[0])
    if not match:
        return Reply(code, "", " ".join(texts).strip())
    lead = match[0]
    return Reply(code, match[1], " ".join(text.removeprefix(lead) for text in texts).strip())


class ClientOptions(Struct, frozen=True, kw_only=True):
    """How to open a session.

    hostname: our name. starttls: never, when offered, or required. login, password: "" sends without AUTH.
    plaintext_auth: send the password even without TLS.
    """

    hostname: str
    starttls: Literal["never", "offered", "required"] = "offered"
    login: str = ""
    password: str = ""
    plaintext_auth: bool = False


class OutgoingRecipient(Struct, frozen=True):
    """A recipient. notify, orcpt ("rfc822;a@b", decoded): passed on where the server knows DSN."""

    address: str
    notify: str = ""
    orcpt: str = ""


class Outgoing(Struct, frozen=True, kw_only=True):
    """A message to be sent. sender "" is the null sender; body: 7BIT or 8BITMIME; size in octets.

    requiretls: RFC 8689, where the server offers it.
    """

    sender: str
    recipients: tuple[OutgoingRecipient, ...]
    size: int
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    requiretls: bool = False


class Result(Struct, frozen=True):
    """What became of one recipient. stage: MAIL, RCPT, DATA (the 354) or end (after the text)."""

    recipient: OutgoingRecipient
    reply: Reply
    stage: str


class Ready(Struct, frozen=True):
    """The session is open: `send` a message, or `quit`."""


class SendBody(Struct, frozen=True):
    """354: give the text to `body` piece by piece, then call `end_body`."""


class Finished(Struct, frozen=True):
    """The message is through: one result for each recipient, in their order. If not closed, `send` the next."""

    results: tuple[Result, ...]


class Failed(Struct, frozen=True):
    """The session could not be opened. stage: greeting, EHLO, STARTTLS, AUTH or protocol."""

    stage: str
    reply: Reply
