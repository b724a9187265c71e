"""One worker: wires the rooms together on one event loop and serves until it is told to stop.

Owns: everything of this process; its queue slot. Built once; at a reload the supervisor sends the new configuration,
with sockets for what is to be listened on besides. New connections get new services of it; the store, the queue and
the sessions that stand go on.
On failure: what cannot start ends the process with a non-zero status, and the supervisor tries again. A configuration
that cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from postroom.app.daily import DailyReports
from postroom.app.digests import quarantine_work
from postroom.app.housekeeping import Housekeeping
from postroom.app.index_hints import IndexHints
from postroom.app.listening import Listening
from postroom.app.mesh import Mesh
from postroom.app.outside import settle_flights
from postroom.app.plan import Order, Plan, receive
from postroom.app.publish import Publisher
from postroom.app.quarantine import Releases
from postroom.app.reporters import daily_reports
from postroom.app.rooms import Core, build_core
from postroom.app.runfolder import RunFolder
from postroom.app.services import Services, build_services
from postroom.app.usage import UsageWatch
from postroom.app.web import kinds
from postroom.app.webhooks import WebhookCaller, WebhookWriter
from postroom.config import Config, Listener
from postroom.config import Protocol as Spoken
from postroom.identity.hashing import run_hashing
from postroom.net.link import Driver, Link
from postroom.net.listen import ListenError
from postroom.net.tls import CertificateError
from postroom.net.wheel import Wheel
from postroom.observe.alarms import ENDED_BY, is_alarm, watch
from postroom.observe.catalogue import CATALOGUE, KEPT
from postroom.observe.log import Events
from postroom.observe.webhooks import WATCHED
from postroom.policy.conduct import Offence
from postroom.queue.daily import ReportDay
from postroom.store.api import Hint

#: events that are no alarm and end none
_ORDINARY = KEPT - ENDED_BY.keys() - {name for name in KEPT if is_alarm(name)}


def run_worker(plan: Plan, slot: int, ready: Callable[[], None]) -> int:
    """The process of one worker; gives its exit status."""
    plan.keep_only(slot)
    work_in_batches()
    return run_loop(plan.config, Worker(plan, slot).run(ready))


def work_in_batches() -> None:
    """Ask the scheduler not to let threads of this process push others aside the moment they wake up (SCHED_BATCH).

    A turn of the loop and a group commit then serve what has gathered, instead of being cut by each other; measured in
    docs/performance.md. Threads started later are treated the same. Where there is no such policy, nothing changes.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def hash_passwords(plan: Plan, ready: Callable[[], None]) -> int:
    """The hashing process; it holds no listening socket."""
    plan.keep_only(None)
    ready()
    run_hashing([theirs for _, theirs in plan.hashing], plan.config.passwords, orders=plan.orders[-1][1])
    return 0


def run_loop(config: Config, work: Coroutine[Any, Any, int]) -> int:
    """Run on the configured event loop."""
    if config.server.event_loop == "uvloop":
        try:
            import uvloop
        except ImportError:
            pass  # not every platform has it; everything works without, only slower
        else:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(work)
    return asyncio.run(work)


