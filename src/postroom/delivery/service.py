"""Delivery: what the queue holds for accounts of ours goes into their mailboxes.

Owns: the step from queue to mailbox; keeps nothing. Idempotent: the account remembers (queue id, recipient), so a
message that is delivered again after a crash is there once.
Trusts: the queue's envelope. Content is hostile; it is indexed once for all recipients of an entry.
Standards: RFC 5321 4.4 (Return-Path), RFC 9228 (Delivered-To).
On failure: an Outcome for the queue, always; what was not foreseen is a deferral and an event.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from postroom.delivery.detail import mailbox_of_detail
from postroom.delivery.sorting import Arrived, Placement, Sorter
from postroom.identity.model import Found
from postroom.mailbox.names import INBOX
from postroom.mailbox.service import Account, Mailboxes
from postroom.message.feedback import Feedback
from postroom.message.index import IndexLimits, MessageIndex
from postroom.message.index import index as index_message
from postroom.message.parts import shifted
from postroom.message.status_report import read_report
from postroom.net.drive import drive
from postroom.policy.fullness import Fullness
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import (
    DeliveredAlready,
    Entry,
    NotFound,
    OverQuota,
    Recipient,
    StoreError,
)
from postroom.values.content import Content

#: deliveries under way at once; the accounts' commits are grouped from what waits
AT_ONCE = 64
#: recipients of one entry that are delivered side by side
STRANDS = 16
#: octets above which a message is indexed in a thread instead of on the loop
_INDEX_IN_THREAD = 512 * 1024

_DELIVERED = "2.0.0"
_JUNK = "$Junk"


class Queue(Protocol):
    """What delivery tells the queue."""

    async def settle(self, entry: Entry, outcomes: Sequence[Outcome]) -> None: ...
    def give_back(self, entry: Entry, recipients: Sequence[Recipient]) -> None: ...


class Event(Protocol):
    """Where lives of messages are told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


#: octets of a report that is read, and recipients in it that are told of
_LARGEST_REPORT = 1024 * 1024
_MOST_TOLD = 20

#: the account whose mailboxes take mail for an address, None when there is none (any more). Raises StoreError.
FindAccount = Callable[[str], Awaitable[Found | None]]


