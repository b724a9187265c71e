"""Files mail into quarantine: the consumer of the queue's route "quarantine".

For recipients of ours whose filter wants it kept apart, and for mail of our own people that may not leave. When this
has answered the queue, the mail is as durable as delivered mail; filing the same recipient again keeps one.
Owns: nothing; the store keeps it. Trusts: the queue's `why`. What the message says of itself is kept as text.
On failure: it waits in the queue like mail for a mailbox. An account that has too much in quarantine gets it as junk,
so that nothing is lost; mail that may not leave fails then, and its sender is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from postroom.config import Quarantine as Settings
from postroom.delivery.one_by_one import OneByOne
from postroom.delivery.service import Delivery, Event, FindAccount, Queue
from postroom.message.decode import decode_words, parse_addresses
from postroom.message.fields import field_values
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import (
    AccountRow,
    DirectoryStore,
    Entry,
    KeepLimits,
    QuarantineFull,
    QuarantineItem,
    QuarantineStore,
    Recipient,
    StoreError,
)
from postroom.store.api.quarantine import MOST_TEXT
from postroom.values.clock import Clock
from postroom.values.content import Content

_DAY = 86400.0
#: octets in which the header is looked for
_HEADER = 256 * 1024


class QuarantineDelivery(OneByOne):
    """One per worker. Give `take` to the queue as the consumer of the route "quarantine"."""

    def __init__(
        self,
        queue: Queue,
        stores: tuple[QuarantineStore, DirectoryStore],
        find: FindAccount,
        clock: Clock,
        event: Event,
    ) -> None:
        super().__init__(queue)
        self._store, self._directory = stores
        self._find = find
        self._clock = clock
        self._event = event
        #: what is configured now
        self.settings: Callable[[], Settings] = Settings
        #: delivers what finds no room as junk
        self.delivery: Delivery | None = None

    async def outcomes(self, entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Keep an entry for these recipients."""
        return [await self._keep(entry, each) for each in recipients]

    async def _keep(self, entry: Entry, recipient: Recipient) -> Outcome:
        try:
            return await self._kept(entry, recipient)
        except QuarantineFull as fault:
            return await self._elsewhere(entry, recipient, str(fault))
        except StoreError as fault:
            self._event("delivery.fault", queue_id=entry.id, recipient=recipient.address, reason=str(fault))
            return _outcome(recipient, Kind.DEFERRED, "4.3.0", "The quarantine is out of order")
        except Exception as fault:  # accepted mail is never lost for a fault of ours
            self._event("delivery.fault", queue_id=entry.id, recipient=recipient.address, reason=repr(fault))
            return _outcome(recipient, Kind.DEFERRED, "4.3.0", "It could not be kept for a reason of our own")

    async def _kept(self, entry: Entry, recipient: Recipient) -> Outcome:
        """Raises QuarantineFull, StoreError, OSError."""
        whose = await self._whose(entry, recipient)
        if whose is None:
            return _outcome(recipient, Kind.FAILED, "5.1.1", "There is no such mailbox here")
        if whose.disabled and not whose.receives and not entry.account:
            return _outcome(recipient, Kind.FAILED, "5.2.1", "The mailbox is disabled")
        settings = self.settings()
        item = item_of(entry, recipient, whose, self._clock.now() + settings.days * _DAY)
        limits = KeepLimits(settings.account_messages, settings.account_size)
        await self._store.keep(item, entry.content, limits)
        return Outcome(
            recipient=recipient,
            kind=Kind.QUARANTINED,
            status="2.0.0",
            reply=f"Kept in quarantine as {item.id} (score {item.score:g}): {item.why}",
            reported=True,  # whether a filter likes a message is not for its sender to learn
        )

    async def _whose(self, entry: Entry, recipient: Recipient) -> AccountRow | None:
        """The account that has it in quarantine: the sender's when it may not leave."""
        if entry.account:
            return await self._directory.account(entry.account)
        found = await self._find(recipient.address)
        return None if found is None else found.row

    async def _elsewhere(self, entry: Entry, recipient: Recipient, reason: str) -> Outcome:
        """There is no room."""
        if entry.account or self.delivery is None:
            return _outcome(recipient, Kind.FAILED, "5.7.1", f"It is taken for spam, and {reason}")
        junk = replace(entry, junk=True, keywords=("$Junk",))
        outcome = await self.delivery.deliver(junk, replace(recipient, inbox=False))
        return replace(outcome, recipient=recipient)


def item_of(entry: Entry, recipient: Recipient, whose: AccountRow, until: float) -> QuarantineItem:
    """What is kept beside the octets. Raises OSError when they are gone."""
    points, _, why = recipient.why.partition(" ")
    author, subject = named(entry.content)
    return QuarantineItem(
        id=f"{entry.id}-{recipient.index}",
        entry=entry.id,
        account=whose.id,
        domain=whose.login.rpartition("@")[2],
        recipient=recipient.address,
        sender=entry.sender,
        received=entry.received,
        until=until,
        size=entry.size,
        outgoing=bool(entry.account),
        author=author[:MOST_TEXT],
        subject=subject[:MOST_TEXT],
        score=_number(points.removeprefix("!")),
        why=why[:MOST_TEXT],
        body=entry.body,
        smtputf8=entry.smtputf8,
        guarded=points.startswith("!"),
    )


def named(content: Content) -> tuple[str, str]:
    """Author and subject of a message as people read them, "" for what it does not have. Raises OSError."""
    start = content.read(0, _HEADER)
    header = start.partition(b"\r\n\r\n")[0] + b"\r\n"
    authors = field_values(header, b"from")
    subjects = field_values(header, b"subject")
    author = ""
    if authors and (people := parse_addresses(authors[0])):
        author = f"{people[0].name} <{people[0].address}>" if people[0].name else people[0].address
    elif authors:
        author = decode_words(authors[0]).strip()
    return author, decode_words(subjects[0]).strip() if subjects else ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _outcome(recipient: Recipient, kind: Kind, status: str, reply: str) -> Outcome:
    return Outcome(recipient=recipient, kind=kind, status=status, reply=reply)
