"""Does an account behave as if it were stolen? Signs are counted, weighed, and told in plain words; enough freeze it.

No sign alone means much: people go on journeys, clubs write to new members, and lists hold old addresses. So the signs
that honest people show are capped below the freezing score, and what happens with recipients that the account has
known for longer than a day says nothing about theft. Each sign gives 50 points at its threshold and more above it.
Owns: the weights. The counts lie in the store, beside the limits. Trusts: results come from the queue.
Standards: RFC 3463 3.2 and 3.8 (X.1 addressing, X.7 policy).
On failure: an event; a store that cannot be read freezes nobody.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from postroom.config import Config, Sending
from postroom.policy import words
from postroom.policy.countries import Countries
from postroom.policy.networks import Networks, region
from postroom.policy.outgoing import BURST, DAY, HOUR, Event
from postroom.policy.words import Notice
from postroom.store.api import AccountRow, Freeze, LimitsStore, StoreError, Tally
from postroom.store.api.limits import SIGN
from postroom.values.clock import Clock

#: kinds that are counted, and the seconds they are looked at
WINDOWS: Final = {
    SIGN + "results": DAY,  # of all recipients outside
    SIGN + "tried": DAY,  # of recipients that were new
    SIGN + "unknown": DAY,  # of those, the ones that do not exist
    SIGN + "spam": DAY,  # refused by their servers as spam or abuse
    SIGN + "new": BURST,  # first-time recipients
    SIGN + "denied": DAY,  # refused here for a sending limit
    SIGN + "foreign": HOUR,  # attempts to send as somebody else
    SIGN + "flagged": HOUR,  # messages that our own filter takes for spam
}
_AT_THRESHOLD: Final = 50.0
#: the most a sign alone can give; what honest people may do stays below the freezing score
_CAPS: Final = {
    "unknown": 100, "spam": 100, "new": 40, "denied": 30, "foreign": 50, "flagged": 60, "networks": 40, "countries": 50,
}  # fmt: skip
_DENIED: Final = 20
#: what a country is called among the places of log-ins
_COUNTRY: Final = "country "
#: the same of an app password, before its id and the service it was used for
USED: Final = "app-password "
_USED_SECONDS: Final = 300.0
_SPAM_PERCENT: Final = 10
_SPAM_WORDS: Final = re.compile(
    r"\b(?:spam|unsolicited|phish\w*|abus\w*|blocked|block ?list\w*|black ?list\w*|reputation|virus|malware)\b",
    re.IGNORECASE,
)
_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Sign:
    """Something that speaks for theft."""

    points: float
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a recipient outside. failed: for good; first: it was the first try; status: RFC 3463."""

    recipient: str
    failed: bool
    status: str
    reply: str
    first: bool = True


