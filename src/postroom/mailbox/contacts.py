"""Putting addresses into the address book of an account, so that whoever looks for them knows that there is one.

Owns: `AccountRow.contacts`, which is set before the first address is kept; accounts without it cost nothing to ask.
On failure: StoreError, TooManyContacts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from postroom.store.api import AccountStore, Contact, DirectoryStore


async def keep(directory: DirectoryStore, account: str, store: AccountStore, contacts: Sequence[Contact]) -> int:
    """How many were not known. account: its id. Raises TooManyContacts."""
    row = await directory.account(account)
    if row is not None and not row.contacts:
        await directory.put_account(replace(row, contacts=True))
    return await store.contacts.put(contacts)
