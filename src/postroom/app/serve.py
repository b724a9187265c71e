"""`postroom serve`: from a configuration to running processes.

Order: lock the data folder, bind every port (so that a taken one is named before anything runs), make what the
processes share, drop privileges, fork. The supervisor itself loads the workers' code before it forks, so that they
share its memory.
On failure: ListenError, AlreadyRunning, ConfigError or OSError before anything was started.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec import structs

from postroom.app.audit import audit_config
from postroom.app.listening import client_authorities
from postroom.app.plan import Plan
from postroom.app.privileges import become_user
from postroom.app.runfolder import SUPERVISOR_LOCK, AlreadyRunning, RunFolder
from postroom.app.supervisor import Role, Supervisor
from postroom.config import Config, ConfigError, TlsMode, check, load
from postroom.net.listen import ListenError
from postroom.net.tls import CertificateError, Certificates
from postroom.observe.alarms import watch
from postroom.observe.log import Events
from postroom.store.embedded.alarms import EmbeddedAlarms
from postroom.store.embedded.database import OpenOptions
from postroom.store.embedded.layout import Layout

START_SECONDS = 30.0


@dataclass(slots=True)
class Served:
    """What `ready` is told: the ports that answer, and the processes."""

    plan: Plan
    pids: list[int] = field(default_factory=list)


def serve(config: Config, path: Path, ready: Callable[[Served], None] = lambda _served: None) -> int:
    """Run until SIGTERM or SIGINT; gives the exit status. path: where the configuration came from, for SIGHUP."""
    # everything is loaded here, once, for all processes
    from postroom.app.indexing import keep_indexes
    from postroom.app.publish import publish_roles
    from postroom.app.web import load_http
    from postroom.app.worker import hash_passwords, run_worker

    load_http(config)

    uid, folder = os.getuid(), RunFolder(config.server.data)
    folder.create()
    lock = folder.lock(SUPERVISOR_LOCK)
    if not lock.take():
        raise AlreadyRunning(Path(config.server.data), lock.holder())
    plan = Plan.make(config, path, config.server.workers or os.cpu_count() or 1)
    current = Current(plan)
    try:
        become_user(config)
        events, started = Events(config.log.level, config.log.file, process="supervisor"), time.time()
        alarms = EmbeddedAlarms(Layout(config.server.data), OpenOptions())
        events.keep_with(lambda at, name, fields: watch(at, name, fields, alarms.keep, alarms.end_now))
        audit_config(config, "serve", uid, events)
        roles = [Role("hashing", lambda said: hash_passwords(current.plan, said))] if plan.hashing else []
        roles += [Role("index", lambda said: keep_indexes(current.plan, said))] if plan.indexing else []
        roles += [
            Role(f"worker {slot}", lambda said, slot=slot: run_worker(current.plan, slot, said), plan.forget(slot))  # type: ignore[misc]
            for slot in range(plan.workers)
        ]
        supervisor = Supervisor(
            roles,
            config.server.shutdown_seconds,
            reload=lambda uid: current.reload(supervisor, events, uid),
            closing=current.close,
            report=events,
            changed=lambda roles: publish_roles(plan.meters, roles, events.counts, started),
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
        current.close()
        lock.release()


@dataclass(slots=True)
class Current:
    """The plan that a process started from now on gets: of the last good reload."""

    plan: Plan

    def close(self) -> None:
        """Listen no more."""
        self.plan.close_sockets()

    def reload(self, supervisor: Supervisor, events: Events, uid: int) -> None:
        """Read the configuration and tell every process, or say why it cannot be used and change nothing.

        uid: who asked for it.

        Everything that could fail is done here and first: reading, certificates, passwords, the log, ports.
        """
        before = self.plan
        try:
            config, unreached = _usable(before)
            plan = before.renewed(config)
        except (ConfigError, CertificateError, ListenError, OSError) as fault:
            events("config.refused", reason=_said(fault))
            return
        try:
            events.follow(config.log.level, config.log.file)
        except OSError as fault:
            _give_up(plan, before)
            events("config.refused", reason=f"log.file: {fault}")
            return
        self.plan = plan
        audit_config(config, "config reload", uid, events)
        supervisor.shutdown_seconds = config.server.shutdown_seconds
        if unreached:
            events("config.needs_restart", keys=unreached)
        behind = plan.tell(before)
        if behind:
            events("config.unheard", names=behind)


#: what the processes are built around; a reload leaves it as it was
FIXED: Final = ("data", "workers", "user", "event_loop")


def _usable(before: Plan) -> tuple[Config, list[str]]:
    """The configuration on disk but for what only a restart reaches, and the keys of that which changed.

    Raises ConfigError, CertificateError, OSError.
    """
    from postroom.app.outside import relay_passwords

    fresh = load(before.path)
    if fresh.tls.certificate:
        for authorities in client_authorities(fresh):
            Certificates(fresh.tls, authorities)
    elif any(listener.tls is not TlsMode.NONE for listener in fresh.listener):
        raise ConfigError("a listener wants TLS, but [tls] names no certificate")
    fatal = [str(problem) for problem in check(fresh) if problem.fatal]
    if fatal:
        raise ConfigError("; ".join(fatal))
    relay_passwords(fresh)
    kept = {name: getattr(before.config.server, name) for name in FIXED}
    changed = [f"server.{name}" for name, value in kept.items() if getattr(fresh.server, name) != value]
    changed += ["index"] * (fresh.index != before.config.index)
    return structs.replace(fresh, server=structs.replace(fresh.server, **kept), index=before.config.index), changed


def _said(fault: Exception) -> str:
    """A port below 1024 can be bound before privileges are dropped only."""
    if isinstance(fault.__cause__, PermissionError):
        return f"{fault}. A reload may not bind it, a restart may"
    return str(fault)


def _give_up(plan: Plan, before: Plan) -> None:
    """Close what was bound for a plan that will not be."""
    known = {row.id for row in before.rows}
    for row in plan.rows:
        if row.id not in known:
            for sock in row.sockets:
                sock.close()
