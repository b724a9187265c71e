"""Mail that is passed on outside: whose return address it leaves under, and reports that come back to that.

Owns: the decision what is passed on. Trusts: identity for what is hosted; a return address only by its hash.
Standards: RFC 5321 3.9.1 (aliases), 6.1 (reports have the null sender); RFC 7208 10.3 (mediators and SPF).
On failure: Refusal for return addresses that are forged, expired, or written to by anything but a report.
"""

from __future__ import annotations

from msgspec.structs import replace

from postroom.identity.srs import BadReturn, Srs
from postroom.intake import routing
from postroom.intake.trace import day_of
from postroom.store.api import NewRecipient, Suppression
from postroom.values.address import Address
from postroom.values.refusal import Refusal


async def marked(
    identity: routing.Identity, address: Address, targets: tuple[NewRecipient, ...], sender: Address | None
) -> tuple[NewRecipient, ...]:
    """Targets outside know the address of ours that passes mail of a foreign sender on to them.

    Mail of our own domains keeps its sender: our SPF record names this server. Raises Refusal 451 4.3.0.
    """
    if sender is None or all(target.route != routing.REMOTE for target in targets):
        return targets
    if not isinstance(await routing.resolve(identity, sender), routing.NotHosted):
        return targets
    name = str(address)
    return tuple([replace(one, forwarder=name) if one.route == routing.REMOTE else one for one in targets])


async def unwrapped(
    returns: tuple[routing.Identity, Srs], address: Address, sender: Address | None, now: float
) -> tuple[NewRecipient, ...]:
    """Where mail to a return address of ours goes. Raises Refusal 550 5.7.1 and 550 5.1.1."""
    identity, srs = returns
    if sender is not None:
        raise Refusal(550, "5.7.1", "This address takes reports about mail only, with the null sender <>")
    try:
        found = srs.reverse(address.local, now)
    except BadReturn as fault:
        raise Refusal(550, "5.7.1", str(fault)) from None
    answer = await routing.resolve(identity, found)
    if isinstance(answer, routing.Hosted):
        return routing.recipients(found, answer.targets, "", "")
    if isinstance(answer, routing.Unknown | routing.Closed):
        raise Refusal(550, "5.1.1", "The address behind this return address is not known here any more")
    return (NewRecipient(address=str(found), route=routing.REMOTE),)


def check_suppressed(found: Suppression | None) -> None:
    """Raises Refusal 550 5.1.1 for an address that nothing is sent to, saying since when, why, and how to lift it."""
    if found is None:
        return
    since, until = (
        day_of(found.since)[:10],
        "further notice" if found.until == float("inf") else day_of(found.until)[:10],
    )
    text = f"Nothing is sent to <{found.address}> until {until}; on {since} it was refused: {found.reason}"
    text = text.encode("ascii", "backslashreplace").decode()
    lift = f"Your postmaster can lift that: postroom suppress rm {found.address}"
    raise Refusal(550, "5.1.1", f"{text[:300]}. {lift.encode('ascii', 'backslashreplace').decode()}", reason=text)