class Suspicion:
    """Signs of one worker's accounts; the counts are everybody's."""

    __slots__ = (
        "_clock",
        "_countries",
        "_event",
        "_hold",
        "_placed",
        "_post",
        "_sending",
        "_store",
        "_tasks",
        "_trusted",
    )

    def __init__(
        self,
        config: Config,
        store: LimitsStore,
        clock: Clock,
        event: Event,
        post: Callable[[Notice], None],
        hold: Callable[[str], Awaitable[int]],
    ) -> None:
        """post: sends a mail of the server's own; hold: keeps an account's waiting mail, and gives its number."""
        self._sending = config.sending
        self._trusted = Networks((*config.limits.trusted_networks, "127.0.0.0/8", "::1/128"))
        self._store = store
        self._clock = clock
        self._event = event
        self._post = post
        self._hold = hold
        self._countries = Countries(config.sending.country_file, clock.monotonic)
        self._placed: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    # what is told

    def entered(self, account: AccountRow, ip: str) -> None:
        """A login from there. Cheap for places seen within the hour."""
        if self._trusted.contains(ip):
            return
        key, now = (account.id, region(ip)), self._clock.monotonic()
        if 0 <= now - self._placed.get(key, -1e9) < HOUR:
            return
        self._remember(key, now)
        self._soon(self._place(account, key[1], ip))

    def used(self, account: AccountRow, told: str) -> None:
        """An app password opened something; told: its id and the service. Kept with the places, some minutes exact."""
        key, now = (account.id, USED + told), self._clock.monotonic()
        if 0 <= now - self._placed.get(key, -1e9) < _USED_SECONDS:
            return
        self._remember(key, now)
        self._soon(self._use(account.id, key[1]))

    async def _use(self, account: str, told: str) -> None:
        await self._store.place(account, told, self._clock.now())

    def _remember(self, key: tuple[str, str], now: float) -> None:
        self._placed[key] = now
        self._placed.move_to_end(key)
        if len(self._placed) > _REMEMBERED:
            self._placed.popitem(last=False)

    async def _place(self, account: AccountRow, network: str, ip: str) -> None:
        now = self._clock.now()
        new = await self._store.place(account.id, network, now)
        country = self._countries.of(ip)
        if self._countries.fault:
            self._event("limit.fault", login=account.login, reason=self._countries.fault)
        if country and await self._store.place(account.id, _COUNTRY + country, now):
            new = True
        if new:
            await self._weigh(account)

    def sent(self, account: AccountRow) -> None:
        """A message to new recipients was counted."""
        kind = SIGN + "new"
        try:
            new = self._store.sums(account.id, {kind: BURST}, self._clock.now())[kind]
        except StoreError as fault:
            self._event("limit.fault", login=account.login, reason=str(fault))
            return
        if new >= self._sending.new_recipients_burst:
            self._soon(self._weigh(account))

    def denied(self, account: AccountRow) -> None:
        """A sending limit was reached."""
        self._count(account, "denied")

    def foreign(self, account: AccountRow) -> None:
        """It tried to send as somebody else."""
        self._count(account, "foreign")

    def flagged(self, account: AccountRow) -> None:
        """It sent what our own filter takes for spam."""
        self._count(account, "flagged")

    def result(self, account: AccountRow, result: Result) -> None:
        """What came of a recipient outside."""
        kinds = ["results"] if result.first else []
        now = self._clock.now()
        try:
            written = self._store.written(account.id, result.recipient)
        except StoreError as fault:
            self._event("limit.fault", login=account.login, reason=str(fault))
            return
        new = written is None or written > now - DAY
        kinds += ["tried"] if new and (result.failed or not result.status.startswith("4")) else []
        kinds += ["unknown"] if new and result.failed and result.status.startswith("5.1.") else []
        kinds += ["spam"] if is_spam(result) else []
        bad = "unknown" in kinds or "spam" in kinds
        if bad:
            self._count(account, *kinds)
        elif kinds:
            self._store.note(_tallies(account.id, kinds), now)

    def _count(self, account: AccountRow, *kinds: str) -> None:
        async def count() -> None:
            await self._store.tally(_tallies(account.id, kinds), self._clock.now())
            await self._weigh(account)

        self._soon(count())

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StoreError as fault:
            self._event("limit.fault", login="", reason=str(fault))

    async def settled(self) -> None:
        """Wait until everything told is counted and weighed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    # what it means

    async def _weigh(self, account: AccountRow) -> None:
        """Freeze the account if the signs are enough."""
        now = self._clock.now()
        rules = self._store.rules()
        lift = rules.lifts.get(account.id)
        if account.id in rules.frozen or not self._sending.freeze_score or (lift is not None and lift.until > now):
            return
        signs = signs_of(self._store, self._sending, account.id, now)
        score = round(sum(sign.points for sign in signs))
        if score < self._sending.freeze_score:
            return
        reasons = tuple([sign.reason for sign in signs])
        if not await self._store.freeze(Freeze(account=account.id, since=now, score=score, reasons=reasons)):
            return  # another worker was first
        held = await self._hold(account.id)
        self._event("account.frozen", login=account.login, score=score, reason="; ".join(reasons), held=held)
        self._post(words.frozen(account.login, reasons, held))


def signs_of(store: LimitsStore, sending: Sending, account: str, now: float) -> list[Sign]:
    """What speaks for theft now, the strongest first. account: id. Raises StoreUnavailable."""
    counts = {kind.removeprefix(SIGN): count for kind, count in store.sums(account, WINDOWS, now).items()}
    found = [
        *_result_signs(counts, sending),
        *_own_signs(counts, sending),
        *_place_signs(store.places(account), sending, now),
    ]
    return sorted(found, key=lambda sign: -sign.points)


def _own_signs(counts: dict[str, int], sending: Sending) -> list[Sign]:
    told = (
        ("new", sending.new_recipients_burst, "{} recipients it has never written to, within ten minutes"),
        ("denied", _DENIED, "{} recipients beyond a sending limit within a day"),
        ("foreign", sending.foreign_senders, "{} attempts to send under another address within an hour"),
        ("flagged", sending.flagged_messages, "{} messages within an hour that look like spam"),
    )
    return [
        Sign(_points(counts[kind], threshold, kind), text.format(counts[kind]))
        for kind, threshold, text in told
        if counts[kind] >= threshold > 0
    ]


def _place_signs(places: list[tuple[str, float, float]], sending: Sending, now: float) -> list[Sign]:
    """Networks and countries never seen before; not of an account that is new itself."""
    networks = [(place, first) for place, first, _ in places if not place.startswith((_COUNTRY, USED))]
    countries = [(place.removeprefix(_COUNTRY), first) for place, first, _ in places if place.startswith(_COUNTRY)]
    found = []
    for kind, there, threshold, window, words_ in (
        ("networks", networks, sending.new_networks, HOUR, "networks never seen before, within an hour"),
        ("countries", countries, sending.new_countries, DAY, "countries never seen before, within a day"),
    ):
        fresh = [place for place, first in there if first > now - window]
        if 0 < threshold <= len(fresh) and len(fresh) < len(there):
            text = f"log-ins from {len(fresh)} {words_}: {', '.join(fresh[:8])}"
            found.append(Sign(_points(len(fresh), threshold, kind), text))
    return found


def _result_signs(counts: dict[str, int], sending: Sending) -> list[Sign]:
    """What the results of a day say."""
    found = []
    tried, unknown = counts["tried"], counts["unknown"]
    share = 100 * unknown / tried if tried else 0.0
    if sending.bounce_percent and tried >= sending.bounce_least and share >= sending.bounce_percent:
        text = f"{unknown} of {tried} recipients it wrote to for the first time do not exist"
        found.append(Sign(_points(share, sending.bounce_percent, "unknown"), text))
    results, spam = counts["results"], counts["spam"]
    if 0 < sending.spam_refusals <= spam and spam * 100 >= results * _SPAM_PERCENT:
        text = f"{spam} of {results} messages were refused by other servers as spam or abuse"
        found.append(Sign(_points(spam, sending.spam_refusals, "spam"), text))
    return found


def is_spam(result: Result) -> bool:
    """Did the other server refuse it as spam or abuse? A delay counts once."""
    if not result.failed and not (result.first and result.status.startswith("4")):
        return False
    return result.status[1:4] == ".7." and bool(_SPAM_WORDS.search(result.reply))


def _points(value: float, threshold: float, kind: str) -> float:
    return min(_AT_THRESHOLD * value / threshold, float(_CAPS[kind]))


def _tallies(account: str, kinds: list[str] | tuple[str, ...]) -> list[Tally]:
    return [Tally(name=account, kind=SIGN + kind, window=WINDOWS[SIGN + kind]) for kind in kinds]
