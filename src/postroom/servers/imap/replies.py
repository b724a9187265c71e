"""Tagged replies as values, and errors that carry theirs.

Owns: the translation of what the store and the mailbox room refuse into IMAP response codes.
Trusts: nothing; texts of foreign exceptions never reach the peer.
Standards: RFC 9051 7.1, RFC 5530 (response codes).
On failure: an exception nobody foresaw becomes NO [SERVERBUG]; the session lives on.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from postroom.mailbox.errors import BadIdentifier, BadSequence, MailboxError, response_code
from postroom.store.api import (
    MailboxExists,
    MailboxHasChildren,
    MessageGone,
    NotFound,
    OverQuota,
    StoreBusy,
    StoreDamaged,
    StoreUnavailable,
    TooManyAnnotations,
    TooManyKeywords,
)
from postroom.wire.imap.response import status_line


class Reply(Struct, frozen=True):
    """The tagged end of a command. code: what stands in brackets, without them; text: ASCII for people.

    spare: another code, told untagged if there is one already (RFC 9738 3.1).
    """

    status: bytes
    text: str
    code: bytes = b""
    spare: bytes = b""

    def line(self, tag: bytes) -> bytes:
        """The reply as sent."""
        return status_line(tag, self.status, self.text, self.code)


def ok(text: str, code: bytes = b"", spare: bytes = b"") -> Reply:
    """The command did what it should."""
    return Reply(b"OK", text, code, spare)


def no(text: str, code: bytes = b"") -> Reply:
    """The command was understood and refused."""
    return Reply(b"NO", text, code)


def bad(text: str, code: bytes = b"") -> Reply:
    """The command makes no sense here."""
    return Reply(b"BAD", text, code)


class Refused(Exception):
    """An executor stops here; the command ends with `reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


SERVER_BUG: Final = no("The server failed to do this; the fault was logged", b"SERVERBUG")
READ_ONLY: Final = no("The mailbox is open read-only", b"READ-ONLY")
NO_PERMISSION: Final = no("You do not have the right to do this", b"NOPERM")  # RFC 4314 4

_DAMAGED: Final = "Some of what is kept here is damaged; the administrator was told"

#: what a store error is called in words; its own text may name internals
_STORE_TEXTS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (NotFound, "There is no such mailbox"),
    (MessageGone, "The message is not there any more; nothing was changed"),
    (MailboxExists, "A mailbox of that name exists already"),
    (MailboxHasChildren, "The mailbox has mailboxes below it; delete those first"),
    (OverQuota, "There is not enough room left for this (quota)"),
    (TooManyKeywords, "The mailbox has as many keywords as it can hold"),
    (TooManyAnnotations, "There are as many annotations as there can be; remove some first"),
    (StoreBusy, "Somebody else works on this mail just now; try again in a moment"),
    (StoreDamaged, _DAMAGED),
    (StoreUnavailable, "The mail store cannot do this at the moment; try again later"),
)


def is_damage(fault: Exception) -> bool:
    """Something that was kept is not there any more: the administrator must know."""
    return isinstance(fault, StoreDamaged | FileNotFoundError)


def reply_for(fault: Exception) -> Reply | None:
    """The reply an exception of the rooms below stands for; None when nobody foresaw it."""
    if isinstance(fault, Refused):
        return fault.reply
    if isinstance(fault, BadSequence | BadIdentifier):
        return bad(str(fault))  # RFC 9051 9 (seq-number): BAD for a number above EXISTS; RFC 4314 3
    if isinstance(fault, MailboxError):
        return no(str(fault), response_code(fault))
    for kind, text in _STORE_TEXTS:
        if isinstance(fault, kind):
            return no(text, response_code(fault))
    if isinstance(fault, FileNotFoundError):  # of a message's octets
        return no(_DAMAGED, b"CORRUPTION")
    if isinstance(fault, OSError):
        return no("The mail store cannot do this at the moment; try again later", b"UNAVAILABLE")
    return None
