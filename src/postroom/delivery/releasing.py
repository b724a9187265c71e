"""Takes in mail to the signed addresses of messages in quarantine: the consumer of the queue's route "release".

What is written there does not matter, and is not kept; that the owner wrote there releases the message, once. One mail
says what was done.
Owns: nothing. Trusts: intake, that the address was made for the log-in that sent this; what an automatic answer says
counts nothing.
Standards: RFC 3834 2 (automatic answers are no wish).
On failure: an event with the reason; a store that cannot write makes the mail wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postroom.delivery.one_by_one import OneByOne
from postroom.delivery.service import Event, Queue
from postroom.message.fields import field_values
from postroom.policy.release_mail import read_address
from postroom.policy.words import Notice
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import (
    Entry,
    ItemState,
    QuarantineItem,
    QuarantineQuery,
    Recipient,
    StateChange,
    Store,
    StoreError,
)
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock

_HEADER = 64 * 1024
_EVERY = frozenset(ItemState)


class MailedReleases(OneByOne):
    """One per worker. poke: told that something is to be released; post: sends our own mail."""

    def __init__(self, queue: Queue, store: Store, clock: Clock, event: Event, post: Callable[[Notice], None]) -> None:
        super().__init__(queue)
        self._store = store
        self._clock = clock
        self._event = event
        self._post = post
        self.poke: Callable[[], None] = _nobody

    async def outcomes(self, entry: Entry, recipients: Sequence[Recipient]) -> Sequence[Outcome]:
        """Release what its recipients name."""
        return [await self._outcome(entry, each) for each in recipients]

    async def _outcome(self, entry: Entry, recipient: Recipient) -> Outcome:
        kind, status, reply = Kind.DELIVERED, "2.0.0", "Released"
        try:
            reply = await self._released(entry, recipient) or reply
        except StoreError as fault:
            kind, status, reply = Kind.DEFERRED, "4.3.0", f"It cannot be released now: {fault}"
        except Exception as fault:  # accepted mail never waits for ever for a fault of ours
            self._event("delivery.fault", queue_id=entry.id, recipient=recipient.address, reason=repr(fault))
            reply = "It could not be read"
        return Outcome(recipient=recipient, kind=kind, status=status, reply=reply)

    async def _released(self, entry: Entry, recipient: Recipient) -> str:
        """Why it was not released, "" when it is. Raises StoreError, OSError."""
        item = await self._item(entry, recipient)
        row = await self._store.directory.account(entry.account)
        if item is None or row is None:
            reason = "the message is not there any more"
        elif _automatic(entry.content.read(0, _HEADER)):
            reason = "it was answered by a program"
        elif item.guarded:
            reason = "only the administrator can release it"
        elif item.state is not ItemState.KEPT:
            reason = f"it is {item.state} already"
        else:
            now = self._clock.now()
            change = StateChange(before=frozenset({ItemState.KEPT}), state=ItemState.RELEASING, at=now, by=row.login)
            await self._store.quarantine.put_state((item.id,), change)
            self.poke()
            reason = ""
        name = item.id if item is not None else ""
        self._event("quarantine.answered", queue_id=entry.id, recipient=recipient.address, item=name, reason=reason)
        if row is not None and "program" not in reason:
            self._post(confirmation(row.login, item, reason))
        return reason

    async def _item(self, entry: Entry, recipient: Recipient) -> QuarantineItem | None:
        """Raises StoreError."""
        try:
            given = read_address(Address.parse(recipient.address))
        except BadAddress:
            return None
        if given is None:
            return None
        found = await self._store.quarantine.find(QuarantineQuery(ids=(given.item,), states=_EVERY))
        return found[0] if found and found[0].account == entry.account and not found[0].outgoing else None


def confirmation(login: str, item: QuarantineItem | None, reason: str) -> Notice:
    """What its owner is told. item: None when it is gone; reason: why it was not released, "" when it is."""
    of = (
        ""
        if item is None
        else f"    From:     {_line(item.author or item.sender)}\n    Subject:  {_line(item.subject)}\n\n"
    )
    if reason:
        subject = "Not released from quarantine"
        text = f"You asked for this message out of your quarantine:\n\n{of}It was not released: {reason}.\n"
    else:
        subject = "Released from quarantine"
        text = (
            f"As you asked, this message comes from your quarantine to your inbox now:\n\n{of}"
            "If it is unwanted after all, move it into Junk: then the filter learns from it.\n"
        )
    if item is None:
        text = f"You asked for a message out of your quarantine. It was not released: {reason}.\n"
    return Notice(login, login.rpartition("@")[2], subject, text, to_admin=False)


def _line(text: str) -> str:
    """On one line, whatever the sender has put into it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:100] or "none"


def _automatic(header: bytes) -> bool:
    head = header.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    return any(value.strip().lower() != b"no" for value in field_values(head, b"auto-submitted"))


def _nobody() -> None:
    """The server's next turn finds it."""
