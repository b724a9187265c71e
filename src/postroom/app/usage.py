"""Looks at what accounts hold, some seconds after they changed: for the sum of a domain, and to warn.

Each worker looks at the accounts that its own commits changed, each once in five seconds however often it changed, so
that a delivery costs one entry in a set. One worker, the one that keeps house, looks at those that nobody has looked
at for a day, so that nothing is wrong for longer.
Who is told: the user at each threshold of `mailboxes.quota_warn`, the administrator of the domain besides from
`quota_warn_admin` on, once for each crossing; of a domain's own quota its administrator alone.
On failure: told as an event, and looked at again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from postroom.config import Config, Mailboxes
from postroom.policy import room_words
from postroom.policy.allowance import Allowance, Allowances, configured
from postroom.policy.words import Notice
from postroom.store.api import Feed, Held, Hint, NotFound, Seen, Store, StoreError
from postroom.values.clock import Clock

LOOK_SECONDS: Final = 5.0
DAY: Final = 86400.0
#: accounts that are looked at before others have their turn, and in one turn of housekeeping at least
_AT_ONCE: Final = 50


class UsageWatch:
    """Of one worker."""

    __slots__ = ("_changed", "_clock", "_config", "_event", "_feed", "_forward", "_post", "_store")

    def __init__(
        self,
        store: Store,
        clock: Clock,
        event: Callable[..., None],
        post: Callable[[Notice], None],
        config: Callable[[], Config],
    ) -> None:
        """config: gives what is in force; post: sends a mail of the server's own."""
        self._store = store
        self._clock = clock
        self._event = event
        self._post = post
        self._config = config
        self._changed: set[str] = set()
        self._feed: Feed = store.feed
        self._forward = store.feed.forward

    def listen(self) -> None:
        """From now on hints of this process's commits pass through here on their way to the other workers."""
        self._forward = self._feed.forward
        self._feed.forward = self.forward

    def forward(self, hint: Hint) -> None:
        """Remember the account, and pass the hint on."""
        self._changed.add(hint.account)
        self._forward(hint)

    def changed(self, account: str) -> None:
        """A command changed the account."""
        self._changed.add(account)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """At what changed."""
        waiting, self._changed = self._changed, set()
        await self._look_at(waiting)

    async def look_at_old(self) -> None:
        """At those that nobody has looked at for a day: a share of them each hour, all that are not known yet."""
        try:
            now = self._clock.now()
            rows = await self._store.directory.accounts()
            known = {one.account: one.at for one in self._store.usage.all()}
        except StoreError as fault:
            self._event("usage.unread", login="", reason=str(fault))
            return
        new = [row.id for row in rows if row.id not in known]
        old = sorted((known[row.id], row.id) for row in rows if known.get(row.id, now) <= now - DAY)
        share = max(len(rows) // 20, _AT_ONCE)
        await self._look_at([*new, *[account for _, account in old[:share]]])

    async def _look_at(self, accounts: Iterable[str]) -> None:
        boxes = self._config().mailboxes
        allowances = Allowances(self._store.directory, configured(boxes))
        seen: list[Seen] = []
        domains: dict[str, Allowance] = {}
        for account in accounts:
            one = await self._seen(account, allowances, domains)
            if one is not None:
                seen.append(one)
            if len(seen) >= _AT_ONCE:
                await self._keep(seen, boxes)
                seen = []
                await asyncio.sleep(0)
        if seen:
            await self._keep(seen, boxes)
        for domain, may in domains.items():
            await self._check_domain(domain, may, boxes)

    async def _seen(self, account: str, allowances: Allowances, domains: dict[str, Allowance]) -> Seen | None:
        try:
            row = await self._store.directory.account(account)
            if row is None:
                return None
            usage = await (await self._store.account(account)).usage()
            may = await allowances.of(row)
        except NotFound:
            return None
        except StoreError as fault:
            self._changed.add(account)
            self._event("usage.unread", login=account, reason=str(fault))
            return None
        if may.domain_limited:
            domains[may.domain] = may
        return Seen(
            account=account,
            domain=row.login.rpartition("@")[2],
            octets=usage.octets,
            messages=usage.messages,
            percent=percent(usage.octets, may.octets, usage.messages, may.messages),
        )

    async def _keep(self, seen: Sequence[Seen], boxes: Mailboxes) -> None:
        try:
            told = await self._store.usage.note(seen, boxes.quota_warn, self._clock.now())
            for held in told:
                await self._warn(held, boxes)
        except StoreError as fault:
            self._changed.update(one.account for one in seen)
            self._event("usage.unread", login="", reason=str(fault))

    async def _warn(self, held: Held, boxes: Mailboxes) -> None:
        row = await self._store.directory.account(held.account)
        if row is None:
            return
        may = await Allowances(self._store.directory, configured(boxes)).of(row)
        self._event("quota.near", login=row.login, percent=held.percent, octets=held.octets, messages=held.messages)
        to_admin = held.warned >= boxes.quota_warn_admin
        self._post(room_words.account(row.login, held, may, boxes.when_full.value, to_admin=to_admin))

    async def _check_domain(self, domain: str, may: Allowance, boxes: Mailboxes) -> None:
        try:
            held = self._store.usage.domain(domain)
            share = percent(held.octets, may.domain_octets, held.messages, may.domain_messages)
            step = await self._store.usage.note_domain(domain, share, boxes.quota_warn)
        except StoreError as fault:
            self._event("usage.unread", login=domain, reason=str(fault))
            return
        if step:
            self._event("quota.domain_near", domain=domain, percent=share, octets=held.octets, messages=held.messages)
            self._post(room_words.domain(domain, share, held, may))


def percent(octets: int, most_octets: int, messages: int, most_messages: int) -> int:
    """How much is used of the limit that is used most; 0 without any."""
    shares = [used * 100 // most for used, most in ((octets, most_octets), (messages, most_messages)) if most]
    return max(shares, default=0)
