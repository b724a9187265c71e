"""What a sender asks of the way out: a date before which nothing is delivered, how TLS is to be used, and no hurry.

Owns: the rules about both. Trusts: syntax was checked by `wire.smtp`; header fields are hostile.
Standards: RFC 4865 (FUTURERELEASE), RFC 8689 4.1 (REQUIRETLS and TLS-Required).
On failure: Refusal.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from postroom.intake.model import MailOptions
from postroom.message.fields import field_values
from postroom.store.api import NewEntry
from postroom.values.refusal import Refusal

REQUIRED: Final = "required"
OPTIONAL: Final = "optional"
#: seconds a message may be kept before it is sent
LONGEST_HOLD: Final = 60 * 86400.0
#: newsletters and lists (RFC 8058, RFC 2919; RFC 3834 3.1.8 knows Precedence)
_BULK: Final = re.compile(
    rb"^(?:list-unsubscribe|list-id)[ \t]*:|^precedence[ \t]*:[ \t]*(?:bulk|list|junk)\b", re.IGNORECASE | re.MULTILINE
)


def noted(entry: NewEntry, mail: MailOptions, head: bytes) -> NewEntry:
    """The entry with what its sender asks for; head: its header. Raises Refusal."""
    at, demand, bulk = release(mail, entry.received), tls(mail, head), _BULK.search(head) is not None
    return replace(entry, release=at, tls=demand, bulk=bulk) if at or demand or bulk else entry


def release(mail: MailOptions, now: float) -> float:
    """When the message may leave, Unix seconds; 0 is at once.

    Raises Refusal 554 5.5.4 when that is too far away; a moment that has passed is now.
    """
    at = now + mail.hold_for if mail.hold_for else mail.hold_until
    if at > now + LONGEST_HOLD:
        days = int(LONGEST_HOLD // 86400)
        raise Refusal(554, "5.5.4", f"Messages are kept for {days} days at the most before they are sent")
    return at if at > now else 0.0


def tls(mail: MailOptions, head: bytes) -> str:
    """RFC 8689 4.1: the parameter counts, and the header field only without it."""
    if mail.requiretls:
        return REQUIRED
    found = field_values(head, b"tls-required") if b"tls-required" in head.lower() else []
    return OPTIONAL if len(found) == 1 and found[0].lower() == b"no" else ""
