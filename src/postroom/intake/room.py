"""Is there room for a message where it is to be delivered? Asked at RCPT, when the sender can still be told.

Owns: nothing. Trusts: the account was resolved by identity.
Standards: RFC 5321 4.2.3 (452), RFC 3463 3.3 (X.2.1 disabled, X.2.2 full).
On failure: Refusal 550 5.2.1 for a disabled account, 452 4.2.2 for a full one, so that the sender's own server keeps
the mail, 450 4.2.0 when its store is out of order.
"""

from __future__ import annotations

from postroom.policy.allowance import Allowances
from postroom.store.api import NotFound, Store, StoreError
from postroom.values.refusal import Refusal


class Room:
    """Looks at what accounts hold."""

    __slots__ = ("_allowances", "_store")

    def __init__(self, store: Store, allowances: Allowances) -> None:
        self._store = store
        self._allowances = allowances

    async def check(self, account: str, shown: str, size: int) -> None:
        """shown: the address, for people; size: octets of the message, 0 when they are not known. Raises Refusal."""
        try:
            row = await self._store.directory.account(account)
            if row is None:
                return
            if row.disabled and not row.receives:
                raise Refusal(550, "5.2.1", f"The mailbox of <{shown}> is disabled")
            may = await self._allowances.of(row)
            if not may.limited:
                return
            usage = await (await self._store.account(account)).usage()
        except NotFound:
            return  # its folder is made at the first delivery
        except StoreError as fault:
            raise Refusal(450, "4.2.0", f"The mailbox of <{shown}> is out of order", reason=str(fault)) from fault
        if may.is_full(usage.octets, usage.messages, size):
            raise Refusal(452, "4.2.2", f"The mailbox of <{shown}> is full")
