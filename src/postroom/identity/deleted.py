"""Accounts that were deleted: their mail is kept for a while, and they can be brought back.

Owns: what a deleted account loses (log-in, tokens, places in aliases and groups, what it shares) and gets back. Rights
that others gave it are gone for good.
Meanwhile its address is nobody's: mail for it is refused, also where a catch-all takes all other unknown addresses.
On failure: DirectoryError with what to do about it, or StoreError.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from postroom.identity.errors import AddressTaken, NoSuchAccount, StillInUse
from postroom.identity.groups import forget
from postroom.store.api import AccountRow, AliasRow, DeletedAccount, NotFound, Store
from postroom.values.address import Address, BadAddress


async def leave_aliases(store: Store, row: AccountRow) -> list[AliasRow]:
    """Take an account out of all aliases; gives those. Raises StillInUse where it is the only member."""
    affected = [alias for alias in await store.directory.aliases() if row.login in alias.members]
    alone = [alias.address for alias in affected if len(alias.members) == 1]
    if alone:
        shown = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        raise StillInUse(
            f"{row.login} is the only member of {shown}",
            "Give these aliases another member, or remove them (postroom alias rm).",
        )
    for alias in affected:
        members = tuple(member for member in alias.members if member != row.login)
        await store.directory.put_alias(replace(alias, members=members))
    return affected


async def delete_account(store: Store, row: AccountRow, now: float) -> DeletedAccount:
    """Delete an account whose mail is kept. Raises StillInUse."""
    directory = store.directory
    groups = [group.address for group in await directory.groups() if row.login in group.members]
    aliases = await leave_aliases(store, row)
    gone = DeletedAccount(
        row=row,
        deleted=now,
        aliases=tuple(alias.address for alias in aliases),
        groups=tuple(groups),
        tokens=await directory.tokens(row.id),
    )
    await forget(store, row.login)  # whoever gets the address meanwhile must not get these rights
    await directory.retire_account(gone)
    return gone


async def find_deleted(store: Store, who: str) -> DeletedAccount:
    """By log-in (the last deleted of that name) or id. Raises NoSuchAccount."""
    try:
        key = Address.parse(who.strip()).key
    except BadAddress:
        key = who
    for gone in await store.directory.deleted_accounts():
        if key in (gone.row.login, gone.row.id):
            return gone
    raise NoSuchAccount(f"no account {who} was deleted lately", "See: postroom user deleted list")


async def restore_account(store: Store, gone: DeletedAccount, login: Address | None = None) -> AccountRow:
    """Bring it back, with its places in aliases and groups that are still there; login: under another name.

    Raises AddressTaken; StoreError when its domain is not hosted any more.
    """
    directory = store.directory
    row = replace(gone.row, login=login.key) if login is not None else gone.row
    if await directory.account_by_login(row.login) is not None or await directory.alias(row.login) is not None:
        raise AddressTaken(
            f"{row.login} is somebody else's address now",
            f"Give it another: postroom user deleted restore {gone.row.id} --as NAME@DOMAIN",
        )
    # What it shares is found by others only once it is there: the index comes after the row, which it needs.
    await directory.revive_account(row, gone.tokens)
    for address in gone.aliases:
        alias = await directory.alias(address)
        if alias is not None and row.login not in alias.members:
            await directory.put_alias(replace(alias, members=(*alias.members, row.login)))
    for address in gone.groups:
        group = await directory.group(address)
        if group is not None and row.login not in group.members:
            await directory.put_group(replace(group, members=(*group.members, row.login)))
    for acl in (await (await store.account(row.id)).acls()).values():
        for identifier in acl:
            await directory.put_share(row.id, identifier)
    return row


async def purge_account(store: Store, gone: DeletedAccount) -> None:
    """Its mail goes now, for good."""
    with suppress(NotFound):  # somebody else was quicker
        await store.directory.forget_account(gone.row.id)
    # The row first, as in removing: a folder that is left over is found by `postroom check`.
    with suppress(NotFound):
        await store.remove_account(gone.row.id)


async def purge_older(store: Store, before: float) -> Sequence[DeletedAccount]:
    """Purge what was deleted before a time; gives those."""
    old = [gone for gone in await store.directory.deleted_accounts() if gone.deleted < before]
    for gone in old:
        await purge_account(store, gone)
    return old
