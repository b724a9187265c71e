"""Return addresses of ours that mail comes back to: tags taken off, wrapped senders unwrapped.

From here on everybody sees the address without its tag: aliases, limits, reports, filters, loops.
Owns: nothing. Trusts: an address only by what our key has made of it.
Standards: draft-levine-smtp-batv-01; RFC 5321 6.1 (reports have the null sender), 4.5.1 (postmaster).
On failure: Refusal 550 5.7.1 for a report to an address that was not made here; 451 4.3.0.
"""

from __future__ import annotations

from msgspec.structs import replace

from postroom.identity.batv import bare, is_tagged
from postroom.identity.srs import BadReturn, Srs, is_return_address
from postroom.identity.tagging import Tagging
from postroom.intake import forwarding, routing
from postroom.intake.model import Envelope, MailOptions
from postroom.store.api import NewRecipient, StoreError
from postroom.values.address import Address
from postroom.values.clock import Clock
from postroom.values.refusal import Refusal


class Returns:
    """Of one worker. srs, tags: None where there are no such addresses."""

    def __init__(self, identity: routing.Identity, srs: Srs | None, tags: Tagging | None, clock: Clock) -> None:
        self._identity = identity
        self._srs = srs
        self._tags = tags
        self._clock = clock

    def sender(self, mail: MailOptions) -> MailOptions:
        """Mail of our own people that comes back in, by a list or a forwarder, has the sender that it began with."""
        if mail.sender is None or self._tags is None or not is_tagged(mail.sender.local):
            return mail
        try:
            return replace(mail, sender=self._tags.batv.check(mail.sender, self._clock.now()))
        except BadReturn:
            return mail  # a tag of others, by which they know their reports

    async def opened(self, envelope: Envelope, address: Address) -> Address:
        """The address behind a tag of ours. Raises Refusal for a report to one that is none."""
        if self._tags is None or not is_tagged(address.local):
            return address
        plain = bare(address)
        if isinstance(await routing.resolve(self._identity, plain), routing.NotHosted):
            return address
        try:
            plain = self._tags.batv.check(address, self._clock.now())
        except BadReturn as fault:
            try:
                wish = await self._tags.of(address.domain)
            except StoreError as broken:
                text = "Addresses cannot be looked up now, try again later"
                raise Refusal(451, "4.3.0", text, reason=str(broken)) from broken
            if wish.mode == "off":
                return address
            if envelope.sender is None:
                raise Refusal(550, "5.7.1", str(fault), reason=f"BATV: a report to <{address}>: {fault}") from None
            return plain  # no report: whoever writes to an old tag is as welcome as anybody
        envelope.tagged += (plain.key,)
        return plain

    async def unwrapped(self, address: Address, sender: Address | None) -> tuple[NewRecipient, ...] | None:
        """Where mail to a wrapped sender goes; None for any other address. Raises Refusal."""
        if self._srs is None or not is_return_address(address.local):
            return None
        return await forwarding.unwrapped((self._identity, self._srs), address, sender, self._clock.now())
