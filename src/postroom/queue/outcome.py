"""What came of a try: the answer of delivery and relay to the queue.

Owns: the kinds of outcome. Standards: RFC 3463 (status), RFC 3464 2.3 (what a report tells of a recipient).
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from postroom.store.api import Recipient


class Kind(StrEnum):
    """What came of it."""

    DELIVERED = "delivered"  # in a mailbox of ours
    QUARANTINED = "quarantined"  # kept apart from the recipient's mail
    RELAYED = "relayed"  # another server took it over
    DEFERRED = "deferred"  # not now
    FAILED = "failed"  # never


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of one recipient.

    status: RFC 3463 code ("4.4.1"); reply: one line for people, the peer's own words when it had any;
    remote: name of the peer that said so, "" when it was us; reported: the peer itself sees to reports (RFC 3461 5.2);
    via: address, port and TLS of the connection, for people; cause: of a failure in one word (relay.classify), meaning:
    the same in a sentence, for the report to the sender;
    mailbox, uid, message: where it lies when it was delivered here (message: its number in the account); 0 is unknown;
    login: the account's, where the recipient was written otherwise (an alias, a detail).
    """

    recipient: Recipient
    kind: Kind
    status: str
    reply: str
    remote: str = ""
    reported: bool = False
    via: str = ""
    cause: str = ""
    meaning: str = ""
    mailbox: str = ""
    uid: int = 0
    message: int = 0
    login: str = ""
