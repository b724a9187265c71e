"""Is there room for a message where it is to be delivered? Asked at RCPT, when the sender can still be told.

Owns: nothing. Trusts: the account was resolved by identity.
Standards: RFC 5321 4.2.3 (452), RFC 3463 3.3 (X.2.1 disabled, X.2.2 full).
On failure: Refusal 550 5.2.1 for a disabled account; 452 4.2.2 for a full one, so that the sender's own server keeps
the mail, or 552 5.2.2 where that is configured; 450 4.2.0 when its store is out of order.
"""

from __future__ import annotations

from postroom.config import Mailboxes
from postroom.policy.allowance import Allowances, configured
from postroom.policy.fullness import Fullness
from postroom.store.api import AccountRow, NotFound, Store, StoreError
from postroom.values.clock import Clock
from postroom.values.refusal import Refusal


class Room:
    """Looks at what accounts hold."""

    __slots__ = ("_allowances", "_fullness", "_store")

    def __init__(self, store: Store, boxes: Mailboxes, clock: Clock) -> None:
        self._store = store
        self._allowances = Allowances(store.directory, configured(boxes))
        self._fullness = Fullness(store.usage, boxes, clock)

    async def check(self, account: str, shown: str, size: int) -> None:
        """shown: the address, for people; size: octets of the message, 0 when they are not known. Raises Refusal."""
        try:
            row = await self._store.directory.account(account)
            if row is None:
                return
            if row.disabled and not row.receives:
                raise Refusal(550, "5.2.1", f"The mailbox of <{shown}> is disabled")
            if not await self._is_full(row, size):
                return
        except NotFound:
            return  # its folder is made at the first delivery
        except StoreError as fault:
            raise Refusal(450, "4.2.0", f"The mailbox of <{shown}> is out of order", reason=str(fault)) from fault
        if self._fullness.rejects(account):
            raise Refusal(552, "5.2.2", f"The mailbox of <{shown}> is full")
        raise Refusal(452, "4.2.2", f"The mailbox of <{shown}> is full")

    async def _is_full(self, row: AccountRow, size: int) -> bool:
        may = await self._allowances.of(row)
        if may.domain_limited and may.domain_is_full(self._store.usage.domain(may.domain)):
            return True
        if not may.limited:
            return False
        usage = await (await self._store.account(row.id)).usage()
        return may.is_full(usage.octets, usage.messages, size)
