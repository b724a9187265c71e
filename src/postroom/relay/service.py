"""Relay: what the queue holds for other domains goes to the configured smart host.

Owns: the connections to it, at most `relay.connections`, each used for message after message and closed when there is
nothing to do. Results go back to the queue by recipient; the schedule is the queue's.
Trusts: the queue's envelopes. The smart host may be hostile, slow or gone.
Standards: RFC 5321 3.6.2, 4.5.3.2, 4.5.4; RFC 6409 (the smart host is usually a submission server).
On failure: Outcomes, always. A smart host that cannot be used defers what waits for it, and
never makes mail bounce early.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from postroom.config import Config, TlsMode
from postroom.net.link import Link, LinkOptions
from postroom.net.tls import ClientTls, client_context
from postroom.net.wheel import Wheel
from postroom.queue.outcome import Kind, Outcome
from postroom.relay import job as jobs
from postroom.relay.connection import Connection
from postroom.relay.job import Job
from postroom.store.api import Entry, Recipient
from postroom.wire.smtp.client import ClientSession
from postroom.wire.smtp.client_types import ClientOptions, Finished, Reply

_CONNECT = 60.0  # seconds for the connection to stand
_IDLE = 10.0  # seconds a connection waits for another message


class Queue(Protocol):
    """What relay tells the queue."""

    async def settle(self, entry: Entry, outcomes: Sequence[Outcome]) -> None: ...
    def give_back(self, entry: Entry, recipients: Sequence[Recipient]) -> None: ...


class Event(Protocol):
    """Where lives of messages are told."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


