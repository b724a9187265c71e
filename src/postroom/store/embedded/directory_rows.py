"""Rows of directory.db: how what the directory keeps is written to its tables, and read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from postroom.store.api.directory import AccountRow, AliasRow, DomainRow, KeyState, SigningKeyRow, TokenRow
from postroom.values.likeness import name_key

#: columns have the names of the fields; words of a tuple are joined by spaces
DOMAIN: Final = tuple(field.name for field in fields(DomainRow))
ACCOUNT: Final = tuple(field.name for field in fields(AccountRow))
_FLAGS: Final = {
    row: frozenset(field.name for field in fields(row) if field.type == "bool") for row in (DomainRow, AccountRow)
}

PUT_DOMAIN: Final = f"REPLACE INTO domain ({', '.join(DOMAIN)}) VALUES ({', '.join('?' * len(DOMAIN))})"
PUT_ACCOUNT: Final = (
    f"REPLACE INTO account (domain, name_key, {', '.join(ACCOUNT)}) VALUES ({', '.join('?' * (len(ACCOUNT) + 2))})"
)
INSERT_ACCESS: Final = "REPLACE INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
GET_DOMAIN: Final = f"SELECT {', '.join(DOMAIN)} FROM domain"
GET_ACCOUNT: Final = f"SELECT {', '.join(ACCOUNT)} FROM account"


def domain_of(address: str) -> str:
    """What stands behind the @."""
    return address.rpartition("@")[2]


def _values(row: DomainRow | AccountRow, names: Sequence[str]) -> list[Any]:
    found = [getattr(row, name) for name in names]
    return [" ".join(value) if isinstance(value, tuple) else value for value in found]


def _given(row: type[DomainRow | AccountRow], names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    flags = _FLAGS[row]
    return {name: bool(value) if name in flags else value for name, value in zip(names, values, strict=True)}


def domain_values(row: DomainRow) -> tuple[Any, ...]:
    """For PUT_DOMAIN."""
    return tuple(_values(row, DOMAIN))


def domain(values: Sequence[Any]) -> DomainRow:
    """From GET_DOMAIN."""
    return DomainRow(**_given(DomainRow, DOMAIN, values))


def account_values(row: AccountRow) -> tuple[Any, ...]:
    """For PUT_ACCOUNT."""
    return (domain_of(row.login), name_key(row.name), *_values(row, ACCOUNT))


def account(values: Sequence[Any]) -> AccountRow:
    """From GET_ACCOUNT."""
    given = _given(AccountRow, ACCOUNT, values)
    given["imap_without"] = tuple(given["imap_without"].split())
    return AccountRow(**given)


def alias_values(row: AliasRow) -> tuple[Any, ...]:
    """In the order of the table."""
    return row.address, domain_of(row.address), json.dumps(row.members), row.created, int(row.disabled), int(row.trap)


def alias(values: Sequence[Any]) -> AliasRow:
    """From address, members, created, disabled, trap."""
    address, members, created, disabled, trap = values
    return AliasRow(
        address=address,
        members=tuple(json.loads(members)),
        created=created,
        disabled=bool(disabled),
        trap=bool(trap),
    )


def signing_key(values: Sequence[Any]) -> SigningKeyRow:
    """From the columns in the order of the table."""
    domain, selector, algorithm, private, state, since = values
    return SigningKeyRow(
        domain=domain, selector=selector, algorithm=algorithm, private=private, state=KeyState(state), since=since
    )


def token(values: Sequence[Any]) -> TokenRow:
    """From the columns in the order of the table."""
    digest, number, account, name, scopes, created, expires, scram, networks = values
    return TokenRow(
        id=number,
        account=account,
        digest=digest,
        name=name,
        scopes=tuple(scopes.split()),
        created=created,
        expires=expires,
        scram=scram,
        networks=tuple(networks.split()),
    )


def token_values(row: TokenRow) -> tuple[Any, ...]:
    """In the order of the table."""
    told = row.digest, row.id, row.account, row.name, " ".join(row.scopes), row.created, row.expires
    return *told, row.scram, " ".join(row.networks)
