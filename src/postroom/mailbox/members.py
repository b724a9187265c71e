"""Sharing a whole account: who may do what in all its mailboxes, those that will be made included.

The top level of an account (mailbox 0) has an ACL too; a mailbox that is made there begins with it. So members of an
account are those of its top level, and joining or leaving changes the top level and every mailbox in one commit.
Owns: nothing. Trusts: an administrator; rights of the one who asks are the caller's business.
Standards: RFC 4314. On failure: errors of mailbox.acl and store.api.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from postroom.mailbox import acl
from postroom.mailbox.errors import UnknownIdentifier
from postroom.store.api import AccountRow, AccountStore, DirectoryStore, FlagOp, RightsChange
from postroom.values import rights as right

TOP: Final = 0
#: words for the usual sets: to look; to work with mail and folders; and to say who may
ROLES: Final = {
    "read": right.READING | right.SEEN,
    "write": right.ALL & ~right.ADMINISTER,
    "manage": right.ALL,
}


@dataclass(frozen=True, slots=True)
class Member:
    """rights on the top level; differs: there are mailboxes where they are others."""

    identifier: str
    rights: int
    differs: bool


def role(rights: int) -> str:
    """The word for a set of rights, or its letters."""
    return next((word for word, bits in ROLES.items() if bits == rights), right.letters(rights))


async def members(store: AccountStore) -> list[Member]:
    """Everybody named in any ACL of the account, by identifier."""
    acls = await store.acls()
    top = acls.get(TOP, {})
    boxes = [info.id for info in await store.mailboxes()]
    found = []
    for identifier in sorted({name for rows in acls.values() for name in rows}):
        rights = top.get(identifier, right.NONE)
        differs = any(acls.get(box, {}).get(identifier, right.NONE) != rights for box in boxes)
        found.append(Member(identifier, rights, differs))
    return found


async def join(directory: DirectoryStore, store: AccountStore, owner: AccountRow, who: str, rights: int) -> str:
    """Give rights on everything; the identifier as it is kept. Raises BadIdentifier, UnknownIdentifier."""
    identifier = await acl.known(directory, who, owner)
    await acl.grant(directory, store, await everywhere(store), identifier, RightsChange(FlagOp.REPLACE, rights))
    return identifier


async def leave(directory: DirectoryStore, store: AccountStore, owner: AccountRow, who: str) -> str:
    """Take all rights on everything; the identifier. Raises BadIdentifier, UnknownIdentifier when it has none."""
    identifier = acl.normal(who, acl.domain_of(owner.login))
    if not any(identifier in rows for rows in (await store.acls()).values()):
        raise UnknownIdentifier(f"{identifier} has no rights on mailboxes of {owner.login}")
    nothing = RightsChange(FlagOp.REPLACE, right.NONE)
    await acl.grant(directory, store, await everywhere(store), identifier, nothing)
    return identifier


async def everywhere(store: AccountStore) -> list[int]:
    """The top level and all mailboxes."""
    return [TOP, *[info.id for info in await store.mailboxes()]]
