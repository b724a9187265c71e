"""After a start: what other servers had taken when this server was stopped in the middle of it.

Owns: nothing. Trusts: the records of `flight`. Standards: RFC 5321 6.1 (duplicates).
On failure: StoreError of the queue; then the mail is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from postroom.queue.outcome import Kind, Outcome
from postroom.relay.flight import TAKEN, Flight
from postroom.store.api import Entry, QueueFilter, QueueStore, Recipient, RecipientState


class Event(Protocol):
    """Where lives of messages are told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


class Queue(Protocol):
    """What hears the results."""

    async def settle(self, entry: Entry, outcomes: Sequence[Outcome]) -> None: ...


async def settle(flights: Sequence[Flight], store: QueueStore, queue: Queue, event: Event) -> None:
    """Before anything is sent: what was taken is not sent again, what may have been taken is told."""
    if not flights:
        return
    known = {entry.id: entry for entry in await store.entries(QueueFilter(ids=tuple({one.entry for one in flights})))}
    for flight in flights:
        entry = known.get(flight.entry)
        if entry is None:
            continue  # its last result was written
        open_still = [each for each in entry.recipients if _meant(flight, each)]
        if not open_still:
            continue
        if flight.state == TAKEN:
            await queue.settle(entry, [_taken(each, flight.host) for each in open_still])
            continue
        addresses = [each.address for each in open_still]
        event(
            "relay.maybe_doubled", queue_id=entry.id, recipients=addresses, host=flight.host, reason="we were stopped"
        )


def _meant(flight: Flight, recipient: Recipient) -> bool:
    return bool(flight.recipients >> recipient.index & 1) and recipient.state is RecipientState.WAITING


def _taken(recipient: Recipient, host: str) -> Outcome:
    return Outcome(
        recipient=recipient,
        kind=Kind.RELAYED,
        status="2.0.0",
        reply=f"{host} had taken it when this server was stopped",
    )
