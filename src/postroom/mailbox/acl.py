"""Who may do what with somebody's mailboxes: identifiers, and how the rights they are given add up.

Identifiers are log-ins ("ben@example.org"), groups ("group:sales@example.org") and "anyone". One with a dash in front
takes rights away. A person's rights are all that any matching identifier gives, less all that any takes away.
"anyone" is everybody who logs in with an address of the owner's domain: customers of one machine do not see each
other's mailboxes because one of them is generous.
Owns: the index in the directory of which account has which identifier; it may name too many, never too few.
Standards: RFC 4314 2 (identifiers, negative rights), 3.1 and 3.2.
On failure: UnknownIdentifier, BadIdentifier; errors of store.api.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from postroom.identity.routing import find_row
from postroom.mailbox.errors import BadIdentifier, UnknownIdentifier
from postroom.store.api import AccountRow, AccountStore, DirectoryStore, FlagOp, RightsChange
from postroom.values import rights as right
from postroom.values.address import Address, BadAddress
from postroom.wire.sasl import saslprep

ANYONE: Final = "anyone"
GROUP: Final = "group:"
#: identifiers in the ACL of a mailbox; a LIST reads them all
MOST_IDENTIFIERS: Final = 1000


def effective(acl: Mapping[str, int], matching: frozenset[str]) -> int:
    """The rights of somebody whom these identifiers match."""
    given = taken = right.NONE
    for identifier, rights in acl.items():
        if identifier in matching:
            given |= rights
        elif identifier[0] == "-" and identifier[1:] in matching:
            taken |= rights
    return given & ~taken


async def matching(directory: DirectoryStore, login: str, owner: str) -> frozenset[str]:
    """The identifiers that match a log-in in the ACLs of an owner."""
    groups = await directory.groups_of(login)
    found = {login, *[GROUP + group for group in groups]}
    if domain_of(login) == domain_of(owner):
        found.add(ANYONE)
    return frozenset(found)


def domain_of(login: str) -> str:
    """What stands behind the last "@"."""
    return login.rpartition("@")[2]


def normal(identifier: str, domain: str) -> str:
    """An identifier as it is kept: prepared, addresses as keys, `domain` behind a bare name. Raises BadIdentifier."""
    try:
        prepared = saslprep(identifier)
    except ValueError:
        raise BadIdentifier("An identifier cannot contain such characters") from None
    dash = "-" if prepared.startswith("-") else ""
    name = prepared.removeprefix("-")
    kind = GROUP if name.lower().startswith(GROUP) else ""
    name = name[len(kind) :]
    if not kind and name.lower() == ANYONE:
        return dash + ANYONE
    try:
        return dash + kind + Address.parse(name if "@" in name else f"{name}@{domain}").key
    except BadAddress:
        raise BadIdentifier(f'{identifier[:100]!r} is no address, no "group:" and not "anyone"') from None


async def known(directory: DirectoryStore, identifier: str, owner: AccountRow) -> str:
    """The identifier as it is kept, of somebody there is. Raises BadIdentifier, UnknownIdentifier.

    An owner has all rights whatever an ACL says, so he is none either.
    """
    found = normal(identifier, domain_of(owner.login))
    dash, name = ("-" if found.startswith("-") else ""), found.removeprefix("-")
    if name == ANYONE:
        return found
    if name.startswith(GROUP):
        if await directory.group(name[len(GROUP) :]) is None:
            raise _unknown(name)
        return found
    row = await find_row(directory, name)  # also by a detail, or in an alias of the domain
    if not isinstance(row, AccountRow) or row.shared:
        if await directory.group(name) is not None:
            raise UnknownIdentifier(f"{name!r} is a group: write {GROUP}{name}")
        raise _unknown(name)
    if row.id == owner.id:
        raise UnknownIdentifier("The owner of a mailbox has all rights, always")
    return dash + row.login


def _unknown(name: str) -> UnknownIdentifier:
    return UnknownIdentifier(f"There is no {name!r} here who could be given rights")


async def grant(
    directory: DirectoryStore,
    store: AccountStore,
    mailboxes: Sequence[int],
    identifier: str,
    change: RightsChange,
) -> None:
    """Change the rights of an identifier (as `known` gave it) on mailboxes of an account; 0 is the top level.

    The index comes first and goes last. Both sides look once more when they are done, so that of two changes that
    cross each other at least one sees what the other left.
    """
    if change.op is not FlagOp.REMOVE and change.rights:
        await directory.put_share(store.id, identifier)
    if not await store.grant(mailboxes, identifier, change):
        await directory.remove_share(store.id, identifier)
        if not await _stands(store, identifier):
            return
    if store.id not in await directory.sharers(identifier):
        await directory.put_share(store.id, identifier)


async def whose(directory: DirectoryStore, identifier: str) -> list[str]:
    """Ids of the accounts an identifier (as `known` gave it) names: a person, or those who are in a group itself."""
    name = identifier.removeprefix("-")
    group = await directory.group(name[len(GROUP) :]) if name.startswith(GROUP) else None
    rows = [await directory.account_by_login(one) for one in (group.members if group is not None else (name,))]
    return [row.id for row in rows if row is not None]


async def _stands(store: AccountStore, identifier: str) -> bool:
    return any(identifier in acl for acl in (await store.acls()).values())
