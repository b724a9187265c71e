"""Queue entries as rows: packing, unpacking, merging results, and what a filter means.

Everything but the octets is one packed value, so that accepting costs two small inserts and a retry rewrites a few
hundred octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from postroom.store.api.queue import Attempt, Entry, QueueFilter, Recipient, RecipientState
from postroom.values.content import Content

TERMINAL: Final = frozenset({RecipientState.DELIVERED, RecipientState.BOUNCED, RecipientState.DROPPED})


class PackedRecipient(msgspec.Struct, array_like=True, frozen=True):
    """A recipient; fields in the order they are packed, new ones only at the end with a default."""

    address: str
    route: str
    orcpt: str = ""
    notify: str = ""
    state: str = "waiting"
    attempts: int = 0
    next_try: float = 0.0
    last_reply: str = ""
    delay_told: bool = False
    forwarder: str = ""
    nexthop: str = ""
    history: tuple[tuple[float, str, str, str], ...] = ()
    inbox: bool = False
    why: str = ""


class PackedEntry(msgspec.Struct, array_like=True, frozen=True):
    """Everything of an entry that has no column of its own. prefix, digest: of a body that lies in a file."""

    sender: str
    recipients: list[PackedRecipient]
    envid: str = ""
    ret: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    account: str = ""
    peer: str = ""
    prefix: bytes = b""
    digest: bytes = b""
    junk: bool = False
    keywords: tuple[str, ...] = ()
    release: float = 0.0
    tls: str = ""
    proven: str = ""
    bulk: bool = False


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(PackedEntry).decode


def pack(entry: Entry) -> bytes:
    """The entry's envelope."""
    recipients = [
        PackedRecipient(
            item.address,
            item.route,
            item.orcpt,
            item.notify,
            item.state.value,
            item.attempts,
            item.next_try,
            item.last_reply,
            item.delay_told,
            item.forwarder,
            item.nexthop,
            tuple((one.at, one.status, one.reply, one.cause) for one in item.history) if item.history else (),
            item.inbox,
            item.why,
        )
        for item in entry.recipients
    ]
    content = entry.content
    packed = PackedEntry(
        entry.sender,
        recipients,
        entry.envid,
        entry.ret,
        entry.body,
        entry.smtputf8,
        entry.account,
        entry.peer,
        content.prefix,
        content.digest,
        junk=entry.junk,
        keywords=entry.keywords,
        release=entry.release,
        tls=entry.tls,
        bulk=entry.bulk,
        proven=entry.proven,
    )
    return _encode(packed)


def unpack(row: tuple[str, float, int, bytes], slot: int, path: str, data: bytes | None) -> Entry:
    """An entry from (id, received, size, envelope); data: its octets, or None when they lie in the file `path`."""
    number, received, size, envelope = row
    packed = _decode(envelope)
    if data is None:
        content = Content(size=size, path=path, prefix=packed.prefix, digest=packed.digest)
    else:
        content = Content.of(data)
    recipients = tuple(
        Recipient(
            index=index,
            address=item.address,
            route=item.route,
            orcpt=item.orcpt,
            notify=item.notify,
            state=RecipientState(item.state),
            attempts=item.attempts,
            next_try=item.next_try,
            last_reply=item.last_reply,
            delay_told=item.delay_told,
            forwarder=item.forwarder,
            nexthop=item.nexthop,
            history=tuple(Attempt(*one) for one in item.history) if item.history else (),
            inbox=item.inbox,
            why=item.why,
        )
        for index, item in enumerate(packed.recipients)
    )
    return Entry(
        id=number,
        slot=slot,
        sender=packed.sender,
        received=received,
        size=size,
        content=content,
        recipients=recipients,
        envid=packed.envid,
        ret=packed.ret,
        body=packed.body,
        smtputf8=packed.smtputf8,
        account=packed.account,
        peer=packed.peer,
        junk=packed.junk,
        keywords=packed.keywords,
        release=packed.release,
        tls=packed.tls,
        bulk=packed.bulk,
        proven=packed.proven,
    )


def merge(entry: Entry, results: Iterable[Recipient]) -> Entry:
    """The entry with recipients' new states. Raises IndexError for a recipient it does not have."""
    recipients = list(entry.recipients)
    for result in results:
        recipients[result.index] = result
    return replace(entry, recipients=tuple(recipients))


def settle(entry: Entry, results: Iterable[Recipient]) -> Entry:
    """`merge` for what came of a try: what was held or dropped meanwhile does not wait again because of it."""
    kept = entry.recipients
    return merge(
        entry,
        [
            replace(result, state=kept[result.index].state) if result.state is RecipientState.WAITING else result
            for result in results
        ],
    )


def is_over(entry: Entry) -> bool:
    """Is every recipient in a terminal state?"""
    return all(recipient.state in TERMINAL for recipient in entry.recipients)


def next_try(entry: Entry) -> float | None:
    """The earliest retry of a waiting recipient."""
    return min((item.next_try for item in entry.recipients if item.state is RecipientState.WAITING), default=None)


def chosen(entry: Entry, which: QueueFilter) -> Sequence[Recipient]:
    """The recipients of the entry that the filter means; none when it does not mean the entry."""
    if which.ids and entry.id not in which.ids:
        return ()
    if which.sender.lower() not in entry.sender.lower():
        return ()
    if which.older_than is not None and entry.received >= which.older_than:
        return ()
    return [
        item
        for item in entry.recipients
        if which.recipient.lower() in item.address.lower()
        and (not which.domain or item.address.rpartition("@")[2].lower() == which.domain.lower())
        and (item.state not in TERMINAL if which.state is None else item.state is which.state)
    ]


class Change(msgspec.Struct, frozen=True):
    """What a command changes; None leaves it."""

    state: RecipientState | None
    next_try: float | None
    nexthop: str | None = None

    def apply(self, entry: Entry, recipient: Recipient) -> Recipient:
        """The recipient as changed; it is not due before its entry's release."""
        return replace(
            recipient,
            state=recipient.state if self.state is None else self.state,
            next_try=recipient.next_try if self.next_try is None else max(self.next_try, entry.release),
            nexthop=recipient.nexthop if self.nexthop is None else self.nexthop,
        )
