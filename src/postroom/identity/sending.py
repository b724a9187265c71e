"""As whom a log-in may send: its own addresses, and those of accounts that let it.

An account says which log-ins and groups may send as it, or only on its behalf (the message then says in Sender who it
really was). An alias belongs to those it leads to.
Trusts: the directory. Standards: RFC 6409 6.1 and 8.1, RFC 5322 3.6.2.
On failure: StoreError.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from postroom.identity.model import Hosted, Permit, Sending
from postroom.identity.routing import Routing, find_row
from postroom.store.api import AccountRow, DirectoryStore
from postroom.values.address import Address

#: as the directory has them
MODES: Final = {"as": Sending.AS, "behalf": Sending.ON_BEHALF}
_NO: Final = Permit(Sending.NO)
_OWN: Final = Permit(Sending.OWN)


async def permit(directory: DirectoryStore, routing: Routing, account: AccountRow, address: Address | None) -> Permit:
    """How the account may use an address as a sender's. None is the null sender, which anybody may (RFC 5321 4.5.5).

    Its own are its login, plus addresses of it, and aliases it is a member of; outside addresses are nobody's.
    """
    if address is None or address.key == account.login:
        return _OWN
    found = await find_row(directory, address.key)
    if isinstance(found, AccountRow):
        return _OWN if found.id == account.id else await _lent(directory, account, [found.id])
    if found is None:
        return _NO
    answer = await routing.resolve(address)
    if not isinstance(answer, Hosted):
        return _NO
    targets = {target.account for target in answer.targets if target.account is not None}
    return _OWN if account.id in targets else await _lent(directory, account, targets)


async def _lent(directory: DirectoryStore, account: AccountRow, owners: Iterable[str]) -> Permit:
    """The best that any of these accounts allows; nothing while an account is switched off."""
    best = _NO
    mine: frozenset[str] | None = None
    for owner in owners:
        known = await directory.delegates(owner)
        if not known:
            continue
        if mine is None:
            groups = await directory.groups_of(account.login)
            mine = frozenset((account.login, *[f"group:{group}" for group in groups]))
        kind = max((MODES[mode] for who, mode in known.items() if who in mine), default=Sending.NO)
        row = await directory.account(owner) if kind > best.kind else None
        if row is not None and not row.disabled:
            best = Permit(kind, row)
    return best
