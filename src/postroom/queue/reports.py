"""Reports to senders: what failed, is late, or arrived.

Owns: the decision who is told of what, and how much of the message is returned. The report itself is written by
`message.report`. Trusts: the entry; its content is quoted as it is.
Standards: RFC 3461 4.1, 4.3, 5.2, 6; RFC 3464; RFC 5321 6.1 (null sender).
On failure: Refusal or StoreError of the routing, OSError when the message cannot be read; nothing was kept then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from postroom.message.report import Kind, Report, ReportedRecipient, delivery_report
from postroom.queue.outcome import Outcome
from postroom.store.api import Entry, NewEntry, NewRecipient, Recipient
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.wire.smtp.arguments import encode_xtext

#: octets of a message that RET=FULL returns whole; of a larger one only the header comes back
LARGEST_RETURNED = 1024 * 1024
_HEADER = 64 * 1024

#: queue recipients for an address; none when it is ours and unknown. Raises Refusal, StoreError.
Route = Callable[[Address], Awaitable[tuple[NewRecipient, ...]]]


#: fields that sign a mail of ours, to put before it; b"" when there is no key
Sign = Callable[[Content, float], Awaitable[bytes]]


async def unsigned(_content: Content, _now: float) -> bytes:
    """Nobody signs."""
    return b""


class Reports(Protocol):
    """What the queue asks for."""

    async def report(
        self, new_id: str, entry: Entry, kind: str, outcomes: Sequence[Outcome], until: float
    ) -> NewEntry | None:
        """The report as an entry to accept; None when there is nobody to send it to."""
        ...


def wanted(recipient: Recipient, kind: str) -> bool:
    """True when the sender wants news of this kind: "failed", "delayed", "delivered" or "relayed".

    RFC 3461 4.1: without NOTIFY failures and delays are told; NEVER means never, also of failures.
    """
    notify = recipient.notify
    if not notify:
        return kind in ("failed", "delayed")
    word = {"failed": "FAILURE", "delayed": "DELAY"}.get(kind, "SUCCESS")
    return word in notify.split(",")


class SenderReports:
    """Writes reports for the queue. hostname: ours; sign: signs them."""

    __slots__ = ("_clock", "_route", "_sign", "hostname")

    def __init__(self, hostname: str, route: Route, clock: Clock, sign: Sign = unsigned) -> None:
        self.hostname = hostname
        self._sign = sign
        self._route = route
        self._clock = clock

    async def report(
        self, new_id: str, entry: Entry, kind: str, outcomes: Sequence[Outcome], until: float
    ) -> NewEntry | None:
        """One report on all `outcomes`, which are of one kind; until: Unix seconds when we give up (delays)."""
        try:
            recipients = await self._route(Address.parse(entry.sender))
        except BadAddress:
            return None
        if not recipients:
            return None
        octets = delivery_report(self._written(new_id, entry, Kind(kind), outcomes, until))
        ascii_only, content, now = octets.isascii(), Content.of(octets), self._clock.now()
        return NewEntry(
            id=new_id,
            sender="",  # RFC 5321 6.1: so that nobody reports on it
            recipients=recipients,
            content=content,
            received=now,
            trace=await self._sign(content, now),
            body="7BIT" if ascii_only else "8BITMIME",
            smtputf8=entry.smtputf8 and not (ascii_only and entry.sender.isascii()),
            tls=entry.tls if entry.tls == "required" else "",  # RFC 8689 5
            told={"to": [entry.sender], "message_id": f"{new_id}@{self.hostname}", "about": entry.id},
        )

    def _written(self, new_id: str, entry: Entry, kind: Kind, outcomes: Sequence[Outcome], until: float) -> Report:
        now = self._clock.now()
        # RFC 3461 4.3: RET is about failures; any other report brings the header only
        whole = entry.ret == "FULL" and entry.tls != "required"  # RFC 8689 5
        full = kind is Kind.FAILED and whole and entry.content.size <= LARGEST_RETURNED
        return Report(
            reporting_mta=self.hostname,
            sender=entry.sender,
            recipients=tuple(_told(outcome, kind, now, until) for outcome in outcomes),
            original=entry.content.read(0, None if full else _HEADER),
            full=full,
            arrival=entry.received,
            date=now,
            message_id=f"<{new_id}@{self.hostname}>",
            boundary=f"report-{new_id}",
            envid=encode_xtext(entry.envid),
            queue_id=entry.id,
            utf8=entry.smtputf8,
        )


def _told(outcome: Outcome, kind: Kind, now: float, until: float) -> ReportedRecipient:
    recipient = outcome.recipient
    return ReportedRecipient(
        address=recipient.address,
        kind=kind,
        status=outcome.status,
        orcpt=_xtext(recipient.orcpt),
        remote_mta=outcome.remote,
        reply=outcome.reply if outcome.remote else "",
        reason="" if outcome.remote else outcome.reply,
        meaning=outcome.meaning,
        last_attempt=now,
        retry_until=until if kind is Kind.DELAYED else None,
    )


def _xtext(orcpt: str) -> str:
    """ORCPT as it was sent; the queue keeps it decoded."""
    kind, semicolon, address = orcpt.partition(";")
    return orcpt if kind == "utf-8" else f"{kind}{semicolon}{encode_xtext(address)}"
