"""From an address to the queue recipients it stands for.

Owns: the rule which addresses are local and which go out; the queue asks it too, for the senders of bounces.
Trusts: identity for what is hosted and what aliases mean.
Standards: RFC 5321 3.9.1 (aliases), RFC 3461 5.2.1 (ORCPT travels along).
On failure: Refusal 451 4.3.0 when the directory cannot be read.
"""

from __future__ import annotations

from typing import Protocol

from postroom.identity.model import Closed, Hosted, NotHosted, Permit, Resolution, Target, Unknown
from postroom.store.api import AccountRow, NewRecipient, StoreError
from postroom.values.address import Address, BadAddress
from postroom.values.refusal import Refusal

__all__ = [
    "LOCAL",
    "QUARANTINE",
    "RELEASE",
    "REMOTE",
    "REPORTS",
    "SENT",
    "TRAP",
    "Closed",
    "Hosted",
    "Identity",
    "NotHosted",
    "Permit",
    "Resolution",
    "Routes",
    "Target",
    "Unknown",
    "copies",
    "recipients",
    "resolve",
]

LOCAL = "local"
REMOTE = "remote"
REPORTS = "reports"
#: an address of nobody: whoever writes there has it from where only senders of spam get theirs
TRAP = "trap"
#: an account's mailbox for sent mail: a copy of what others sent as it
SENT = "sent"
#: the signed address of a message in quarantine: whose it is wants it
RELEASE = "release"
#: kept apart: for a recipient of ours whose filter wants it, or mail of ours that may not leave
QUARANTINE = "quarantine"


class Identity(Protocol):
    """What intake asks of identity."""

    async def resolve(self, address: Address) -> Resolution: ...
    async def permit(self, account: AccountRow, address: Address | None) -> Permit: ...


async def resolve(identity: Identity, address: Address) -> Resolution:
    """Identity's answer. Raises Refusal 451 4.3.0 when the directory cannot be read."""
    try:
        return await identity.resolve(address)
    except StoreError as fault:
        raise Refusal(451, "4.3.0", "Addresses cannot be looked up now, try again later", reason=str(fault)) from fault


async def account_of(identity: Identity, address: str) -> str:
    """The id of the account that a local recipient of the queue is, "" for none. Raises Refusal 451 4.3.0."""
    try:
        answer = await resolve(identity, Address.parse(address))
    except BadAddress:
        return ""
    return answer.targets[0].account or "" if isinstance(answer, Hosted) else ""


def recipients(address: Address, targets: tuple[Target, ...], orcpt: str, notify: str) -> tuple[NewRecipient, ...]:
    """Queue recipients for the targets of an address of ours.

    RFC 3461 5.2.1: where an alias changes the address, the sender's own name for it is kept, so that a report
    names what the sender wrote.
    """
    name = str(address)
    original = orcpt or f"rfc822;{name}"
    return tuple(
        [
            NewRecipient(
                address=target.address,
                route=_route(target),
                orcpt=orcpt if target.address == name else original,
                notify=notify,
            )
            for target in targets
        ]
    )


def _route(target: Target) -> str:
    if target.account is not None:
        return LOCAL
    return REPORTS if target.reports else TRAP if target.trap else REMOTE


def copies(owners: tuple[str, ...]) -> tuple[NewRecipient, ...]:
    """Queue recipients for copies in the mailboxes for sent mail of these accounts; nobody hears of failures."""
    return tuple([NewRecipient(address=owner, route=SENT, notify="NEVER") for owner in owners])


class Routes:
    """Asked by the queue where a report to a sender goes."""

    __slots__ = ("_identity",)

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def __call__(self, address: Address) -> tuple[NewRecipient, ...]:
        """Queue recipients for the address; none when it is ours and unknown. Raises Refusal 451 4.3.0."""
        answer = await resolve(self._identity, address)
        if isinstance(answer, Hosted):
            return recipients(address, answer.targets, "", "")
        if isinstance(answer, Unknown | Closed):
            return ()
        return (NewRecipient(address=str(address), route=REMOTE),)
