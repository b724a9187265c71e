"""Sends the reports of a past day, each once, whatever dies meanwhile.

Some time after midnight (UTC) the leader asks each maker (queue.daily) for the reports of days that are over and not
finished, a week back at most, and gives each to the queue as mail of a hosted domain of ours, signed with its key.
Why none leaves twice: a report is written down with its queue id before it is queued, and it may not leave before some
minutes later; after a crash the queue, and the events of its life, say whether that id ever came in.
Owns: when, and under whose name. Trusts: makers for contents and destinations.
Standards: RFC 9990 3.5.2 (the mail must pass DMARC), RFC 3834; a report about reports is never made: its bounces go to
an address that drops them, and mail to our report addresses is not counted.
On failure: an event, and another try at the next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.app.runfolder import Lock
from postroom.config import Config
from postroom.identity.records import reports_sender
from postroom.intake import trace
from postroom.intake.signing import Signer
from postroom.message import report_mail
from postroom.message.report_mail import ReportMail
from postroom.observe.log import Events
from postroom.queue.daily import DAY, DailyReport, ReportDay, ReportMaker, Submitter, Unsent
from postroom.queue.reports import Route
from postroom.store.api import (
    DomainRow,
    Entry,
    EventQuery,
    NewEntry,
    NewRecipient,
    QueueFilter,
    SentReport,
    Store,
    StoreError,
)
from postroom.values.address import Address, BadAddress
from postroom.values.clock import Clock
from postroom.values.content import Content
from postroom.values.refusal import Refusal

REPORTS_LOCK: Final = "reports.lock"
FIRST_SECONDS: Final = 60.0
TURN_SECONDS: Final = 600.0
MOST_DAYS: Final = 7
#: a day's reports begin to be made so long after its end, by chance, so that not all servers ask at midnight
_EARLIEST, _LATEST = 900.0, 4 * 3600.0
#: and each leaves by chance within so many seconds more, and not before the least: see why none leaves twice
_SOONEST, _SPREAD = 120.0, 3600.0

#: seconds until it is looked again whether reports can leave: a domain's first keys wait for the DNS
_NOT_YET = 3 * 3600.0

#: sends the attachment to an https URI; raises OSError
Post = Callable[[str, DailyReport], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyRooms:
    """What it works with. accept, new_id: of the queue; random: 0 to 1; route: where mail to an address goes."""

    store: Store
    accept: Callable[[NewEntry], Awaitable[Entry]]
    new_id: Callable[[], str]
    route: Route
    signer: Signer
    clock: Clock
    events: Events
    random: Callable[[], float]
    post: Post | None = None


class CannotReport(Exception):
    """No report can leave at all; the text says why."""


class DailyReports:
    """The loop, and each of its steps alone."""

    def __init__(
        self,
        rooms: Callable[[], DailyRooms],
        makers: Callable[[], Sequence[ReportMaker]],
        config: Callable[[], Config],
        lock: Lock,
    ) -> None:
        """rooms, makers, config: give those that are in force now."""
        self._rooms = rooms
        self._makers = makers
        self._config = config
        self._lock = lock
        self._after = 0.0
        self._later = 0.0  # no look before this time
        self._finished: set[tuple[str, str]] = set()
        self._asked: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def run(self) -> None:
        """Until cancelled."""
        self._after = _EARLIEST + self._rooms().random() * (_LATEST - _EARLIEST)
        pause = FIRST_SECONDS
        try:
            while True:
                await asyncio.sleep(pause)
                pause = TURN_SECONDS
                if self._config().reports.send and self._lock.take():
                    await self.turn()
        finally:
            if self._asked is not None:
                self._asked.cancel()
            self._lock.release()

    async def turn(self) -> None:
        """Whatever is due."""
        now = self._rooms().clock.now()
        today = ReportDay.of(now)
        for past in range(MOST_DAYS, 0, -1):
            day = today.before(past)
            if now >= max(day.begin + DAY + self._after, self._later) and not await self.send_day(day):
                self._later = now + _NOT_YET

    def send_now(self, day: ReportDay) -> bool:
        """Somebody asks for a day's reports to be sent now; False when another worker is to be asked, or is at it."""
        if (self._asked is not None and not self._asked.done()) or not self._lock.take():
            return False
        self._asked = asyncio.get_running_loop().create_task(self._send_asked(day))
        return True

    async def _send_asked(self, day: ReportDay) -> None:
        await self.send_day(day, again=True)

    async def settled(self) -> None:
        """Wait until what was asked for is done."""
        if self._asked is not None:
            await self._asked

    async def send_day(self, day: ReportDay, *, again: bool = False) -> bool:
        """All reports of a day that is over, those that have been sent left out; again: though it is finished.

        False when none can leave at all yet.
        """
        async with self._busy:
            for maker in self._makers():
                due = again or (maker.kind, day.name) not in self._finished
                if due and not await self._send_kind(maker, day, again):
                    return False
        return True

    async def _send_kind(self, maker: ReportMaker, day: ReportDay, again: bool) -> bool:
        rooms = self._rooms()
        sent = 0
        try:
            if again or not await rooms.store.reports.finished(maker.kind, day.name):
                who = await submitter(self._config(), rooms.store)
                async for report in maker.reports(day, who):
                    sent += await self._send(rooms, (maker.kind, day), report, who)
                await rooms.store.reports.finish(maker.kind, day.name)
                rooms.events("reports.finished", kind=maker.kind, day=day.name, reports=sent)
        except CannotReport as fault:
            rooms.events("reports.unsent", kind=maker.kind, day=day.name, domain="", reason=str(fault))
            return False
        except (StoreError, OSError) as fault:
            rooms.events("reports.failed", kind=maker.kind, day=day.name, reason=str(fault))
            return True
        self._finished = {one for one in self._finished if one[1] > day.before(MOST_DAYS).name}
        self._finished.add((maker.kind, day.name))
        return True

    async def _send(
        self, rooms: DailyRooms, of: tuple[str, ReportDay], report: DailyReport | Unsent, who: Submitter
    ) -> int:
        """Queue one report, and post it; how many ways it went."""
        kind, day = of
        if isinstance(report, Unsent):
            rooms.events("reports.unsent", kind=kind, day=day.name, domain=report.name, reason=report.reason)
            return 0
        count = int(bool(report.to) and await self._mail(rooms, of, report, who))
        for uri in report.post:
            count += await self._post(rooms, of, report, uri)
        return count

    async def _mail(self, rooms: DailyRooms, of: tuple[str, ReportDay], report: DailyReport, who: Submitter) -> bool:
        kind, day = of
        recipients = await _recipients(rooms.route, report.to)
        if not recipients:
            rooms.events(
                "reports.unsent", kind=kind, day=day.name, domain=report.name, reason="nobody of its addresses exists"
            )
            return False
        place = SentReport(kind=kind, day=day.name, name=report.name, entry=rooms.new_id(), at=self._leaving(rooms))
        if not await _reserved(rooms, place):
            return False
        entry = await self._entry(rooms, place, (report, recipients), who)
        await rooms.accept(entry)
        await rooms.store.reports.queued(place)
        rooms.events("reports.sent", kind=kind, day=day.name, domain=report.name, to=list(report.to), entry=entry.id)
        return True

    async def _post(self, rooms: DailyRooms, of: tuple[str, ReportDay], report: DailyReport, uri: str) -> bool:
        """RFC 8460 5.4: by HTTPS, tried once."""
        kind, day = of
        place = SentReport(kind=kind, day=day.name, name=f"{report.name} {uri}", entry="", at=rooms.clock.now())
        if rooms.post is None or await rooms.store.reports.reserve(place) is not None:
            return False
        try:
            await rooms.post(uri, report)
        except OSError as fault:
            rooms.events("reports.unsent", kind=kind, day=day.name, domain=report.name, reason=f"{uri}: {fault}")
            return False
        await rooms.store.reports.queued(place)
        rooms.events("reports.sent", kind=kind, day=day.name, domain=report.name, to=[uri], entry="")
        return True

    @staticmethod
    def _leaving(rooms: DailyRooms) -> float:
        return rooms.clock.now() + _SOONEST + rooms.random() * _SPREAD

    @staticmethod
    async def _entry(
        rooms: DailyRooms, place: SentReport, what: tuple[DailyReport, tuple[NewRecipient, ...]], who: Submitter
    ) -> NewEntry:
        """The report as signed mail. Raises CannotReport when nothing signs it."""
        report, recipients = what
        now = rooms.clock.now()
        sender = reports_sender(place.kind, who.domain)
        mail = ReportMail(
            from_name=who.org,
            from_address=sender,
            to=report.to,
            subject=report.subject,
            date=trace.date_time(now),
            message_id=f"{place.entry}@{who.domain}",
            boundary=f"report-{place.entry}",
            words=report.words,
            file=report.file,
            media_type=report.media_type,
            octets=report.octets,
            report_type=report.report_type,
            fields=report.fields,
        )
        head, rest = report_mail.header(mail), report_mail.body(mail)
        content = Content.of(head + b"\r\n" + rest)
        signed = await rooms.signer.fields(who.domain, head, content, len(head) + 2, now)
        if not signed:
            raise CannotReport(f"{who.domain} has no DKIM key that signs, and reports must be signed")
        return NewEntry(
            id=place.entry,
            sender=sender,
            recipients=recipients,
            content=content,
            received=now,
            trace=signed,
            release=place.at,
            proven=who.domain,
            tls=report.tls,
            told={"to": list(report.to), "message_id": mail.message_id},
        )


