"""Reports to senders: what failed, is late, or arrived.

Owns: the decision who is told of what, and how much of the message is returned. The report itself is written by
`message.report`. Trusts: the entry; its content is quoted as it is.
Standards: RFC 3461 4.1, 4.3, 5.2, 6; RFC 3464; RFC 5321 6.1 (null sender).
On failure: Refusal or StoreError of the routing; nothing was kept then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from postroom.queue.outcome import Outcome
from postroom.store.api import Entry, NewEntry, NewRecipient, Recipient
from postroom.values.address import Address

#: octets of a message that RET=FULL returns whole; of a larger one only the header comes back
LARGEST_RETURNED = 1024 * 1024
_HEADER = 64 * 1024
_IN_MEMORY = 64 * 1024

Route = Callable[[Address], Awaitable[tuple[NewRecipient, ...]]]


class Reports(Protocol):
    """What the queue asks for."""

    async def report(
        self, new_id: str, entry: Entry, kind: str, outcomes: Sequence[Outcome], until: float
    ) -> NewEntry | None:
        """The report as an entry to accept; None when there is nobody to send it to."""
        ...


def wanted(entry: Entry, recipient: Recipient, kind: str) -> bool:
    """True when the sender wants news of this kind: "failed", "delayed", "delivered" or "relayed".

    RFC 3461 4.1: without NOTIFY failures and delays are told; NEVER means never, also of failures.
    """
    notify = recipient.notify
    if not notify:
        return kind in ("failed", "delayed")
    word = {"failed": "FAILURE", "delayed": "DELAY"}.get(kind, "SUCCESS")
    return word in notify.split(",")
