"""Mail that releases: what a user writes to the signed address of a message in his quarantine.

Owns: nothing. Trusts: the log-in; an address only by its seal, and only from the log-in it was made for.
On failure: Refusal 550 5.7.1, so that the mail program says at once that nothing was released.
"""

from __future__ import annotations

from postroom.intake import routing
from postroom.intake.model import Peer
from postroom.policy.release_links import BadLink
from postroom.policy.release_mail import check_address, read_address
from postroom.store.api import NewRecipient
from postroom.values.address import Address
from postroom.values.clock import Clock
from postroom.values.refusal import Refusal


class Answers:
    """Of one worker. secret: of the installation."""

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def __call__(self, peer: Peer, address: Address, answer: routing.Resolution) -> tuple[NewRecipient, ...] | None:
        """The queue's recipient; None for an address of another kind. Raises Refusal.

        answer: what else the address is; its domain is ours. A seal that is good comes before a catch-all, or somebody
        who is called "release".
        """
        given = read_address(address)
        if given is None:
            return None
        reason = "this address works for its owner's own log-in only"
        if peer.submitting and peer.account is not None:
            try:
                check_address(self._secret, given, peer.account.id, self._clock.now())
            except BadLink as fault:
                reason = str(fault)
            else:
                return (NewRecipient(address=str(address), route=routing.RELEASE, notify="NEVER"),)
        if isinstance(answer, routing.Unknown):
            raise Refusal(550, "5.7.1", f"Nothing is released from quarantine: {reason}")
        return None