async def submitter(config: Config, store: Store) -> Submitter:
    """In whose name reports leave: the hosted domain that this server's name is in, else the oldest one.

    Raises CannotReport when no domain is hosted, StoreError.
    """
    hostname = config.server.hostname.lower()
    rows = [row for row in await store.directory.domains() if not row.disabled]
    if not rows:
        raise CannotReport("no domain is hosted here yet")
    ours = [row for row in rows if hostname == row.name or hostname.endswith(f".{row.name}")]
    row: DomainRow = max(ours, key=lambda one: len(one.name)) if ours else min(rows, key=lambda one: one.created)
    told = config.reports
    return Submitter(
        domain=row.name,
        org=told.org_name or row.name,
        contact=told.contact or f"postmaster@{row.name}",
        hostname=hostname,
    )


async def _reserved(rooms: DailyRooms, place: SentReport) -> bool:
    """May it be queued? Not when it was before, also when that was in the moment of a crash."""
    known = await rooms.store.reports.reserve(place)
    if known is None:
        return True
    if known.queued:
        return False
    if await _reached(rooms.store, known.entry):
        await rooms.store.reports.queued(known)
        return False
    await rooms.store.reports.release(known)
    return await rooms.store.reports.reserve(place) is None


async def _reached(store: Store, entry: str) -> bool:
    """Did this id ever come into the queue? It stays there for minutes, and its life is told when it leaves."""
    if await store.queue.entries(QueueFilter(ids=(entry,))):
        return True
    await store.events.flush()
    return bool(await store.events.find(EventQuery(word=entry, alone=False)))


async def _recipients(route: Route, addresses: Sequence[str]) -> tuple[NewRecipient, ...]:
    """Queue recipients; no report comes back about them (RFC 3461 4.1, NEVER)."""
    found: dict[str, NewRecipient] = {}
    for text in addresses:
        try:
            for one in await route(Address.parse(text)):
                found.setdefault(one.address, NewRecipient(address=one.address, route=one.route, notify="NEVER"))
        except BadAddress:
            continue
        except Refusal as fault:
            raise StoreError(str(fault)) from fault
    return tuple(found.values())
