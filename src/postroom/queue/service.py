"""The queue: mail is ours from here on, until every recipient has it or the sender knows that it has not.

Owns: queue records; nobody else writes them. Which recipient is being worked on lives in memory only: after a crash
everything that waits is taken up again, and delivery by (queue id, recipient) makes that harmless.
Trusts: entries were checked by intake. Content is never looked into here (bounces quote it as it is).
Standards: RFC 5321 4.2.5 (after 250 the message is ours), 4.5.4 (retries), 6.1 (never bounce a bounce); RFC 3461.
On failure: StoreUnavailable from `accept`; anything later is tried again, and is an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from postroom.queue.outcome import Kind, Outcome
from postroom.queue.reports import Reports, wanted
from postroom.queue.schedule import Schedule
from postroom.queue.shares import Shares
from postroom.store.api import (
    Attempt,
    Entry,
    NewEntry,
    NotFound,
    Place,
    QueueStore,
    Recipient,
    RecipientState,
    StoreError,
)
from postroom.values.clock import Clock
from postroom.values.refusal import Refusal

#: tries of a recipient that are remembered in words
MOST_ATTEMPTS = 10
_BATCH = 100  # entries read from the store at once
_STRETCH = 20 * _BATCH  # entries looked at before other work has its turn
_REST = 20.0  # how much longer than a fruitless look the pause after it is
_AFTER_FAULT = 5.0  # seconds until the store is asked again when it could not answer
_LOOK_AGAIN = 15.0  # seconds at most between two looks into the store while something is being worked on

Consumer = Callable[[Entry, Sequence[Recipient]], None]


class Event(Protocol):
    """Where lives of messages are told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


@dataclass(slots=True)
class _Route:
    """Who takes the recipients of a route, and how much of it is under way."""

    consumer: Consumer
    shares: Shares


