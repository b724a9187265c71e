"""What the room mailbox says no with, and the IMAP response code each no becomes.

Owns: the errors of mailbox rules; those of storage are store.api's. Both are mapped here, so that a server asks one
function. Standards: RFC 5530, RFC 9051 7.1, RFC 6154 3, RFC 7889 4.
"""

from __future__ import annotations

from typing import Final

from postroom.store import api


class MailboxError(Exception):
    """A rule of mailboxes refuses; nothing was changed. The text is for the user."""


class NoSuchMailbox(MailboxError):
    """There is no mailbox of that name ([NONEXISTENT]; [TRYCREATE] for APPEND, COPY and MOVE, RFC 9051 7.1)."""


class BadName(MailboxError):
    """The name cannot be a mailbox's ([CANNOT])."""


class NotAllowed(MailboxError):
    """The operation can never succeed on this mailbox, such as DELETE INBOX ([CANNOT])."""


class NoPermission(MailboxError):
    """The mailbox may be seen, but its ACL does not let this login do that ([NOPERM], RFC 4314 4)."""


class BadIdentifier(MailboxError):
    """No identifier of an ACL looks like this; the command is BAD (RFC 4314 3)."""


class UnknownIdentifier(MailboxError):
    """Nobody of this name can be given rights ([CANNOT])."""


class SpecialUseRefused(MailboxError):
    """The special-use attribute is unknown here or already given to another mailbox ([USEATTR], RFC 6154 3)."""


class TooManyMailboxes(MailboxError):
    """The account has as many mailboxes as it may ([LIMIT])."""


class AnnotationTooLong(MailboxError):
    """The value of an annotation is longer than one may be ([METADATA MAXSIZE n], RFC 5464 4.3)."""


class AnnotationReadOnly(MailboxError):
    """An annotation that the server sets itself ([NOPERM])."""


class MessageTooBig(MailboxError):
    """A message is larger than APPENDLIMIT ([TOOBIG], RFC 7889 4; 552 5.3.4 in SMTP)."""


class BadSequence(MailboxError):
    """A message sequence number above the number of messages; the command is BAD (RFC 9051 9, seq-number)."""


class SearchTooDeep(MailboxError):
    """A search program nested deeper than anyone means ([LIMIT])."""


class UndecodablePart(MailboxError):
    """BINARY of a part whose transfer encoding is not known or is broken ([UNKNOWN-CTE], RFC 9051 6.4.5.1)."""


class NoSuchMessage(MailboxError):
    """A POP3 message number that is not in the maildrop, or is marked as deleted (-ERR, RFC 1939 5)."""


class MaildropTaken(MailboxError):
    """Another POP3 session holds the maildrop ([IN-USE], RFC 2449 8.1.1)."""


class NeedsUtf8(MailboxError):
    """A POP3 client without UTF8 asks for a message that has no surrogate (-ERR [UTF8], RFC 6856 5)."""


class LoginTooSoon(MailboxError):
    """The account's last POP3 login was less than the login delay ago ([LOGIN-DELAY], RFC 2449 8.1.1)."""


_CODES: Final[tuple[tuple[type[Exception], bytes], ...]] = (
    (NoSuchMailbox, b"NONEXISTENT"),
    (BadName, b"CANNOT"),
    (NotAllowed, b"CANNOT"),
    (NoPermission, b"NOPERM"),
    (UnknownIdentifier, b"CANNOT"),
    (SpecialUseRefused, b"USEATTR"),
    (TooManyMailboxes, b"LIMIT"),
    (SearchTooDeep, b"LIMIT"),
    (MessageTooBig, b"TOOBIG"),
    (AnnotationTooLong, b"METADATA MAXSIZE"),
    (AnnotationReadOnly, b"NOPERM"),
    (UndecodablePart, b"UNKNOWN-CTE"),
    (MaildropTaken, b"IN-USE"),
    (LoginTooSoon, b"LOGIN-DELAY"),
    (NeedsUtf8, b"UTF8"),
    (api.MailboxExists, b"ALREADYEXISTS"),
    (api.MailboxHasChildren, b"HASCHILDREN"),
    (api.OverQuota, b"OVERQUOTA"),
    (api.TooManyKeywords, b"LIMIT"),
    (api.TooManyAnnotations, b"METADATA TOOMANY"),
    (api.MessageGone, b"EXPUNGEISSUED"),
    (api.NotFound, b"NONEXISTENT"),
    (api.StoreBusy, b"INUSE"),
    (api.StoreDamaged, b"CORRUPTION"),
    (api.StoreUnavailable, b"UNAVAILABLE"),
)


def response_code(fault: Exception) -> bytes:
    """The response code, without brackets, that a tagged NO (or -ERR) carries for this error; b"" when none fits."""
    for kind, code in _CODES:
        if isinstance(fault, kind):
            return code
    return b""
