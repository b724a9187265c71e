"""One worker: wires the rooms together on one event loop and serves until it is told to stop.

Owns: everything of this process; its queue slot. Built once; a reload builds new services for new connections and
leaves the store, the queue and the sessions that stand as they are.
On failure: what cannot start ends the process with a non-zero status, and the supervisor tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

from postroom.app.housekeeping import Housekeeping
from postroom.app.mesh import Mesh
from postroom.app.plan import Plan
from postroom.app.rooms import Core, Services, build_core, build_services
from postroom.app.runfolder import RunFolder
from postroom.config import Config, ConfigError, Listener, load
from postroom.identity.hashing import run_hashing
from postroom.net.handshakes import Handshakes
from postroom.net.link import Driver, Link, LinkOptions
from postroom.net.listen import Server
from postroom.net.listen import serve as serve_listener
from postroom.net.tls import CertificateError, Certificates, trim_asyncio_tls
from postroom.net.wheel import Wheel
from postroom.observe.log import Events
from postroom.policy.networks import Networks, unit

#: implicit TLS handshakes under way in one worker: 50 MiB at the most
HANDSHAKES = 2000


def run_worker(plan: Plan, slot: int, ready: Callable[[], None]) -> int:
    """The process of one worker; gives its exit status."""
    plan.keep_only(slot)
    return run_loop(plan.config, Worker(plan, slot).run(ready))


def hash_passwords(plan: Plan, ready: Callable[[], None]) -> int:
    """The hashing process; it holds no listening socket."""
    plan.keep_only(None)
    ready()
    run_hashing([theirs for _, theirs in plan.hashing], plan.config.passwords)
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
    trim_asyncio_tls()
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
        self._servers: list[Server] = []
        self._stop = asyncio.Event()
        self._certificates: Certificates | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._core: Core
        self._services: Services
        self._mesh: Mesh

    async def run(self, ready: Callable[[], None]) -> int:
        """Serve until SIGTERM; gives the exit status."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        self._events.wait_with(loop.call_later)
        self._core = build_core(self._plan, self._slot, self._events, self._wheel)
        self._core.store.events.lost = lambda count, reason: self._events("events.lost", count=count, reason=reason)
        self._events.keep_with(self._core.store.events.add)
        self._services = build_services(self._core, self._config)
        self._core.queue.subscribe("remote", self._services.relay.take)
        if self._slot == 0:
            await self._core.store.adopt(self._plan.workers)  # what a time with more workers left in its queues
        folder = RunFolder(self._config.server.data)
        self._mesh = Mesh(folder, self._slot, self._plan.workers, self._core.store.feed, self._command)
        await self._mesh.start()
        housekeeping = Housekeeping(self._core, self._config, folder, lambda: self._services.resolver)
        queue = loop.create_task(self._core.queue.run())
        keeper = loop.create_task(housekeeping.run())
        await self._listen()
        self._events("worker.started", slot=self._slot)
        ready()
        await self._stop.wait()
        status = await self._finish(queue, keeper)
        self._events("worker.stopped", slot=self._slot)
        return status

    async def _listen(self) -> None:
        if self._config.tls.certificate:
            self._certificates = Certificates(self._config.tls)
        limits = self._config.limits
        handshakes = Handshakes(limits.connections_per_ip, HANDSHAKES, unit, Networks(limits.trusted_networks).contains)
        options = LinkOptions(wheel=self._wheel, tls=self._certificates, handshakes=handshakes)
        for listener, row in zip(self._config.listener, self._plan.sockets, strict=True):
            server = await serve_listener(
                row[self._slot], listener, self._driver_maker(listener), options, self._connection_failed
            )
            self._servers.append(server)

    def _driver_maker(self, listener: Listener) -> Callable[[Link], Driver]:
        """What makes the driver of a new connection: of the services that are in force then."""
        protocol = listener.protocol

        def make(link: Link) -> Driver:
            return self._services.of[protocol].driver(link, listener)

        return make

    def _connection_failed(self, host: str, fault: Exception) -> None:
        self._events("listener.failed", host=host, reason=str(fault))

    # signals and commands

    def _reload(self) -> None:
        """SIGHUP: new connections get the new configuration and certificates; a bad one changes nothing."""
        try:
            config = load(self._plan.path)
            services = build_services(self._core, config)
            if self._certificates is not None:
                self._certificates.reload(config.tls)
        except (ConfigError, CertificateError, OSError) as fault:
            self._events("config.refused", reason=str(fault))
            return
        self._core.queue.subscribe("remote", services.relay.take)
        self._services.retire(services)
        self._services = services
        self._events("config.reloaded", slot=self._slot)

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
            case "reload":
                self._reload()
            case "flush":
                await self._core.store.events.flush()
            case other:
                return {"error": f"unknown command {other!r}"}
        return {"ok": True}

    async def _status(self) -> dict[str, Any]:
        from postroom.store.api import QueueFilter

        waiting = await self._core.store.queue.entries(QueueFilter(limit=100_000))
        return {
            "slot": self._slot,
            "pid": os.getpid(),
            "started": self._started,
            "sessions": self._services.sessions(),
            "counters": dict(self._events.counts),
            "queue": sum(entry.slot == self._slot for entry in waiting),
        }

    # the end

    async def _finish(self, queue: asyncio.Task[None], keeper: asyncio.Task[None]) -> int:
        """Take nothing new, finish what is in flight, close the store; forced after server.shutdown_seconds."""
        for server in self._servers:
            server.close()
        keeper.cancel()
        for work, share in ((self._services.stop(), 0.6), (self._core.stop(), 0.2)):
            try:
                async with asyncio.timeout(self._config.server.shutdown_seconds * share):
                    await work
            except TimeoutError:  # clients that do not end in time are cut off; what was accepted is in the queue
                self._events("worker.hurried", slot=self._slot)
        queue.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(queue, keeper, return_exceptions=True)
        await self._mesh.stop()
        self._events.keep_with(None)
        await self._core.store.close()
        self._wheel.stop()
        self._events.wait_with(None)
        return 0