class Relay:
    """Sends this worker's remote mail. Give `take` to the queue as the consumer of the remote route."""

    def __init__(  # noqa: PLR0913
        self,
        queue: Queue,
        config: Config,
        wheel: Wheel,
        event: Event,
        *,
        password: str = "",
        authorities: str | None = None,
        idle: float = _IDLE,
    ) -> None:
        """password: of relay.user; authorities: PEM file to verify the smart host by, None for the system's."""
        self._queue = queue
        self._event = event
        self._relay = config.relay
        self._idle_seconds = idle
        relay = config.relay
        tls = None
        if relay.host and relay.tls is not TlsMode.NONE:
            tls = ClientTls(client_context(relay.verify, authorities), relay.host)
        self._tls = tls
        self._link_options = LinkOptions(wheel=wheel, tls=tls)
        self._client_options = ClientOptions(
            hostname=config.server.hostname,
            starttls="required" if relay.tls is TlsMode.STARTTLS else "never",
            login=relay.user,
            password=password,
            plaintext_auth=relay.tls is TlsMode.NONE,
        )
        self._pending: deque[Job] = deque()
        self._couriers: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[Job | None]] = deque()
        self._stopping = False

    def take(self, entry: Entry, recipients: Sequence[Recipient]) -> None:
        """Recipients of an entry to send now."""
        self._add(Job(entry, tuple(recipients)))

    def _add(self, job: Job) -> None:
        if self._stopping:
            self._queue.give_back(job.entry, job.recipients)
            return
        while self._idle:
            waiting = self._idle.popleft()
            if not waiting.done():
                waiting.set_result(job)
                return
        self._pending.append(job)
        if len(self._couriers) < self._relay.connections:
            self._start()

    def _start(self) -> None:
        courier = self._courier() if self._relay.host else self._without_route()
        task = asyncio.get_running_loop().create_task(courier)
        self._couriers.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._couriers.discard(task)
        if self._pending:  # it came after the courier had looked for more
            self._start()

    @property
    def busy(self) -> bool:
        """True while a connection stands or something waits to be sent."""
        return bool(self._couriers or self._pending)

    async def stop(self) -> None:
        """Finish what is being sent; what has not begun stays in the queue."""
        self._stopping = True
        while self._pending:
            job = self._pending.popleft()
            self._queue.give_back(job.entry, job.recipients)
        while self._idle:
            waiting = self._idle.popleft()
            if not waiting.done():
                waiting.set_result(None)
        await asyncio.gather(*self._couriers, return_exceptions=True)

    async def _without_route(self) -> None:
        """No smart host: the mail waits, and says why."""
        while self._pending:
            job = self._pending.popleft()
            outcomes = [
                Outcome(
                    recipient=each,
                    kind=Kind.DEFERRED,
                    status="4.4.4",
                    reply=f"no route to {each.address.rpartition('@')[2]}: no smart host is configured (relay.host); "
                    "direct delivery is not part of this version",
                )
                for each in job.recipients
            ]
            await self._queue.settle(job.entry, outcomes)

    # one connection

    async def _courier(self) -> None:
        """Send job after job over one connection, opened when there is one."""
        connection: Connection | None = None
        try:
            while (job := await self._next_job(connection)) is not None:
                try:
                    connection = await self._handle(job, connection)
                except Exception as fault:  # accepted mail is never lost for a fault of ours
                    self._event("relay.fault", queue_id=job.entry.id, reason=repr(fault))
                    reply = Reply(451, "4.3.0", "Sending failed for a reason of our own", local=True)
                    await self._queue.settle(job.entry, jobs.deferred(job.recipients, reply, ""))
        finally:
            if connection is not None:
                connection.close()

    async def _next_job(self, connection: Connection | None) -> Job | None:
        """The next job; None when there was none for a while."""
        if self._pending:
            return self._pending.popleft()
        if connection is None or not connection.usable or self._stopping:
            return None
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Job | None] = loop.create_future()
        self._idle.append(waiting)
        timer = loop.call_later(self._idle_seconds, _give_up, waiting)
        try:
            return await waiting
        finally:
            timer.cancel()
            if waiting in self._idle:
                self._idle.remove(waiting)

    async def _handle(self, job: Job, connection: Connection | None) -> Connection | None:
        """Send one job; the connection to go on with."""
        if connection is not None and not connection.usable:
            connection.close()
            connection = None
        if connection is None:
            opened = await self._open()
            if isinstance(opened, Reply):
                await self._defer_all(job, opened)
                return None
            connection = opened
        try:
            return await self._send(job, connection)
        except BaseException:
            connection.close()
            raise

    async def _send(self, job: Job, connection: Connection) -> Connection | None:
        fresh = connection.messages == 0
        message, unfit = jobs.outgoing(job, connection.capabilities)
        if unfit:
            await self._queue.settle(job.entry, jobs.refused_for_utf8(unfit))
            job = Job(job.entry, tuple(each for each in job.recipients if each.address.isascii()))
            if not job.recipients:
                return connection
        finished = await connection.send(message, job.entry.content)
        if not fresh and not connection.usable and _unheard(finished):
            # a connection that was kept open had gone away meanwhile; nothing of the message was taken
            connection.close()
            return await self._handle(job, None)
        await self._settle(job, finished, "DSN" in connection.capabilities)
        return connection

    async def _settle(self, job: Job, finished: Finished, reports: bool) -> None:
        pairs, again = jobs.split(job, finished.results)
        host = self._relay.host
        outcomes = [jobs.outcome(each, result.reply, result.stage, host, reports=reports) for each, result in pairs]
        await self._queue.settle(job.entry, outcomes)
        if again:
            self._add(Job(job.entry, again))

    async def _defer_all(self, job: Job, reply: Reply) -> None:
        """The smart host cannot be used: what waits for it now need not find out one by one."""
        host = self._relay.host
        self._event("relay.unusable", host=host, reply=str(reply))
        waiting = [job, *self._pending]
        self._pending.clear()
        for each in waiting:
            await self._queue.settle(each.entry, jobs.deferred(each.recipients, reply, host))

    async def _open(self) -> Connection | Reply:
        """A session that is ready for mail, or why there is none."""
        relay, tls = self._relay, self._tls
        implicit = relay.tls is TlsMode.IMPLICIT
        session = ClientSession(self._client_options, secure=implicit)
        made: list[Connection] = []

        def driver(link: Link) -> Connection:
            made.append(Connection(link, session))
            return made[0]

        try:
            async with asyncio.timeout(_CONNECT):
                await asyncio.get_running_loop().create_connection(
                    lambda: Link(driver, self._link_options),
                    relay.host,
                    relay.port,
                    ssl=tls.context() if implicit and tls else None,
                    server_hostname=relay.host if implicit else None,
                )
        except socket.gaierror as fault:
            return _local("4.4.3", f"{relay.host} cannot be found: {fault.strerror}")
        except TimeoutError:
            return _local("4.4.1", f"{relay.host} port {relay.port} does not answer")
        except OSError as fault:
            return _local("4.4.1", f"{relay.host} port {relay.port} cannot be reached: {fault.strerror or fault}")
        failed = await made[0].opened()
        if failed is None:
            return made[0]
        made[0].close()
        return failed.reply


def _local(enhanced: str, text: str) -> Reply:
    return Reply(451, enhanced, text, local=True)


def _give_up(waiting: asyncio.Future[Job | None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _unheard(finished: Finished) -> bool:
    """True when the connection was lost before the text was complete, so that the message can be sent again."""
    return all(result.reply.code == 421 and result.stage != "end" for result in finished.results)