class Delivery:
    """Delivers this worker's local mail. Give `take` to the queue as the consumer of the local route."""

    def __init__(
        self, queue: Queue, mailboxes: Mailboxes, find: FindAccount, event: Event, limits: IndexLimits | None = None
    ) -> None:
        self._queue = queue
        self._mailboxes = mailboxes
        self._find = find
        self._event = event
        self.limits = limits or IndexLimits()
        #: runs the scripts of accounts that have any
        self.sorter: Sorter | None = None
        #: what becomes of mail that finds no room; None: it waits
        self.fullness: Fullness | None = None
        self._pending: deque[tuple[Entry, Sequence[Recipient]]] = deque()
        self._running = 0  # deliveries under way
        self._called = False  # `_begin` comes in the next turn of the loop
        self._ended: asyncio.Event | None = None
        self._stopping = False

    def take(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """Recipients of an entry to deliver now."""
        if self._stopping:
            self._queue.give_back(entry, recipients)
            return
        self._pending.append((entry, recipients))
        self._call()

    def _call(self) -> None:
        """Begin soon: first the peer hears that the message is accepted."""
        if self._pending and not self._called and self._running < AT_ONCE:
            self._called = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._called = False
        while self._pending and self._running < AT_ONCE:
            self._running += 1
            drive(self._work())

    def _finished(self) -> None:
        self._running -= 1
        self._call()
        if self._ended is not None and not (self._running or self._pending):
            self._ended.set()

    async def stop(self) -> None:
        """Finish what is being delivered; what has not begun stays in the queue."""
        self._stopping = True
        while self._pending:
            self._queue.give_back(*self._pending.popleft())
        await self.settled()

    async def settled(self) -> None:
        """Wait until nothing is being delivered."""
        while self._running or self._pending:
            self._ended = asyncio.Event()
            await self._ended.wait()

    async def _work(self) -> None:
        """Deliver entry after entry until none is left."""
        try:
            while self._pending:
                entry, recipients = self._pending.popleft()
                job = _Job(entry, self.limits)
                if len(recipients) == 1:
                    outcomes = [await self._deliver(job, recipients[0])]
                else:
                    outcomes = await self._side_by_side(job, recipients)
                await self._queue.settle(entry, outcomes)
        finally:
            self._finished()

    async def _side_by_side(self, job: _Job, recipients: Sequence[Recipient]) -> list[Outcome]:
        """Several accounts at once, for their commits wait for the disk."""
        outcomes: list[Outcome] = []
        waiting = deque(recipients)

        async def strand() -> None:
            while waiting:
                outcomes.append(await self._deliver(job, waiting.popleft()))

        await asyncio.gather(*[strand() for _ in range(min(STRANDS, len(recipients)))])
        return outcomes

    def _no_room(self, recipient: Recipient, account: str) -> Outcome:
        if self.fullness is not None and self.fullness.rejects(account):
            return _outcome(recipient, Kind.FAILED, "5.2.2", "The mailbox is full")
        return _outcome(recipient, Kind.DEFERRED, "4.2.2", "The mailbox is full")

    async def deliver(self, entry: Entry, recipient: Recipient) -> Outcome:
        """One recipient now, for another consumer, which settles the outcome."""
        return await self._deliver(_Job(entry, self.limits), recipient)

    async def _deliver(self, job: _Job, recipient: Recipient) -> Outcome:
        try:
            found = await self._find(recipient.address)
            if found is None:
                return _outcome(recipient, Kind.FAILED, "5.1.1", "There is no such mailbox here")
            if found.row.disabled and not found.row.receives:
                return _outcome(recipient, Kind.FAILED, "5.2.1", "The mailbox is disabled")
            account = await self._mailboxes.open(found.row)
            try:
                return await self._into(account, job, recipient, found)
            except OverQuota:
                return self._no_room(recipient, found.row.id)
        except DeliveredAlready:
            return _outcome(recipient, Kind.DELIVERED, _DELIVERED, "Delivered before")
        except NotFound as fault:
            self._event("delivery.fault", queue_id=job.entry.id, recipient=recipient.address, reason=str(fault))
            return _outcome(recipient, Kind.DEFERRED, "4.2.0", "The mailbox cannot be opened")
        except StoreError as fault:
            self._event("delivery.fault", queue_id=job.entry.id, recipient=recipient.address, reason=str(fault))
            return _outcome(recipient, Kind.DEFERRED, "4.3.0", "The mailbox is out of order")
        except Exception as fault:  # accepted mail is never lost for a fault of ours
            self._event("delivery.fault", queue_id=job.entry.id, recipient=recipient.address, reason=repr(fault))
            return _outcome(recipient, Kind.DEFERRED, "4.3.0", "Delivery failed for a reason of our own")

    async def _into(self, account: Account, job: _Job, recipient: Recipient, whose: Found) -> Outcome:
        content, found = await job.rendered(recipient)
        entry = job.entry
        mailbox, keywords = INBOX, entry.keywords
        login = whose.row.login if whose.row.login != recipient.address else ""
        if entry.junk and recipient.inbox:
            keywords = tuple([one for one in keywords if one != _JUNK])
        elif entry.junk:
            mailbox = await _junk_of(account)
        if whose.detail and mailbox == INBOX and whose.folders != "off":
            mailbox = await mailbox_of_detail(account, whose.detail, create=whose.folders == "create")
        if whose.row.filtered and self.sorter is not None:
            arrived = Arrived(entry=entry, recipient=recipient, row=whose.row, content=content, header=found.header)
            placement = Placement(
                mailbox=mailbox, keywords=keywords, index=found, separators=whose.separators, name=whose.name
            )
            sorted_ = await self.sorter.sort(account, arrived, placement)
            if sorted_ is not None:
                return replace(sorted_, login=login) if login and sorted_.uid else sorted_
        result = await account.deliver(
            content,
            queue_id=entry.id,
            recipient=recipient.address,
            mailbox=mailbox,
            internaldate=int(entry.received),
            index=found,
            keywords=keywords,
        )
        if result is None:
            return _outcome(recipient, Kind.DELIVERED, _DELIVERED, "Delivered before")
        if entry.peer and found.structure.endswith(b'"REPORT")') and content.size <= _LARGEST_REPORT:
            self._tell_report(entry, recipient)
        return Outcome(
            recipient=recipient,
            kind=Kind.DELIVERED,
            status=_DELIVERED,
            reply="Delivered",
            mailbox=mailbox,
            uid=result.uids[0],
            message=result.snapshot.pages[-1].messages[-1],
            login=login,
        )

    def _tell_report(self, entry: Entry, recipient: Recipient) -> None:
        """A report of another server: what it says is an event, believed by nobody."""
        found = read_report(entry.content.read())
        if isinstance(found, Feedback):
            self._event(
                "complaint.received",
                queue_id=entry.id,
                to=recipient.address,
                kind=found.type,
                agent=found.agent,
                sender=found.mail_from,
                source=found.source_ip,
                about=found.message_id,
            )
        elif found is not None:
            for one in found.recipients[:_MOST_TOLD]:
                self._event(
                    "report.received",
                    queue_id=entry.id,
                    to=recipient.address,
                    recipient=one.original or one.final,
                    action=one.action,
                    status=one.status,
                    reply=one.diagnostic,
                    remote=one.remote or found.reporter,
                    about=found.message_id,
                )


async def _junk_of(account: Account) -> str:
    """The name of the account's mailbox for junk; INBOX when it has none."""
    info = await account.special("\\Junk")
    return INBOX if info is None else info.name


class _Job:
    """One entry on its way: what is the same for all its recipients."""

    __slots__ = ("_index", "_lead", "_limits", "_return_path", "entry")

    def __init__(self, entry: Entry, limits: IndexLimits) -> None:
        self.entry = entry
        self._limits = limits
        self._return_path = f"Return-Path: <{entry.sender}>\r\nDelivered-To: "
        self._lead = 0  # octets of fields before the source that `_index` counts
        self._index: asyncio.Future[MessageIndex] | MessageIndex | None = None

    async def rendered(self, recipient: Recipient) -> tuple[Content, MessageIndex]:
        """The octets the account keeps, and their index; the scan is done for the first recipient only."""
        prefix = f"{self._return_path}{recipient.address}\r\n".encode("utf-8", "replace")
        content = self.entry.content
        lead = len(prefix) + len(content.prefix)
        if self._index is None:
            self._lead = lead
            if content.size <= _INDEX_IN_THREAD:
                self._index = index_message(content.source(), lead, limits=self._limits)
            else:
                self._index = asyncio.ensure_future(asyncio.to_thread(_index_large, content, lead, self._limits))
        found = self._index
        if isinstance(found, asyncio.Future):
            found = await found
        return content.with_prefix(prefix), _moved(found, lead - self._lead)


def _index_large(content: Content, lead: int, limits: IndexLimits) -> MessageIndex:
    return index_message(content.source(), lead, limits=limits)


def _moved(index: MessageIndex, more: int) -> MessageIndex:
    """The index of the same message with `more` octets of header fields before it (or fewer)."""
    if not more:
        return index
    return replace(index, parts=shifted(index.parts, more), header=index.header + more)


def _outcome(recipient: Recipient, kind: Kind, status: str, reply: str) -> Outcome:
    return Outcome(recipient=recipient, kind=kind, status=status, reply=reply)
