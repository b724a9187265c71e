"""What a server session has reached, as bits that commands name their needs with, and what it waits for.

Standards: RFC 5321 4.1.4 (order of commands), RFC 4954 6, RFC 3030 2.
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import Final

from postroom.values.refusal import Refusal


class Profile(StrEnum):
    """Which service a session is."""

    MX = "smtp"  # mail from other servers
    SUBMISSION = "submission"  # mail from our own users
    LMTP = "lmtp"


class Wait(Enum):
    """What the event that was handed out waits for."""

    MAIL = auto()
    RCPT = auto()
    BODY = auto()
    AUTH = auto()
    TLS = auto()


HELLO: Final = 1
LOGIN: Final = 2  # authenticated, or a service that asks for no login
IDLE: Final = 4  # no transaction
MAIL: Final = 8
RECIPIENT: Final = 16
NO_CHUNKS: Final = 32  # no BDAT in this transaction

#: what is answered when something is missing, the first that fits
_MISSING: Final[tuple[tuple[int, Refusal], ...]] = (
    (HELLO, Refusal(503, "5.5.1", "Say EHLO first (LHLO in LMTP)")),
    (LOGIN, Refusal(530, "5.7.0", "Authentication required: use AUTH (after STARTTLS)")),  # RFC 4954 6
    (IDLE, Refusal(503, "5.5.1", "A message is under way: finish it, or say RSET first")),
    (MAIL, Refusal(503, "5.5.1", "Say MAIL first")),
    (RECIPIENT, Refusal(554, "5.5.1", "No valid recipients: say RCPT first")),  # RFC 5321 3.3
    (NO_CHUNKS, Refusal(503, "5.5.1", "This message came by BDAT: go on with BDAT, or say RSET")),  # RFC 3030 2
)
_LMTP_RECIPIENT: Final = Refusal(503, "5.5.1", "No valid recipients: say RCPT first")  # RFC 2033 4.2


def refusal_for(missing: int, profile: Profile) -> Refusal:
    """The answer to a command that needs these bits, which are not there."""
    bit, fault = next(row for row in _MISSING if row[0] & missing)
    return _LMTP_RECIPIENT if bit == RECIPIENT and profile is Profile.LMTP else fault
