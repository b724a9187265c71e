"""Takes in mail to spam traps: the consumer of the queue's route "trap". Nobody reads it; it is learned from and gone.

Owns: nothing. Trusts: the queue's `peer` and `proven`. Mail of our own people and what comes back to a sender (the null
sender) teach nothing: the first is a slip or a stolen account, the second answers mail that somebody else forged.
On failure: an event with the reason; a store that cannot write makes the mail wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from postroom.delivery.one_by_one import OneByOne
from postroom.delivery.service import Event, Queue
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import Entry, Recipient, StoreError
from postroom.values.content import Content

#: learns a message: an id, the content, the peer's address, the proven domain. Raises StoreError, OSError
Learn = Callable[[str, Content, str, str], Awaitable[bool]]


class TrapDelivery(OneByOne):
    """One per worker. Give `take` to the queue as the consumer of the route "trap"; learn: None: the filter is off."""

    def __init__(self, queue: Queue, learn: Learn | None, event: Event) -> None:
        super().__init__(queue)
        self.learn = learn
        self._event = event

    async def outcomes(self, entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Learn an entry, once for all its recipients."""
        kind, status, reply = Kind.DELIVERED, "2.0.0", "Learned from"
        try:
            learned, reason = await self._learned(entry)
        except StoreError as fault:
            kind, status, reply = Kind.DEFERRED, "4.3.0", f"It cannot be learned now: {fault}"
            return [Outcome(recipient=each, kind=kind, status=status, reply=reply) for each in recipients]
        except Exception as fault:  # accepted mail never waits for ever for a fault of ours
            self._event("delivery.fault", queue_id=entry.id, recipient=recipients[0].address, reason=repr(fault))
            learned, reason = False, "it could not be read"
        for each in recipients:
            self._event(
                "trap.caught",
                queue_id=entry.id,
                recipient=each.address,
                sender=entry.sender,
                peer=entry.peer,
                learned=learned,
                reason=reason,
            )
        return [Outcome(recipient=each, kind=kind, status=status, reply=reply) for each in recipients]

    async def _learned(self, entry: Entry) -> tuple[bool, str]:
        """Raises StoreError, OSError."""
        if self.learn is None:
            return False, "the filter is off"
        if entry.account:
            return False, "it is from a log-in of ours"
        if not entry.sender:
            return False, "it answers mail that may be forged"
        learned = await self.learn(f"trap {entry.id}", entry.content, entry.peer, entry.proven)
        return learned, "" if learned else "its network has taught enough today, or it was known"
