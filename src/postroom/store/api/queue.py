"""Accepted mail until it has arrived: entries, their recipients, and when to try next.

An entry is durable before `accept` returns, and stays until every recipient is delivered, relayed or bounced and
that outcome is itself durable. Only the room `queue` calls this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from msgspec import Struct

from postroom.values.content import Content


class RecipientState(StrEnum):
    """Where a recipient of an entry stands; the terminal states leave the queue with their entry."""

    WAITING = "waiting"
    HELD = "held"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    DROPPED = "dropped"


class Attempt(Struct, frozen=True):
    """One try that did not succeed: Unix seconds, RFC 3463 status, what was said, and the cause in one word."""

    at: float
    status: str
    reply: str
    cause: str = ""


class NewRecipient(Struct, frozen=True, kw_only=True):
    """A recipient as accepted. address: where to deliver; notify: RFC 3461 4.1 set in upper case, "" = default.

    forwarder: our address that stands for this one outside, when mail from outside is passed on to it; else "".
    inbox: this one gets it in the INBOX although the entry is junk; why: for the route "quarantine": the score and the
    reasons, with a space between; "!" before it: only an administrator may release it.
    """

    address: str
    route: str  # "local" or "remote"
    orcpt: str = ""  # RFC 3461 4.2, as given ("rfc822;a@b")
    notify: str = ""
    forwarder: str = ""
    inbox: bool = False
    why: str = ""


#: seconds for which a request with a key of its own is answered again and not done again
ANSWERS_KEPT: Final = 86400.0


class Once(Struct, frozen=True, kw_only=True):
    """What keeps a request from being done twice: it is kept with the entry, in the same commit.

    key: digest of who asks and of the key it gave; request: digest of everything it asked for; answer: what it is told.
    """

    key: bytes
    request: bytes
    answer: bytes


class NewEntry(Struct, frozen=True, kw_only=True):
    """What intake hands over. sender "" is the null sender; trace: our Received field, put before the content.

    release: not delivered before this time, 0 is at once (RFC 4865); tls: "required" (RFC 8689 REQUIRETLS),
    "optional" (TLS-Required: No) or ""; bulk: newsletters and lists, which let other mail go first.
    """

    id: str
    sender: str
    recipients: tuple[NewRecipient, ...]
    content: Content
    received: float
    trace: bytes = b""
    envid: str = ""  # RFC 3461 4.4
    ret: str = ""  # FULL, HDRS or ""
    body: str = "7BIT"  # 7BIT, 8BITMIME or BINARYMIME
    smtputf8: bool = False
    account: str = ""  # the submitting account's id, "" for mail from outside
    peer: str = ""  # address of the peer, for the trace
    junk: bool = False  # local recipients get it in their Junk mailbox
    keywords: tuple[str, ...] = ()  # IMAP keywords it gets where it is filed
    proven: str = ""  # the domain in From, when DMARC proved it
    told: Mapping[str, Any] | None = None  # more fields for the event message.accepted; not kept with the entry
    release: float = 0.0
    tls: str = ""
    bulk: bool = False
    once: Once | None = None


class Recipient(Struct, frozen=True, kw_only=True):
    """A recipient in the queue. index: its place in the entry; last_reply: why it still waits, for people.

    history: the last tries, oldest first; nexthop: where an administrator sent it ("mx", "host:port"), or "".
    """

    index: int
    address: str
    route: str
    orcpt: str = ""
    notify: str = ""
    state: RecipientState = RecipientState.WAITING
    attempts: int = 0
    next_try: float = 0.0
    last_reply: str = ""
    delay_told: bool = False
    forwarder: str = ""
    nexthop: str = ""
    history: tuple[Attempt, ...] = ()
    inbox: bool = False
    why: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """An entry as it stands. content: trace and message together, readable until the entry is gone."""

    id: str
    slot: int
    sender: str
    received: float
    size: int
    content: Content
    recipients: tuple[Recipient, ...]
    envid: str = ""
    ret: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    account: str = ""
    peer: str = ""
    junk: bool = False
    keywords: tuple[str, ...] = ()
    proven: str = ""
    release: float = 0.0
    tls: str = ""
    bulk: bool = False

    @property
    def since(self) -> float:
        """From when on it could be delivered."""
        return max(self.received, self.release)


def new_entry(new: NewEntry, slot: int, content: Content) -> Entry:
    """The entry as accepted; content: with the trace in front."""
    first = max(new.received, new.release)
    recipients = tuple(
        Recipient(
            index=index,
            address=recipient.address,
            route=recipient.route,
            orcpt=recipient.orcpt,
            notify=recipient.notify,
            forwarder=recipient.forwarder,
            next_try=first,
            inbox=recipient.inbox,
            why=recipient.why,
        )
        for index, recipient in enumerate(new.recipients)
    )
    return Entry(
        id=new.id,
        slot=slot,
        sender=new.sender,
        received=new.received,
        size=content.size,
        content=content,
        recipients=recipients,
        envid=new.envid,
        ret=new.ret,
        body=new.body,
        smtputf8=new.smtputf8,
        account=new.account,
        peer=new.peer,
        junk=new.junk,
        keywords=new.keywords,
        proven=new.proven,
        release=new.release,
        tls=new.tls,
        bulk=new.bulk,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """Which entries a command means; empty fields match everything, text matches as substring. limit None: all."""

    ids: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    domain: str = ""
    state: RecipientState | None = None
    older_than: float | None = None  # received before this time
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """entries: messages that have not reached all their recipients; oldest: when the first was received, 0 for none."""

    entries: int
    oldest: float


#: a place in the order of next tries: time and entry id
Place = tuple[float, str]


class QueueStore(Protocol):
    """The queue file of this process's slot, and for commands a look at all of them."""

    async def accept(self, entry: NewEntry) -> Entry:
        """Keep the entry. When this returns it survives power loss. Takes the content's file over."""
        ...

    def finish(self, entry: str, results: Sequence[Recipient]) -> None:
        """Write recipients' new states back, soon but not now: nobody waits, it joins the next commit.

        An entry whose recipients are all in a terminal state is removed with its body. A recipient that was held or
        dropped meanwhile stays so, unless the result is final. If a crash comes first the
        recipients are tried again, which delivery by (queue id, recipient) makes harmless.
        """
        ...

    async def update(self, entry: str, results: Sequence[Recipient]) -> None:
        """The same, durable when it returns."""
        ...

    async def due(self, now: float, limit: int = 100, skip: Collection[str] = ()) -> list[Entry]:
        """Entries of this slot with a recipient WAITING whose next_try has come, oldest first.

        skip: ids of entries to leave out, such as those that are being worked on; they do not count for the limit.
        """
        ...

    async def look(self, now: float, limit: int, after: Place | None = None) -> tuple[list[Entry], Place | None]:
        """Entries that are due, as `due` gives them but without octets (see `load`), beginning after a place.

        The second value is the place to go on from, None at the end. Entries that are worked on are among them.
        """
        ...

    def load(self, entry: Entry) -> Entry:
        """An entry of `look` with its octets. Raises NotFound when it is gone."""
        ...

    async def next_due(self) -> float | None:
        """The earliest next_try of this slot's waiting recipients."""
        ...

    async def depth(self) -> Depth:
        """How much lies in the queue of this slot, for those who watch it."""
        ...

    async def entries(self, which: QueueFilter) -> list[Entry]:
        """Entries of every slot, for commands."""
        ...

    async def answered(self, key: bytes, now: float) -> Once | None:
        """The request with this key that any slot has accepted in the last ANSWERS_KEPT seconds."""
        ...

    def claim(self, key: bytes) -> AbstractContextManager[bool]:
        """True within it: nobody else, in any process, works on a request with this key. It ends with the process."""
        ...

    async def change(
        self,
        which: QueueFilter,
        state: RecipientState | None,
        next_try: float | None,
        nexthop: str | None = None,
    ) -> int:
        """Set state (HELD, WAITING, DROPPED), next_try and nexthop of matching entries in every slot; how many changed.

        No recipient is due before its entry's release.
        """
        ...
