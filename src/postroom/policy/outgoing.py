"""How much of our own people's mail may leave: limits per hosted domain and per account, and frozen accounts.

Asked at MAIL (may the account send at all?), at RCPT (would one more recipient pass a limit?), and when the message is
complete: then it is counted, in one transaction that is exact among all workers. Recipients inside are free.
Owns: which limits hold for whom. Trusts: the login and the addresses were checked before.
Standards: RFC 5321 4.2.3 (450 for reasons of policy), RFC 5248 2.4 (X.7.1).
On failure: Refusal 450 4.7.1 with the limit and its end; 550 5.7.1 when the account is frozen; StoreUnavailable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from postroom.config import Sending
from postroom.policy import words
from postroom.policy.words import Notice
from postroom.store.api import AccountRow, Charge, Demand, DirectoryStore, LimitsStore, Per, Taken, Used
from postroom.store.api.limits import SIGN
from postroom.values.clock import Clock
from postroom.values.refusal import Refusal

HOUR: Final = 3600
DAY: Final = 86400
#: seconds within which many first-time recipients are a sign of theft
BURST: Final = 600

#: tells of an event: its name and fields
Event = Callable[..., None]


class Watcher(Protocol):
    """Who looks for signs of theft (policy.suspicion)."""

    def sent(self, account: AccountRow) -> None: ...
    def denied(self, account: AccountRow) -> None: ...
    def foreign(self, account: AccountRow) -> None: ...


class Nobody:
    """Looks for nothing."""

    def sent(self, account: AccountRow) -> None: ...
    def denied(self, account: AccountRow) -> None: ...
    def foreign(self, account: AccountRow) -> None: ...


@dataclass(slots=True)
class Draft:
    """What an unfinished message asks for. domain: of its sender, hosted here or not; account: None without login."""

    account: AccountRow | None
    domain: str
    outside: dict[str, None] = field(default_factory=dict)  # recipients in other domains, as keys
    fresh: int = 0  # of them, those never written to
    before: tuple[Used, ...] = ()  # what was used when the first of them was named

    @property
    def login(self) -> str:
        """Who sends; "" without a login."""
        return self.account.login if self.account is not None else ""

    def name(self, charge: Charge) -> str:
        """Whose limit that is, for people."""
        return self.login if self.account is not None and charge.name == self.account.id else charge.name


class Outgoing:
    """The limits on outgoing mail of one worker; the counts are everybody's."""

    __slots__ = ("_clock", "_directory", "_event", "_post", "_sending", "_store", "_watcher")

    def __init__(
        self,
        sending: Sending,
        stores: tuple[LimitsStore, DirectoryStore],
        clock: Clock,
        event: Event,
        post: Callable[[Notice], None],
        watcher: Watcher | None = None,
    ) -> None:
        """post: sends a mail of the server's own; watcher: told of what may be signs of theft."""
        self._watcher = watcher or Nobody()
        self._sending = sending
        self._store, self._directory = stores
        self._clock = clock
        self._event = event
        self._post = post

    def check(self, account: AccountRow) -> None:
        """May this account send anything? A few us. Raises Refusal 550 5.7.1 when it is frozen."""
        frozen = self._store.rules().frozen.get(account.id)
        if frozen is not None:
            raise Refusal(550, "5.7.1", words.frozen_text(frozen.reasons), reason=f"{account.login} is frozen")

    async def add(self, draft: Draft, recipients: Sequence[str]) -> None:
        """One RCPT stands for these recipients in other domains. Raises Refusal 450 4.7.1; the draft is as before then.

        What others send meanwhile is not looked at here: `take` does.
        """
        new = [each for each in recipients if each not in draft.outside]
        if not new:
            return
        now = self._clock.now()
        if not draft.outside:
            charges = await self._charges(draft, now)
            draft.before = tuple([self._store.used(charge, now) for charge in charges if charge.limit])
        fresh = draft.fresh + (len(self._store.fresh(draft.account.id, new)) if draft.account is not None else 0)
        wanted = {Per.MESSAGE: 1, Per.RECIPIENT: len(draft.outside) + len(new), Per.NEW: fresh}
        for used in draft.before:
            limit = used.charge.limit
            if used.used + wanted[used.charge.per] > limit and wanted[used.charge.per]:
                raise self._refusal(draft, self._store.used(used.charge, now, wanted[used.charge.per]), now)
        draft.fresh = fresh
        draft.outside.update(dict.fromkeys(new))

    async def take(self, draft: Draft, message_id: str = "") -> Taken | None:
        """The message is complete: count it, and know answers to it by its Message-ID (without brackets).

        None when nothing of it leaves. Raises Refusal 450 4.7.1.
        """
        if not draft.outside:
            return None
        now = self._clock.now()
        account = draft.account.id if draft.account is not None else ""
        charges = await self._charges(draft, now)
        if not account and not charges:  # a machine that may relay, for a domain that is not ours
            return None
        demand = Demand(account=account, recipients=tuple(draft.outside), charges=charges, message_id=message_id)
        answer = await self._store.take(demand, now)
        if isinstance(answer, Used):
            raise self._refusal(draft, answer, now)
        for used in answer.near:
            self._tell_near(draft, used)
        if answer.fresh and draft.account is not None:
            self._watcher.sent(draft.account)
        return answer

    async def automatic(self, account: AccountRow, recipients: Sequence[str], message_id: str = "") -> Taken | None:
        """Count mail that a filter of the account sends to these recipients in other domains; None when there are none.

        It counts like what the account writes itself, but who it goes to is nobody the account has written to, and
        answers to it are no answers to the account; reports on it are about mail of ours, by its Message-ID.
        Raises Refusal 550 5.7.1 when the account is frozen, 450 4.7.1 above a limit; StoreUnavailable.
        """
        if not recipients:
            return None
        self.check(account)
        draft = Draft(account=account, domain=account.login.rpartition("@")[2], outside=dict.fromkeys(recipients))
        now = self._clock.now()
        charges = tuple([each for each in await self._charges(draft, now) if each.per is not Per.NEW])
        demand = Demand(account="", recipients=tuple(draft.outside), charges=charges, message_id=message_id)
        answer = await self._store.take(demand, now)
        if isinstance(answer, Used):
            raise self._above(draft, answer, now)
        for used in answer.near:
            self._tell_near(draft, used)
        return answer

    def foreign(self, account: AccountRow) -> None:
        """The account tried to send under an address that is not its own."""
        self._watcher.foreign(account)

    async def give_back(self, taken: Taken) -> None:
        """The message was not accepted after all."""
        await self._store.give_back(taken)

    async def _charges(self, draft: Draft, now: float) -> tuple[Charge, ...]:
        """What counts for this sender; what the administrator has lifted does not."""
        row = await self._directory.domain(draft.domain)
        charges = domain_charges(self._sending, row.name, row.hourly_messages) if row is not None else ()
        if draft.account is not None:
            burst = Charge(name=draft.account.id, kind=SIGN + "new", per=Per.NEW, limit=0, window=BURST)
            charges += (*account_charges(self._sending, draft.account), burst)
        lifts = self._store.rules().lifts
        if not lifts:
            return charges
        return tuple([each for each in charges if each.name not in lifts or lifts[each.name].until <= now])

    def _refusal(self, draft: Draft, used: Used, now: float) -> Refusal:
        if draft.account is not None:
            self._watcher.denied(draft.account)
        return self._above(draft, used, now)

    def _above(self, draft: Draft, used: Used, now: float) -> Refusal:
        name = draft.name(used.charge)
        self._event("limit.reached", name=name, login=draft.login, limit=used.charge.limit, kind=used.charge.kind)
        retry_in = max(used.frees - now, 1.0) if math.isfinite(used.frees) else 0.0
        return Refusal(450, "4.7.1", words.refusal(used, name, now), retry_in=retry_in)

    def _tell_near(self, draft: Draft, used: Used) -> None:
        name = draft.name(used.charge)
        self._event(
            "limit.near",
            name=name,
            login=draft.login,
            limit=used.charge.limit,
            kind=used.charge.kind,
            used=used.used,
        )
        self._post(words.near(used, name, draft.login or f"postmaster@{draft.domain}"))


def domain_charges(sending: Sending, name: str, own: int = -1) -> tuple[Charge, ...]:
    """The limits of a hosted domain. own: its own limit, -1 for the configured one."""
    limit = sending.domain_messages_per_hour if own < 0 else own
    return (
        Charge(name=name, kind="messages", per=Per.MESSAGE, limit=limit, window=HOUR, warn=sending.warn_percent / 100),
    )


def account_charges(sending: Sending, row: AccountRow) -> tuple[Charge, ...]:
    """The limits of an account."""
    rules = (
        ("messages", Per.MESSAGE, sending.account_messages_per_day, row.daily_messages),
        ("recipients", Per.RECIPIENT, sending.account_recipients_per_day, row.daily_recipients),
        ("new", Per.NEW, sending.account_new_recipients_per_day, row.daily_new),
    )
    warn = sending.warn_percent / 100
    return tuple(
        [
            Charge(name=row.id, kind=kind, per=per, limit=limit if own < 0 else own, window=DAY, warn=warn)
            for kind, per, limit, own in rules
        ]
    )
