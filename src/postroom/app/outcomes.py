"""From results of the queue to signs of stolen accounts, and what is done with the mail of those.

Owns: nothing. Trusts: the queue's entries. On failure: an event; results are written down all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from postroom.observe.log import Events
from postroom.policy.suspicion import Result, Suspicion
from postroom.queue.outcome import Kind, Outcome
from postroom.store.api import DirectoryStore, Entry, QueueFilter, QueueStore, RecipientState, StoreError
from postroom.values.address import Address, BadAddress


class Outcomes:
    """What `Queue.watch` is to be."""

    __slots__ = ("_directory", "_event", "_suspicion")

    def __init__(self, suspicion: Suspicion, directory: DirectoryStore, event: Events) -> None:
        self._suspicion = suspicion
        self._directory = directory
        self._event = event

    async def __call__(self, entry: Entry, outcomes: Sequence[Outcome]) -> None:
        """Results of mail that an account has sent."""
        outside = [outcome for outcome in outcomes if outcome.recipient.route == "remote"]
        if not outside:
            return
        try:
            account = await self._directory.account(entry.account)
        except StoreError as fault:
            self._event("limit.fault", login="", reason=str(fault))
            return
        if account is None:
            return
        for outcome in outside:
            result = Result(
                recipient=_key(outcome.recipient.address),
                failed=outcome.kind is Kind.FAILED,
                status=outcome.status,
                reply=outcome.reply,
                first=not outcome.recipient.attempts,
            )
            self._suspicion.result(account, result)


def _key(address: str) -> str:
    try:
        return Address.parse(address).key
    except BadAddress:
        return address.casefold()


async def hold_mail(store: QueueStore, account: str) -> int:
    """Keep what the account has sent and still waits from leaving; how many messages. Raises StoreUnavailable."""
    waiting = await store.entries(QueueFilter(state=RecipientState.WAITING))
    ids = tuple([entry.id for entry in waiting if entry.account == account])
    if not ids:
        return 0
    return await store.change(QueueFilter(ids=ids, state=RecipientState.WAITING), RecipientState.HELD, None)