class Worker:
    """The life of one worker."""

    def __init__(self, plan: Plan, slot: int) -> None:
        self._plan = plan
        self._slot = slot
        self._config = plan.config
        self._started = time.time()
        self._events = Events(plan.config.log.level, plan.config.log.file, process=f"worker {slot}")
        self._wheel = Wheel()
        self._listening = Listening(self._wheel, self._driver_maker, self._connection_failed, self._barred)
        self._stop = asyncio.Event()
        self._order = plan.number  # the newest that was heard of
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._teller: asyncio.Task[None] | None = None
        self._core: Core
        self._services: Services
        self._mesh: Mesh
        self._daily: DailyReports
        self._releases: Releases
        self._hooks: WebhookWriter | None = None
        self._hints: IndexHints | None = None
        self._usage: UsageWatch | None = None

    async def run(self, ready: Callable[[], None]) -> int:
        """Serve until SIGTERM; gives the exit status."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        self._events.wait_with(loop.call_later)
        self._core = build_core(self._plan, self._slot, self._events, self._wheel)
        self._core.store.events.lost = lambda count, reason: self._events("events.lost", count=count, reason=reason)
        self._events.keep_with(self._keep)
        self._services = build_services(self._core, self._config)
        self._services.attach(self._core)
        if self._slot == 0:
            await self._core.store.adopt(self._plan.workers)  # what a time with more workers left in its queues
        await settle_flights(self._core, self._plan.workers)
        folder = RunFolder(self._config.server.data)
        self._mesh = Mesh(folder, self._slot, self._plan.wanted, self._core.store.feed, self._command)
        await self._mesh.start()
        if self._plan.indexing:
            self._hints = IndexHints(self._plan.indexing[self._slot][0], self._core.store.feed)
        self._usage = UsageWatch(
            self._core.store, self._core.clock, self._events, self._core.notices, lambda: self._config
        )
        self._usage.listen()
        housekeeping = Housekeeping(self._core, self._usage, lambda: self._config, folder, lambda: self._core.resolver)
        queue = loop.create_task(self._core.queue.run())
        self._daily = daily_reports(self._core, lambda: self._config, folder)
        self._releases = quarantine_work(self._core, lambda: self._config, folder)
        self._hooks = WebhookWriter(self._core.store.hooks, self._events, self._core.clock)
        self._hooks.follow(self._config.webhook)
        caller = WebhookCaller(
            self._core.store.hooks, self._events, self._core.clock, lambda: self._config.webhook, folder
        )
        chores = (
            self._hooks.run(),
            caller.run(),
            housekeeping.run(),
            self._daily.run(),
            self._releases.run(),
            self._follow(),
            self._usage.run(),
        )
        keepers = [loop.create_task(chore) for chore in chores]
        self._watch(self._config)
        self._listening.adopt({row.id: row.sockets[self._slot] for row in self._plan.rows})
        await self._listening.follow(self._config, [row.id for row in self._plan.rows])
        orders = self._plan.orders[self._slot][1]
        loop.add_reader(orders.fileno(), self._receive, orders)
        self._events("worker.started", slot=self._slot)
        ready()
        await self._stop.wait()
        loop.remove_reader(orders.fileno())
        status = await self._finish(queue, keepers)
        self._events("worker.stopped", slot=self._slot)
        return status

    def _keep(self, at: float, name: str, fields: Mapping[str, Any]) -> None:
        """An event of a message's life, or one that somebody must see."""
        store = self._core.store
        if name in KEPT:
            store.events.add(at, name, fields)
        if self._hooks is not None and name in WATCHED:
            self._hooks.add(at, name, fields)
        if name not in _ORDINARY:
            watch(at, name, fields, store.alarms.note, store.alarms.end)

    def _watch(self, config: Config) -> None:
        """Where somebody asks for metrics, this worker tells of itself from now on."""
        if self._teller is None and Spoken.METRICS in kinds(config):
            publisher = Publisher(self._core, lambda: self._services, self._started)
            self._teller = asyncio.get_running_loop().create_task(publisher.run())

    def _driver_maker(self, listener: Listener) -> Callable[[Link], Driver]:
        """What makes the driver of a new connection: of the services that are in force then."""
        protocol = listener.protocol

        def make(link: Link) -> Driver:
            return self._services.of[protocol].driver(link, listener)

        return make

    def _barred(self, host: str) -> bool:
        """Is it banned? Asked before a TLS handshake, of the services that are in force then."""
        return self._services.doors.bans.barred(host)

    def _connection_failed(self, host: str, fault: Exception) -> None:
        self._events("listener.failed", host=host, reason=str(fault))
        if isinstance(fault, ssl.SSLError):
            self._services.doors.conduct.note(Offence.NO_TLS, host)

    # signals and commands

    def _receive(self, orders: socket.socket) -> None:
        """The supervisor has a new configuration for us."""
        while (received := receive(orders)) is not None:
            order, sockets = received
            if order.number > self._order:
                self._order = order.number
                self._listening.adopt(sockets)
                self._orders.put_nowait(order)
            else:  # meant for the worker that was here before; we began with a newer one
                for sock in sockets.values():
                    sock.close()

    async def _follow(self) -> None:
        """One order after the other, until cancelled."""
        while True:
            order = await self._orders.get()
            try:
                await self._renew(order.config, order.rows)
            except (CertificateError, ListenError, OSError) as fault:
                self._events("config.refused", reason=str(fault))
            else:
                self._events("config.reloaded", slot=self._slot)

    async def _renew(self, config: Config, rows: Sequence[int]) -> None:
        """New connections get the new configuration. The supervisor has seen to it that nothing here should fail."""
        services = build_services(self._core, config)
        self._events.follow(config.log.level, config.log.file)
        await self._listening.follow(config, rows)
        self._config = config
        self._core.follow(config)
        services.attach(self._core)
        self._services.retire(services)
        self._services = services
        if self._hooks is not None:
            self._hooks.follow(config.webhook)
        self._watch(config)

    async def _command(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a command on this machine asks of the running worker."""
        match request.get("command"):
            case "status":
                return await self._status()
            case "queue":
                self._services.relay.retry_now()
                self._core.queue.poke()
            case "directory":
                await self._services.recheck()
            case "hints":
                self._hear(request["hints"])
            case "reload" | "quarantine" as what:
                self._prod(what)
            case "events":
                self._pass_on(request["events"])
            case "reports":
                return {"ok": True, "done": self._daily.send_now(ReportDay.named(request["day"]))}
            case "index":
                return {"ok": self._hints is not None and self._hints.rebuild(request["account"])}
            case "flush":
                await self._core.store.events.flush()
            case other:
                return {"error": f"unknown command {other!r}"}
        return {"ok": True}

    def _prod(self, what: str) -> None:
        """Something lies ready to be taken up."""
        if what == "reload":
            os.kill(os.getppid(), signal.SIGHUP)
        else:
            self._releases.poke()

    def _hear(self, hints: Sequence[tuple[str, int, int]]) -> None:
        """A command changed mailboxes."""
        for account, mailbox, modseq in hints:
            self._core.store.feed.receive(Hint(account, mailbox, modseq))
            if self._slot == 0 and self._usage is not None:
                self._usage.changed(account)
                self._core.store.feed.arrived(account, 1, False)

    def _pass_on(self, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """A command told of something."""
        for name, fields in events:
            if name in CATALOGUE:
                self._events(name, **fields)

    async def _status(self) -> dict[str, Any]:
        from postroom.store.api import QueueFilter

        waiting = await self._core.store.queue.entries(QueueFilter(limit=100_000))
        rules = self._core.store.limits.rules()
        rows = [await self._core.store.directory.account(account) for account in rules.frozen]
        return {
            "frozen": sorted(row.login for row in rows if row is not None),
            "banned": self._services.doors.bans.count,
            "slot": self._slot,
            "pid": os.getpid(),
            "started": self._started,
            "sessions": self._services.sessions(),
            "counters": dict(self._events.counts),
            "queue": sum(entry.slot == self._slot for entry in waiting),
        }

    # the end

    async def _finish(self, queue: asyncio.Task[None], keepers: Sequence[asyncio.Task[None]]) -> int:
        """Take nothing new, finish what is in flight, close the store; forced after server.shutdown_seconds."""
        self._listening.close()
        for keeper in (*keepers, *([self._teller] if self._teller else [])):
            keeper.cancel()
        for work, share in ((self._services.stop(), 0.6), (self._core.stop(), 0.2)):
            try:
                async with asyncio.timeout(self._config.server.shutdown_seconds * share):
                    await work
            except TimeoutError:  # clients that do not end in time are cut off; what was accepted is in the queue
                self._events("worker.hurried", slot=self._slot)
        queue.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(queue, *keepers, return_exceptions=True)
        await self._mesh.stop()
        if self._hooks is not None:
            await self._hooks.flush()
        self._events.keep_with(None)
        await self._core.store.close()
        self._wheel.stop()
        self._events.wait_with(None)
        return 0
