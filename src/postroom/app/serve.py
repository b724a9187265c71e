"""`postroom serve`: from a configuration to running processes.

Order: lock the data folder, bind every port (so that a taken one is named before anything runs), make what the
processes share, drop privileges, fork. The supervisor itself loads the workers' code before it forks, so that they
share its memory.
On failure: ListenError, AlreadyRunning, ConfigError or OSError before anything was started.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import structs

from postroom.app.plan import Plan
from postroom.app.privileges import become_user
from postroom.app.runfolder import SUPERVISOR_LOCK, AlreadyRunning, RunFolder
from postroom.app.supervisor import Role, Supervisor
from postroom.config import Config, ConfigError, load
from postroom.net.listen import ListenError, bind_all
from postroom.net.tls import CertificateError, Certificates
from postroom.observe.log import Events

START_SECONDS = 30.0


@dataclass(slots=True)
class Served:
    """What `ready` is told: the ports that answer, and the processes."""

    plan: Plan
    pids: list[int] = field(default_factory=list)


def serve(config: Config, path: Path, ready: Callable[[Served], None] = lambda _served: None) -> int:
    """Run until SIGTERM or SIGINT; gives the exit status. path: where the configuration came from, for SIGHUP."""
    from postroom.app.worker import hash_passwords, run_worker  # everything is loaded here, once, for all processes

    folder = RunFolder(config.server.data)
    folder.create()
    lock = folder.lock(SUPERVISOR_LOCK)
    if not lock.take():
        raise AlreadyRunning(Path(config.server.data), lock.holder())
    plan = make_plan(config, path)
    try:
        become_user(config)
        events = Events(config.log.level, config.log.file, process="supervisor")
        current = Current(plan)
        roles = [Role("hashing", lambda said: hash_passwords(current.plan, said))] if plan.hashing else []
        roles += [
            Role(f"worker {slot}", lambda said, slot=slot: run_worker(current.plan, slot, said), plan.forget(slot))  # type: ignore[misc]
            for slot in range(plan.workers)
        ]
        supervisor = Supervisor(
            roles,
            config.server.shutdown_seconds,
            reload=lambda: current.reload(events),
            closing=plan.close_sockets,
            report=events,
        )
        supervisor.prepare()
        supervisor.start_all()
        if not supervisor.wait_ready(START_SECONDS):
            supervisor.stop()
            events("server.failed", reason="a process ended while it started")
            return 1
        events("server.started", workers=plan.workers, pid=os.getpid())
        ready(Served(plan, [role.pid for role in supervisor.roles]))
        status = supervisor.run()
        events("server.stopped", status=status)
        return status
    finally:
        plan.close_sockets()
        lock.release()


def make_plan(config: Config, path: Path) -> Plan:
    """Bind the ports and make what the processes share. Raises ListenError."""
    if not config.listener:
        raise ListenError("no listener is configured; `postroom init` writes a file with the usual ones")
    workers = config.server.workers or os.cpu_count() or 1
    sockets: list[list[socket.socket]] = []
    try:
        for listener in config.listener:
            sockets.append(bind_all(listener, workers))  # noqa: PERF401 - what was bound is closed on failure
    except ListenError:
        for row in sockets:
            for sock in row:
                sock.close()
        raise
    return Plan.make(config, path, workers, sockets)


@dataclass(slots=True)
class Current:
    """The plan that a process started from now on gets: with the configuration of the last good reload."""

    plan: Plan

    def reload(self, events: Events) -> bool:
        """Whether the configuration on disk can be used; if not, the old one stays in force.

        What the running processes are built around stays until a restart: ports, the data folder, the event loop.
        """
        old = self.plan.config
        try:
            fresh = load(self.plan.path)
            if fresh.tls.certificate:
                Certificates(fresh.tls)
        except (ConfigError, CertificateError) as fault:
            events("config.refused", reason=str(fault))
            return False
        server = structs.replace(fresh.server, data=old.server.data, event_loop=old.server.event_loop)
        config = structs.replace(fresh, listener=old.listener, server=server)
        self.plan = replace(self.plan, config=config)
        return True
