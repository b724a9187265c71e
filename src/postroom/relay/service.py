"""Relay: what the queue holds for other domains goes out, and the answers go back to the queue.

Owns: the outgoing connections, at most its share of `relay.connections`; who works on which destination. Each
destination has as many connections as its pace allows, each used for message after message; destinations take turns,
and within one the senders do. The schedule of retries is the queue's.
Trusts: the queue's envelopes. Every server may be hostile, slow or gone.
Standards: RFC 5321 3.6.2, 4.5.3.2, 4.5.4, 5.1.
On failure: Outcomes, always. A server that cannot be used defers what waits for it, without trying each message.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from postroom.config import Config
from postroom.queue.outcome import Kind, Outcome
from postroom.relay import job as jobs
from postroom.relay.attempt import Unopened
from postroom.relay.classify import Cause, is_hard
from postroom.relay.connection import Connection, unheard
from postroom.relay.destination import Destination, share
from postroom.relay.dial import Dialer, Means
from postroom.relay.fitting import Misfit, fit
from postroom.relay.flight import Flying
from postroom.relay.job import Job
from postroom.relay.pool import Pool
from postroom.relay.routes import Nexthop, Routes
from postroom.relay.senders import Senders
from postroom.relay.sources import Origin, Sources
from postroom.store.api import Entry, Recipient, StoreError, Suppression
from postroom.values.address import Address, BadAddress
from postroom.wire.smtp.client_types import Finished, Reply, Result

#: recipients of one transaction towards a server that does not say how many it takes (RFC 5321 4.5.3.1.8)
MOST_RECIPIENTS = 100
#: messages a courier sends before it makes room for another destination that waits for a connection
STINT = 20
#: seconds after which a connection is closed between two messages, however busy it is
LONGEST = 300.0
#: servers that are asked about a message at a time, when they turn it away for now; as Postfix does
MOST_SERVERS = 2
_MOST_KNOWN = 10_000  # destinations remembered
#: seconds after which a job that is still under way is its server's fault, and leaves its place to another
SLOW = 20.0
_LOOK_FOR_SLOW = 5.0


class Queue(Protocol):
    """What relay tells the queue."""

    async def settle(self, entry: Entry, outcomes: Sequence[Outcome]) -> None: ...
    def give_back(self, entry: Entry, recipients: Sequence[Recipient]) -> None: ...


class Relay:
    """Sends this worker's remote mail. Give `take` to the queue as the consumer of the remote route."""

    def __init__(self, queue: Queue, config: Config, means: Means) -> None:
        self._queue = queue
        self._means = means
        self._suppressions = means.suppressions
        self._event = means.event
        self._clock = means.clock
        self._senders = Senders(means.srs, means.tags, config.limits.relay_networks, means.clock)
        self._relay = config.relay
        self._routes = Routes(config, means.passwords)
        self._sources = Sources(config)
        self._most = share(config.relay.connections, means.workers)
        self._pool = Pool(self._most, means.idle, self._worn)
        self._dialer = Dialer(means, config, self._pool)
        self._known: dict[str, Destination] = {}
        self._most_known = _MOST_KNOWN
        self._ready: deque[Destination] = deque()
        self._couriers: set[asyncio.Task[None]] = set()
        self._opening: set[asyncio.Task[Any]] = set()  # those of them that have no connection yet
        self._begun: dict[asyncio.Task[Any] | None, float] = {}  # when a courier's job began
        self._slow: set[asyncio.Task[Any] | None] = set()  # those that were seen to wait for slow servers
        self._looker: asyncio.TimerHandle | None = None
        self._stopping = False

    # what comes in

    def take(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """Recipients of an entry to send now."""
        if self._stopping:
            self._queue.give_back(entry, recipients)
            return
        try:
            stale = self._senders.stale
        except StoreError:
            stale = False  # as it was known before
        if stale:
            self._run(self._take_fresh(entry, recipients))
        else:
            self._take(entry, recipients)

    async def _take_fresh(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """What domains want has changed."""
        with contextlib.suppress(StoreError):
            await self._senders.refresh()
        self._take(entry, recipients)

    def _take(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        groups: dict[tuple[str, str, str], list[Recipient]] = {}
        for recipient in recipients:
            domain = recipient.address.rpartition("@")[2].lower()
            groups.setdefault((domain, recipient.nexthop, recipient.forwarder), []).append(recipient)
        need = "" if entry.tls == "required" and not entry.sender else entry.tls  # RFC 8689 5: a report goes anyhow
        together: dict[tuple[str, str], tuple[Destination, list[Recipient]]] = {}
        for (domain, place, forwarder), some in groups.items():
            hop = self._routes.to(place, domain) if place else self._routes.find(domain)
            if hop is None:
                self._run(self._without_route(entry, some))
                continue
            sender = self._senders.of(entry, forwarder)
            destination = self._destination(hop, self._sources.of(sender), need)
            together.setdefault((destination.key, sender), (destination, []))[1].extend(some)
        for (_, sender), (destination, some) in together.items():
            for start in range(0, len(some), MOST_RECIPIENTS):
                self._add(destination, Job(entry, tuple(some[start : start + MOST_RECIPIENTS]), sender))

    def _destination(self, hop: Nexthop, origin: Origin, need: str) -> Destination:
        key = f"{hop.key} {origin.ipv4} {origin.ipv6} {origin.hostname} {need}"
        destination = self._known.get(key)
        if destination is None:
            self._forget_some()
            destination = self._known[key] = Destination(key, hop, origin, need, self._means.workers)
        return destination

    def _add(self, destination: Destination, job: Job) -> None:
        destination.lanes.add(job.lane, job, bulk=job.entry.bulk)
        self._list(destination)
        self._dispatch()

    def _list(self, destination: Destination) -> None:
        """Let the destination wait for a courier, if there is work for one."""
        if not destination.listed and destination.wants_courier:
            destination.listed = True
            self._ready.append(destination)

    def _dispatch(self) -> None:
        """Start couriers while there are connections to be had; destinations take turns."""
        while self._ready and self._taken < self._most:
            destination = self._ready.popleft()
            destination.listed = False
            if destination.wants_courier and self._has_turn(destination):
                destination.couriers += 1
                self._run(self._courier(destination, destination.lanes.take()))
                self._list(destination)

        if self._ready and self._looker is None:
            self._looker = asyncio.get_running_loop().call_later(_LOOK_FOR_SLOW, self._look_for_slow)

    @property
    def _taken(self) -> int:
        """Couriers that count."""
        return len(self._couriers) - min(len(self._slow), self._most)

    def _look_for_slow(self) -> None:
        """Mail waits for connections: those that hang at servers without an answer do not count, up to as many again.

        Else a few dozen letters to servers that keep us waiting, for the hour that RFC 5321 4.5.3.2 has us bear it,
        would hold up everybody's mail.
        """
        self._looker, before = None, self._clock.monotonic() - SLOW
        self._slow = {task for task, began in self._begun.items() if began < before}
        if self._ready and not self._stopping:
            self._dispatch()

    def _has_turn(self, destination: Destination) -> bool:
        """True when a message may begin there now; else it is looked at again when one may."""
        wait = destination.pace.turn(self._clock.monotonic())
        if wait and destination.timer is None:
            destination.timer = asyncio.get_running_loop().call_later(wait, self._resume, destination)
        return not wait

    def _resume(self, destination: Destination) -> None:
        if destination.timer is not None:
            destination.timer.cancel()
            destination.timer = None
        if not self._stopping:
            self._list(destination)
            self._dispatch()

    def _run(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._couriers.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._couriers.discard(task)
        if not self._stopping:
            self._dispatch()

    def _forget_some(self) -> None:
        """Destinations without work go when there are many; how they fared is learned anew."""
        if len(self._known) < self._most_known:
            return
        now = self._clock.monotonic()
        kept = {key: one for key, one in self._known.items() if one.busy or one.pace.until > now}
        if len(kept) >= _MOST_KNOWN:
            kept = {key: one for key, one in kept.items() if one.busy}
        self._known = kept
        self._most_known = max(_MOST_KNOWN, 2 * len(kept))

    def retry_now(self) -> None:
        """Somebody asked for mail to be tried: destinations that are left alone are tried too."""
        for destination in self._known.values():
            destination.pace.forgive()
            self._resume(destination)

    @property
    def busy(self) -> bool:
        """True while something is sent or waits to be sent."""
        return bool(self._couriers or self._ready)

    async def stop(self) -> None:
        """Finish what is being sent; what has not begun stays in the queue."""
        self._stopping = True
        if self._looker is not None:
            self._looker.cancel()
        self._ready.clear()
        self._give_back()
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._couriers, return_exceptions=True)
        self._give_back()  # what a courier could not finish
        self._pool.close()

    def _give_back(self) -> None:
        for destination in self._known.values():
            self._resume(destination)
            for job in destination.lanes.drain():
                self._queue.give_back(job.entry, job.recipients)

    async def _without_route(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """No way out: the mail waits, and says why."""
        outcomes = [
            Outcome(
                recipient=each,
                kind=Kind.DEFERRED,
                status="4.4.4",
                reply=f"no route to {each.address.rpartition('@')[2]}: there is no smart host (relay.host), "
                "and delivery by MX is off (relay.direct)",
            )
            for each in recipients
        ]
        await self._queue.settle(entry, outcomes)

    # a courier: one destination, one connection, message after message

    async def _courier(self, destination: Destination, job: Job | None) -> None:
        connection: Connection | None = None
        task, sent = asyncio.current_task(), 0
        try:
            while job is not None:
                self._begun[task] = self._clock.monotonic()
                self._slow.discard(task)
                try:
                    connection = await self._handle(destination, job, connection)
                except Exception as fault:  # accepted mail is never lost for a fault of ours
                    connection = None
                    self._event("relay.fault", queue_id=job.entry.id, reason=repr(fault))
                    reply = Reply(451, "4.3.0", "Sending failed for a reason of our own", local=True)
                    await self._queue.settle(job.entry, jobs.unopened(job.recipients, reply, ""))
                sent += 1
                job = self._next(destination, sent)
        finally:
            destination.couriers -= 1
            self._begun.pop(task, None)
            self._slow.discard(task)
            if connection is not None:
                self._put_away(destination, connection)
            if not self._stopping:
                self._list(destination)

    def _next(self, destination: Destination, sent: int) -> Job | None:
        """The next job of this courier; None when it is to end."""
        if self._stopping or not destination.lanes or destination.couriers > destination.pace.window:
            return None
        if sent >= STINT and self._ready and self._taken >= self._most:
            return None  # others wait for a connection
        return destination.lanes.take() if self._has_turn(destination) else None

    def _put_away(self, destination: Destination, connection: Connection, key: str = "") -> None:
        if self._stopping:
            connection.close()
        else:
            self._pool.put(key or destination.key, connection)

    def _worn(self, connection: Connection) -> bool:
        """True when a connection has done its share."""
        most = min(self._relay.messages_per_connection, connection.most_messages or 1_000_000)
        return (
            not connection.usable or connection.messages >= most or self._clock.monotonic() - connection.born > LONGEST
        )

    async def _handle(self, destination: Destination, job: Job, connection: Connection | None) -> Connection | None:
        """Send one job; the connection to go on with."""
        if connection is not None and self._worn(connection):
            connection.close()
            connection = None
        if connection is None:
            opened = await self._open_for(destination, job)
            if opened is None:
                return None
            if isinstance(opened, Unopened):
                await self._unopened(destination, job, opened)
                return None
            connection = opened
        destination.standing += 1
        try:
            finished = await self._send(destination, job, connection)
        except BaseException:
            connection.abort()
            raise
        finally:
            destination.standing -= 1
        if finished is None:  # it had gone away; nothing of the message was taken
            connection.close()
            return await self._handle(destination, job, None)
        return connection

    async def _open_for(self, destination: Destination, job: Job) -> Connection | Unopened | None:
        """None when we are stopped before there is a connection: the job is given back."""
        task = asyncio.current_task()
        assert task is not None
        self._opening.add(task)
        try:
            return await self._open(destination)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            self._queue.give_back(job.entry, job.recipients)
            return None
        finally:
            self._opening.discard(task)

    async def _open(self, destination: Destination) -> Connection | Unopened:
        if destination.failure is not None and destination.pace.until > self._clock.monotonic():
            return destination.failure
        known = self._pool.for_destination(destination.key)
        if known is not None:
            return known
        if len(self._couriers) + len(self._pool) > self._most:
            self._pool.drop_oldest()
        return await self._dialer.open(destination.hop, destination.origin, destination.need)

    async def _unopened(self, destination: Destination, job: Job, why: Unopened) -> None:
        """No connection: what waits there now need not find out one by one."""
        now = self._clock.monotonic()
        hopeless = why.reply.local and why.reply.code >= 500
        if destination.couriers > 1 and not hopeless:  # others are there, or may get there: it lets no more in
            destination.pace.crowded(destination.standing)
            destination.lanes.put_back(job.lane, job, bulk=job.entry.bulk)
            return
        if destination.pace.until <= now and not hopeless:
            destination.failure = why
            pause = destination.pace.failed(now)
            host = why.host or destination.hop.place
            self._event("relay.unusable", host=host, reply=str(why.reply), pause=pause)
        for each in (job, *destination.lanes.drain()):
            await self._queue.settle(each.entry, jobs.unopened(each.recipients, why.reply, why.host))

    async def _send(self, destination: Destination, job: Job, connection: Connection) -> Finished | None:
        """Send and settle; None when the connection was gone before anything was said."""
        fresh = connection.messages == 0
        try:
            content, body = await fit(job.entry, connection.capabilities)
        except Misfit as fault:
            await self._queue.settle(job.entry, jobs.refused(job.recipients, fault.reply))
            return Finished(())
        resign = self._means.resign
        if resign is not None and content is not job.entry.content and job.entry.account:
            content = await resign(content, self._clock.now())
        message, unfit = jobs.outgoing(job, connection.capabilities, content, body)
        if unfit:
            await self._queue.settle(job.entry, jobs.refused_for_utf8(unfit))
            job = Job(job.entry, tuple(each for each in job.recipients if each.address.isascii()), job.sender)
            if not job.recipients:
                return Finished(())
        flight = Flying(self._means.flights, job, connection.endpoint.host)
        finished = await connection.send(message, content, flight.ending)
        sent = await self._sent(destination, job, connection, (finished, flight, fresh))
        flight.over()  # not when we are cut off: then the record must stay
        return sent

    async def _sent(
        self, destination: Destination, job: Job, connection: Connection, what: tuple[Finished, Flying, bool]
    ) -> Finished | None:
        """Settle a transaction; None when the connection was gone before anything was said."""
        finished, flight, fresh = what
        if not connection.usable:
            if not fresh and all(unheard(each.reply, each.stage) for each in finished.results):
                return None
            destination.pace.hindered()
        else:
            destination.pace.succeeded()
            if destination.lanes:
                self._list(destination)
                self._dispatch()
        flight.answered(finished)
        if jobs.turned_away(finished.results) and await self._elsewhere(destination, job, connection, finished):
            return finished
        if any(each.stage == "end" and each.reply.local and each.reply.code == 421 for each in finished.results):
            addresses = [each.address for each in job.recipients]
            host = connection.endpoint.host
            why = finished.results[0].reply.text
            self._event("relay.maybe_doubled", queue_id=job.entry.id, recipients=addresses, host=host, reason=why)
        await self._settle(destination, job, connection, finished)
        return finished

    async def _elsewhere(self, destination: Destination, job: Job, connection: Connection, finished: Finished) -> bool:
        """RFC 5321 5.1: the next server may take what this one turned away for now. True: that has been settled."""
        at = connection.endpoint
        avoid = job.tried | {at.address}
        if len(avoid) >= MOST_SERVERS or self._stopping:
            return False
        other = await self._dialer.open(destination.hop, destination.origin, destination.need, avoid)
        if isinstance(other, Unopened):
            return False
        self._event(
            "relay.elsewhere",
            queue_id=job.entry.id,
            host=at.host,
            reply=str(finished.results[0].reply),
            next=other.endpoint.host,
        )
        try:
            sent = await self._send(destination, Job(job.entry, job.recipients, job.sender, avoid), other)
        except BaseException:
            other.abort()
            raise
        self._put_away(destination, other, f"{destination.key} after {at.host}")
        return sent is not None

    async def _settle(self, destination: Destination, job: Job, connection: Connection, finished: Finished) -> None:
        pairs, again = jobs.split(job, finished.results)
        at = connection.endpoint
        reports = "DSN" in connection.capabilities
        via = f"[{at.address}]:{at.port} {connection.tls or 'in the clear'}"
        if connection.tls and at.policy:
            via += f", {at.policy}"
        outcomes = [jobs.outcome(each, result, at.host, reports=reports, via=via) for each, result in pairs]
        if again:
            rest = Job(job.entry, again, job.sender)
            destination.lanes.put_back(rest.lane, rest, bulk=job.entry.bulk)
        await self._queue.settle(job.entry, outcomes)
        if any(outcome.kind is Kind.FAILED for outcome in outcomes):
            await self._suppress(job, [(one, result) for one, (_, result) in zip(outcomes, pairs, strict=True)])

    async def _suppress(self, job: Job, told: list[tuple[Outcome, Result]]) -> None:
        """Nothing more is sent for a while to an address that its server calls unknown."""
        if self._suppressions is None or not self._relay.suppress_days:
            return
        now = self._means.clock.now()
        until = now + self._relay.suppress_days * 86400.0
        for outcome, result in told:
            if result.reply.local or not is_hard(Cause(outcome.cause or "other"), result.reply.code, result.stage):
                continue
            address = outcome.recipient.address
            one = Suppression(address=_key(address), since=now, until=until, reason=str(result.reply)[:500])
            try:
                await self._suppressions.suppress(one)
            except StoreError as fault:
                self._event("relay.fault", queue_id=job.entry.id, reason=str(fault))
                return
            self._event("relay.suppressed", queue_id=job.entry.id, recipient=address, reply=one.reason, until=until)


def _key(address: str) -> str:
    try:
        return Address.parse(address).key
    except BadAddress:
        return address.casefold()
