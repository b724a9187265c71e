"""What another server is examined for, when its first recipient comes: then the log can say who wrote to whom.

And what its recipients tell about itself.

Owns: nothing; the result lies in the envelope. Standards: RFC 5321 4.5.1: mail to postmaster is never refused for it.
On failure: Refusal, as the policy found.
"""

from __future__ import annotations

from postroom.intake.model import Envelope, Peer, RcptOptions
from postroom.intake.service import Intake
from postroom.policy.conduct import Tally
from postroom.servers.ports import Log, Strangers
from postroom.values.address import Address
from postroom.values.refusal import Refusal


async def vet(strangers: Strangers, log: Log, peer: Peer, envelope: Envelope, recipient: Address | None) -> None:
    """Examine the peer, once for a transaction. Raises Refusal."""
    standing = envelope.standing
    if standing is None:
        sender = "" if envelope.sender is None else envelope.sender.domain
        standing = envelope.standing = await strangers.examine(peer.ip, peer.helo, sender)
        if standing.remarks:
            log(
                "mail.stranger",
                queue_id=envelope.id,
                service=peer.service,
                ip=peer.ip,
                helo=peer.helo[:255],
                iprev=standing.iprev.result if standing.iprev else "",
                name=standing.iprev.name if standing.iprev else "",
                score=standing.listed.score,
                reason=standing.remarks,
            )
    if recipient is not None and recipient.local.casefold() != "postmaster":
        standing.check()


async def add(intake: Intake, tally: Tally, peer: Peer, envelope: Envelope, options: RcptOptions) -> None:
    """Ask intake for a recipient, and count what the answer says about the peer. Raises Refusal."""
    try:
        await intake.recipient(peer, envelope, options)
    except Refusal as fault:
        if fault.enhanced == "5.1.1":
            tally.unknown += 1
        elif fault.enhanced == "5.7.1":
            tally.relaying += 1
        raise
    tally.welcome += 1
