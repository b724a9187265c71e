r"""Files copies of what members sent as an account: the consumer of the queue's route "sent".

Owns: nothing; keyed by (queue id, "sent" and the account), so that a copy that is filed again after a crash is there
once, and by Message-ID beside what mail programs file themselves (mailbox.sent). Read by everybody: it has \Seen.
Trusts: the queue, which has this recipient only for accounts that lent their address to who sent it.
On failure: a copy waits and is tried again like other local mail; nobody is told of one that fails for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from postroom.delivery.one_by_one import OneByOne
from postroom.delivery.service import Event, FindAccount, Queue
from postroom.mailbox import sent
from postroom.mailbox.service import Mailboxes
from postroom.message.index import index
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import Entry, NotFound, OverQuota, Recipient, StoreError
from postroom.values.clock import Clock
from postroom.values.flags import SEEN

#: octets above which a message is indexed in a thread instead of on the loop
_INDEX_IN_THREAD: Final = 512 * 1024


class SentCopies(OneByOne):
    """One per worker. Give `take` to the queue as the consumer of the route "sent"."""

    def __init__(self, queue: Queue, mailboxes: Mailboxes, find: FindAccount, clock: Clock, event: Event) -> None:
        super().__init__(queue)
        self._mailboxes = mailboxes
        self._find = find
        self._clock = clock
        self._event = event

    async def outcomes(self, entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """File the copies of an entry."""
        return [await self._file(entry, each) for each in recipients]

    async def _file(self, entry: Entry, recipient: Recipient) -> Outcome:
        try:
            return await self._filed(entry, recipient)
        except OverQuota:
            return _outcome(recipient, Kind.DEFERRED, "4.2.2", "The mailbox is full")
        except StoreError as fault:
            self._event("delivery.fault", queue_id=entry.id, recipient=recipient.address, reason=str(fault))
            return _outcome(recipient, Kind.DEFERRED, "4.3.0", "The mailbox is out of order")
        except Exception as fault:  # the message itself must not wait for ever for a fault of ours
            self._event("delivery.fault", queue_id=entry.id, recipient=recipient.address, reason=repr(fault))
            return _outcome(recipient, Kind.DEFERRED, "4.3.0", "The copy could not be filed for a reason of our own")

    async def _filed(self, entry: Entry, recipient: Recipient) -> Outcome:
        found = await self._find(recipient.address)
        if found is None:
            return _outcome(recipient, Kind.FAILED, "5.1.1", "There is no such mailbox here")
        account = await self._mailboxes.open(found.row)
        box = await sent.mailbox_of(account)
        if box is None:
            raise NotFound("there is no mailbox for sent mail")
        content, lead = entry.content, len(entry.content.prefix)
        if content.size > _INDEX_IN_THREAD:
            rendered = await asyncio.to_thread(lambda: index(content.source(), lead))
        else:
            rendered = index(content.source(), lead)
        if await sent.find(account.store, box.id, rendered.envelope, self._clock.now()) is not None:
            return _outcome(recipient, Kind.DELIVERED, "2.0.0", "The sender's program has filed it", box.name)
        result = await account.deliver(
            content,
            queue_id=entry.id,
            recipient=f"sent {recipient.address}",
            mailbox=box.name,
            internaldate=int(entry.received),
            index=rendered,
            flags=SEEN,
        )
        text = "Filed in the mailbox for sent mail" if result is not None else "Filed before"
        return _outcome(recipient, Kind.DELIVERED, "2.0.0", text, box.name)


def _outcome(recipient: Recipient, kind: Kind, status: str, reply: str, mailbox: str = "") -> Outcome:
    return Outcome(recipient=recipient, kind=kind, status=status, reply=reply, mailbox=mailbox)