class Queue:
    """The queue of this worker's slot."""

    def __init__(
        self,
        store: QueueStore,
        ids: Callable[[], str],
        schedule: Schedule,
        clock: Clock,
        reports: Reports,
        event: Event,
    ) -> None:
        self._store = store
        self.new_id = ids
        self.schedule = schedule
        self._clock = clock
        self._reports = reports
        self._event = event
        self._routes: dict[str, _Route] = {}
        self._silent: frozenset[str] = frozenset()
        self._flying: dict[str, int] = {}  # entry id -> bits of the recipients that are being worked on
        self._gone: dict[str, int] = {}  # recipients relayed whose record could not be written
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._next: float | None = None  # earliest retry known to us
        self._place: Place | None = None  # how far what is due has been looked at; None: all of it
        self._stopping = False
        #: told what came of each recipient of mail that one of our accounts has sent; must not raise
        self.watch: Callable[[Entry, Sequence[Outcome]], Awaitable[None]] = _unwatched

    def subscribe(self, route: str, consumer: Consumer, *, silent: bool = False) -> None:
        """Give the recipients of a route ("local", "remote") to `consumer(entry, recipients)`, on the event loop.

        It is called right after the entry is durable and again at each retry; it must not raise, must not block,
        and must answer every recipient once, by `settle` or `give_back`. A second call for a route (a reload) takes
        the place of the first; what the first consumer has, it still answers.
        silent: what goes this way is no mail; only what goes wrong with it is told.
        """
        if silent:
            self._silent |= {route}
        known = self._routes.get(route)
        if known is None:
            self._routes[route] = _Route(consumer, Shares())
        else:
            known.consumer = consumer

    async def accept(self, entry: NewEntry) -> Entry:
        """Keep the entry; it survives power loss when this returns. Raises StoreUnavailable."""
        self._flying[entry.id] = -1  # run() may see it in the store before we do
        try:
            kept = await self._store.accept(entry)
        finally:
            del self._flying[entry.id]
            if not self._flying:
                self._idle.set()
        if entry.recipients[0].route not in self._silent:
            self._event(
                "message.accepted",
                queue_id=entry.id,
                sender=entry.sender,
                recipients=len(entry.recipients),
                size=kept.size,
                peer=entry.peer,
                **(entry.told or {}),
            )
        if kept.release > kept.received and kept.release > self._clock.now():
            self._at(kept.release)
        else:
            self._dispatch(kept, None)
        return kept

    # the work of others

    async def settle(self, entry: Entry, outcomes: Sequence[Outcome]) -> None:
        """Write down what came of recipients given to a consumer; reports to the sender leave from here.

        Reports are accepted before the failure is written, so a crash between the two repeats a report and never
        loses one. Local deliveries are written with the next commit that comes along; what happened outside is
        durable before the recipient can be tried again.
        """
        now = self._clock.now()
        results: list[Recipient] = []
        told: list[tuple[str, Outcome]] = []
        lazy = True
        for outcome in outcomes:
            result, report = self._result(entry, outcome, now)
            results.append(result)
            if report:
                told.append((report, outcome))
            lazy = lazy and not report and outcome.recipient.route == "local"
        if entry.account and not lazy:
            await self.watch(entry, outcomes)
        try:
            if told:
                await self._report(entry, told)
            if lazy:
                self._store.finish(entry.id, results)
            else:
                await self._store.update(entry.id, results)
        except (StoreError, Refusal, OSError) as fault:
            self._unwritten(entry, results, str(fault))
        finally:
            self._landed(entry, [outcome.recipient for outcome in outcomes])

    def _unwritten(self, entry: Entry, results: Sequence[Recipient], reason: str) -> None:
        """The store still says "waiting". What has left us must not leave twice; the rest is tried again."""
        self._event("queue.unwritten", queue_id=entry.id, reason=reason)
        gone = [result for result in results if result.state is RecipientState.DELIVERED]
        if gone:
            self._gone[entry.id] = self._gone.get(entry.id, 0) | _bits(gone)
            self._store.finish(entry.id, gone)
        self._at(self._clock.now() + _AFTER_FAULT)

    def give_back(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """The consumer stops and has not begun with these recipients: they are handed out again, to whoever is next."""
        self._landed(entry, recipients)
        self._at(self._clock.now() + _AFTER_FAULT)

    def _landed(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """These recipients are not being worked on any more."""
        before = self._flying.get(entry.id, 0)
        bits = before & ~_bits(recipients)
        alone = len(entry.recipients) == 1
        for name, route in self._routes.items():
            if alone:
                last = bits != before and entry.recipients[0].route == name
            else:
                last = bool(_mask(recipients, name) & before) and not bits & _mask(entry.recipients, name)
            if last and route.shares.leave(entry):
                self._wake.set()
        if bits:
            self._flying[entry.id] = bits
        elif self._flying.pop(entry.id, None) is not None and not self._flying:
            self._idle.set()

    def _result(self, entry: Entry, outcome: Outcome, now: float) -> tuple[Recipient, str]:
        """The recipient's new record, and the kind of report its sender gets, "" for none."""
        recipient, kind = outcome.recipient, outcome.kind
        line = f"{outcome.remote} said: {outcome.reply}" if outcome.remote else outcome.reply
        if kind is Kind.DEFERRED and not self.schedule.expired(now, entry.since):
            return self._deferred(entry, outcome, line, now)
        if kind is Kind.DEFERRED:
            name, state, report = "message.expired", RecipientState.BOUNCED, "failed"
        elif kind is Kind.FAILED:
            name, state, report = "message.failed", RecipientState.BOUNCED, "failed"
        else:
            name, state, report = f"message.{kind}", RecipientState.DELIVERED, kind
        attempts = recipient.attempts + 1
        if state is not RecipientState.DELIVERED or recipient.route not in self._silent:
            self._event(
                name,
                queue_id=entry.id,
                recipient=recipient.address,
                status=outcome.status,
                reply=line,
                attempts=attempts,
                **_place(outcome),
            )
        done = Recipient(  # not `replace`, which takes ten times as long
            index=recipient.index,
            address=recipient.address,
            route=recipient.route,
            orcpt=recipient.orcpt,
            notify=recipient.notify,
            state=state,
            attempts=attempts,
            last_reply=line,
            delay_told=recipient.delay_told,
            forwarder=recipient.forwarder,
            nexthop=recipient.nexthop,
            history=recipient.history,
        )
        return done, report if not outcome.reported and wanted(recipient, report) else ""

    def _deferred(self, entry: Entry, outcome: Outcome, line: str, now: float) -> tuple[Recipient, str]:
        schedule, recipient = self.schedule, outcome.recipient
        attempts = recipient.attempts + 1
        at = schedule.next_try(now, entry.since, attempts, local=recipient.route == "local")
        self._event(
            "message.deferred",
            queue_id=entry.id,
            recipient=recipient.address,
            status=outcome.status,
            reply=line,
            attempts=attempts,
            next_try=at,
            **_place(outcome),
        )
        self._at(at)
        late = not recipient.delay_told and schedule.late(now, entry.since)
        waiting = replace(
            recipient,
            attempts=attempts,
            next_try=at,
            last_reply=line,
            delay_told=recipient.delay_told or late,
            history=(*recipient.history[1 - MOST_ATTEMPTS :], Attempt(now, outcome.status, line, outcome.cause)),
        )
        return waiting, "delayed" if late and wanted(recipient, "delayed") else ""

    async def _report(self, entry: Entry, told: list[tuple[str, Outcome]]) -> None:
        """Accept a report to the sender for each kind of news."""
        for kind in dict.fromkeys(kind for kind, _ in told):
            outcomes = [outcome for each, outcome in told if each == kind]
            if not entry.sender:
                # RFC 5321 6.1: no report about a report. Its event is all that remains of it.
                self._event("report.dropped", queue_id=entry.id, reason=f"{kind}, but it has no sender")
                continue
            until = entry.since + self.schedule.lifetime
            report = await self._reports.report(self.new_id(), entry, kind, outcomes, until)
            if report is None:
                self._event("report.dropped", queue_id=entry.id, reason=f"{kind}, but the sender is unknown here")
            else:
                await self.accept(report)
                self._event("report.sent", queue_id=entry.id, recipient=entry.sender, kind=kind, report=report.id)

    # work to be done

    def _dispatch(self, entry: Entry, now: float | None) -> bool:
        """Hand an entry's recipients to their consumers; now=None: all that wait. True when there was anything."""
        if self._stopping:
            return False
        flying = self._flying.get(entry.id, 0) | self._gone.get(entry.id, 0)
        if len(entry.recipients) == 1 and now is None and not flying:
            return self._hand_alone(entry, entry.recipients[0])
        wanted_by: dict[str, list[Recipient]] = {}
        for recipient in entry.recipients:
            if (
                recipient.state is RecipientState.WAITING
                and not flying >> recipient.index & 1
                and (now is None or recipient.next_try <= now)
            ):
                wanted_by.setdefault(recipient.route, []).append(recipient)
        started = False
        for name, recipients in wanted_by.items():
            route = self._routes.get(name)
            if route is None:
                continue
            busy = flying & _mask(entry.recipients, name)
            if not busy and not route.shares.has_room(entry):
                route.shares.behind = True
                continue
            whole = self._whole(entry)
            if whole is None:
                return started
            entry = whole
            if not busy:
                route.shares.enter(entry)
            flying |= _mask(recipients, name)
            self._flying[entry.id] = flying
            self._idle.clear()
            route.consumer(entry, recipients)
            flying = self._flying.get(entry.id, 0)  # a consumer may have given it back at once
            started = started or bool(flying & _mask(recipients, name))
        return started

    def _hand_alone(self, entry: Entry, recipient: Recipient) -> bool:
        """The one recipient of an entry that has just come: nearly all mail."""
        route = self._routes.get(recipient.route)
        if route is None or recipient.state is not RecipientState.WAITING:
            return False
        if not route.shares.has_room(entry):
            route.shares.behind = True
            return False
        route.shares.enter(entry)
        self._flying[entry.id] = 1 << recipient.index
        self._idle.clear()
        route.consumer(entry, entry.recipients)
        return entry.id in self._flying

    def _whole(self, entry: Entry) -> Entry | None:
        """With its octets: one that comes from a look has none. None when they cannot be had now."""
        if entry.content.path or entry.content.size == entry.size:
            return entry
        try:
            return self._store.load(entry)
        except NotFound:
            return None  # a command has dropped it just now
        except StoreError as fault:
            self._event("queue.unreadable", queue_id=entry.id, reason=str(fault))
            self._at(self._clock.now() + _AFTER_FAULT)
            return None

    def poke(self) -> None:
        """Look at the store again: a command changed something, or what was missing is there."""
        self._place = None
        self._wake.set()

    async def run(self) -> None:
        """Take up what is due, at the start and whenever a retry comes due, until `stop`."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            self._wake.clear()
            timer = loop.call_later(await self._take_due(), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    async def _take_due(self) -> float:
        """Hand out what is due; seconds until the next look.

        A look goes on where the last one stopped: what found no room is passed by, so that it hides nothing behind it.
        """
        now, began = self._clock.now(), self._clock.monotonic()
        if self._next is not None and self._next <= now:
            self._next = None
        try:
            started = await self._look(now)
            if self._place is not None:  # there is more
                return 0.0 if started else max(_REST * (self._clock.monotonic() - began), 0.01)
            stored = await self._store.next_due()
        except StoreError as fault:
            self._event("queue.unreadable", reason=str(fault))
            return _AFTER_FAULT
        # what is being worked on still counts as due in the store, so its time says nothing then
        times = [at for at in (stored, self._next) if at is not None and at > now]
        at = min(times, default=now + 3600.0)
        if self._flying:
            at = min(at, now + _LOOK_AGAIN)
        return max(at - now, 0.0)

    async def _look(self, now: float) -> bool:
        """Look at a stretch of what is due; True when something was handed out. Raises StoreError."""
        started = False
        for _ in range(0, _STRETCH, _BATCH):
            page, self._place = await self._store.look(now, _BATCH, self._place)
            for entry in page:
                started = self._dispatch(entry, now) or started
            if self._place is None:
                break
            await asyncio.sleep(0)
        return started

    def _at(self, moment: float) -> None:
        """A retry is planned: be awake then."""
        if self._next is None or moment < self._next:
            self._next = moment
            self._wake.set()

    async def stop(self) -> None:
        """Hand out nothing more and wait until everything handed out is answered.

        The consumers stop at the same time (asyncio.gather, this one first): they give back what has not begun.
        """
        self._stopping = True
        self._wake.set()
        await self._idle.wait()


def _place(outcome: Outcome) -> dict[str, object]:
    """Where it went, for its event."""
    if outcome.uid:
        known: dict[str, object] = {"mailbox": outcome.mailbox, "uid": outcome.uid, "message": outcome.message}
        return {**known, "login": outcome.login} if outcome.login else known
    told: dict[str, object] = {"remote": outcome.remote} if outcome.remote else {}
    if outcome.via:
        told["via"] = outcome.via
    if outcome.cause:
        told["cause"] = outcome.cause
    return told


async def _unwatched(_entry: Entry, _outcomes: Sequence[Outcome]) -> None:
    """Nobody wants to know."""


def _mask(recipients: Sequence[Recipient], route: str) -> int:
    mask = 0
    for recipient in recipients:
        if recipient.route == route:
            mask |= 1 << recipient.index
    return mask


def _bits(recipients: Sequence[Recipient]) -> int:
    bits = 0
    for recipient in recipients:
        bits |= 1 << recipient.index
    return bits
