"""Whose the addresses of a submitted message are, and what follows: nobody sends as somebody who has not allowed it.

Owns: the rule for From and the other fields that say who sends. Trusts: identity for who may use an address.
Standards: RFC 6409 6.1 (addresses must belong to the login) and 8.1 (Sender may be added), RFC 5322 3.6.2.
On failure: Foreign, for an address that is not the login's; Refusal for fields that cannot be read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postroom.identity.model import Permit, Sending
from postroom.intake import header
from postroom.store.api import AccountRow
from postroom.values.address import Address
from postroom.values.refusal import Refusal

#: how the login may use an address. Raises Refusal 451 4.3.0 when it cannot be looked up.
Ask = Callable[[Address], Awaitable[Permit]]


class Foreign(Exception):
    """An address that does not belong to the login. name: of the field."""

    def __init__(self, name: str, address: Address) -> None:
        super().__init__(name)
        self.name = name
        self.address = address


@dataclass(frozen=True, slots=True)
class Authors:
    """domain: of the first address in From, which signs; behalf: Sender has to say who it is and does not;
    owners: accounts whose address is in From, and that lend it to the login.
    """

    domain: str
    behalf: bool
    owners: tuple[AccountRow, ...]


async def check_authors(found: header.Submitted, ask: Ask) -> Authors:
    """Everything that says who sends is the login's, or lent to it. Raises Foreign, Refusal.

    An address that may be used only on behalf of its owner may stand in From beside a Sender of the login's own.
    """
    domain, behalf = "", False
    owners: dict[str, AccountRow] = {}
    for address in header.from_addresses(found.from_):
        domain = domain or address.domain
        permit = await ask(address)
        if permit.kind is Sending.NO:
            raise Foreign("From", address)
        behalf = behalf or permit.kind is Sending.ON_BEHALF
        if permit.owner is not None:
            owners.setdefault(permit.owner.id, permit.owner)
    header.check_reading(found.from_, "From")
    named = await _check_senders(found, ask)
    if behalf and named and not named & {Sending.OWN}:
        raise Refusal(550, "5.7.1", "Sender: what is sent on behalf of another names the login's own address there")
    return Authors(domain, behalf and not named, tuple(owners.values()))


async def _check_senders(found: header.Submitted, ask: Ask) -> set[Sending]:
    """The other fields; how the login may use what Sender says."""
    named: set[Sending] = set()
    for name, value in found.senders:
        for address in header.from_addresses(value, name):
            kind = (await ask(address)).kind
            if kind < Sending.AS:
                raise Foreign(name, address)
            if name.lower() == "sender":
                named.add(kind)
        header.check_reading(value, name)
    return named
