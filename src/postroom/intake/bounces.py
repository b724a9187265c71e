"""Reports that come back: is one about mail of ours, or about what others have forged?

A report is about ours when it comes to an address that only our key makes (BATV, SRS), or names a message that was sent
from here. Any other speaks against itself; where a domain's mail leaves with tags, such a report can be refused; and an
address that gets many of them in an hour is spared the rest.
Owns: the points, and which floods were told of lately. Trusts: `Envelope.tagged`; a Message-ID, though whoever has had
mail from here can name one.
Standards: RFC 5321 6.1 (reports have the null sender), 4.5.1 (postmaster takes all mail); draft-levine-smtp-batv-01.
On failure: Refusal 550 5.7.1, 451 4.7.1. When the store cannot answer, a report is taken.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from postroom.config import Bounces as Config
from postroom.config import Flood
from postroom.filter.returned import returned_ids
from postroom.filter.scoring import Act, Reason
from postroom.identity.srs import is_return_address
from postroom.identity.tagging import Tagging
from postroom.intake import routing
from postroom.intake.model import Envelope, Given, Returned
from postroom.store.api import LimitsStore, StoreError, Tally
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

#: points for a report on mail of ours, as much as for an answer to it
OURS: Final = -4.0
HOUR: Final = 3600
KIND: Final = "bounces"
_DAY: Final = 86400.0
_IN_THREAD: Final = 256 * 1024
_REMEMBERED: Final = 1000


NOTHING: Final = Returned()


class Bounces:
    """Looks at reports for one worker. tags: None where no domain can want any."""

    def __init__(
        self,
        config: Config,
        limits: LimitsStore,
        rooms: tuple[routing.Identity, Tagging | None],
        clock: Clock,
        event: Callable[..., None],
    ) -> None:
        self._config = config
        self._limits = limits
        self._identity, self._tags = rooms
        self._clock = clock
        self._event = event
        self._told: OrderedDict[str, float] = OrderedDict()

    async def look(self, envelope: Envelope, content: Content) -> Returned:
        """The envelope has the null sender, and came from outside. Raises Refusal, OSError."""
        strange = [given for given in envelope.given if given.twin < 0 and not _known(envelope, given)]
        if not strange:
            return Returned((Reason("REPORT", OURS, "it came to an address that only mail from here has"),))
        strange = [given for given in strange if any(one.route != routing.REPORTS for one in given.targets)]
        if not strange:
            return NOTHING
        ids = await named(content)
        try:
            if ids and self._limits.answered("", ids):
                return Returned((about_ours(),))
            for given in strange:
                await self._demand(given)
            findings = [unknown(bool(ids), self._config.score)] if self._config.score else []
            flood = await self._counted(strange)
        except StoreError as fault:
            self._event("filter.fault", account="", reason=str(fault))
            return NOTHING
        return Returned((*findings, *flood), Act.JUNK if flood else Act.ACCEPT)

    async def _demand(self, given: Given) -> None:
        """Raises Refusal where reports must come to a tag."""
        address = _parsed(given.address)
        if self._tags is None or address is None or address.local.casefold() == "postmaster":
            return
        if all(one.route == routing.TRAP for one in given.targets):
            return
        wish = await self._tags.required(address)
        if wish is None or self._clock.now() < wish.since + self._config.grace_days * _DAY:
            return
        raise Refusal(
            550,
            "5.7.1",
            f"Mail from {address.domain} has a tag in its envelope sender (BATV). This report was sent to an address"
            " without one and names no message from here: what it is about was forged",
            reason=f"BATV: a report to <{given.address}> without a tag",
        )

    async def _counted(self, strange: list[Given]) -> list[Reason]:
        """One more for each of them. Raises Refusal when it is one too many and they are not to come in."""
        if not self._config.hourly:
            return []
        now = self._clock.now()
        names = {await self._name(given): given.address for given in strange}
        await self._limits.tally([Tally(name=name, kind=KIND, window=HOUR) for name in names if name], now)
        found = []
        for name, shown in names.items():
            count = self._limits.sums(name, {KIND: HOUR}, now)[KIND] if name else 0
            if count > self._config.hourly:
                self._tell(name, shown, count)
                found.append(flooded(shown, count, self._config.score))
        if found and self._config.flood is not Flood.JUNK:
            later = self._config.flood is Flood.DEFER
            text = "Too many reports about mail that was not sent from here have come to this address"
            code = (451, "4.7.1", f"{text}, try again later") if later else (550, "5.7.1", text)
            raise Refusal(*code, reason=found[0].text)
        return found

    async def _name(self, given: Given) -> str:
        """Who gets it: the account, also behind a detail or a catch-all; else the address; "" for spam traps."""
        local = [one.address for one in given.targets if one.route == routing.LOCAL]
        if len(given.targets) != 1 or not local:
            return "" if all(one.route == routing.TRAP for one in given.targets) else given.address.casefold()
        return await routing.account_of(self._identity, local[0]) or given.address.casefold()

    def _tell(self, name: str, shown: str, count: int) -> None:
        """Once an hour for each address."""
        now = self._clock.monotonic()
        if now - self._told.get(name, -1e9) < HOUR:
            return
        self._told[name] = now
        self._told.move_to_end(name)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._event("bounces.flood", recipient=shown, reports=count, hourly=self._config.hourly)


async def named(content: Content) -> list[str]:
    """Message-IDs that a report names. Raises OSError."""
    if content.size > _IN_THREAD:
        return await asyncio.to_thread(returned_ids, content)
    return returned_ids(content)


def about_ours() -> Reason:
    """The reason that speaks for a report."""
    return Reason("REPORT", OURS, "it reports on a message that was sent from here")


def unknown(names: bool, points: float) -> Reason:
    """The reason that speaks against one. names: it names messages, but none of ours."""
    if names:
        return Reason("BACKSCATTER", points, "it reports on a message that was not sent from here")
    return Reason("BACKSCATTER", round(points / 2, 2), "it has the empty sender of a report, and reports on nothing")


def flooded(address: str, count: int, points: float) -> Reason:
    """The reason of one too many."""
    return Reason("BOUNCE_FLOOD", points, f"it is one of {count} such reports to {address} within an hour")


def _known(envelope: Envelope, given: Given) -> bool:
    """It came to an address that only our key makes."""
    address = _parsed(given.address)
    return address is not None and (address.key in envelope.tagged or is_return_address(address.local))


def _parsed(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except BadAddress:
        return None
