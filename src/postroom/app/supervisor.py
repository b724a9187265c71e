"""The supervisor: binds ports, drops privileges, forks the processes and keeps them alive.

It runs no event loop and touches no mail: it waits for signals. A process that dies is started again, at once the
first time and then with growing pauses; its listening sockets stay open here, so connections wait in their backlog
meanwhile. SIGHUP reloads: what that means is told to the supervisor, not built into it. SIGTERM and SIGINT stop
everything: each worker finishes what is in flight and exits within server.shutdown_seconds, then it is killed.
On failure: a port that cannot be bound or a configuration that cannot be read ends it before anything was started.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STABLE_SECONDS = 30.0
LONGEST_PAUSE = 30.0


@dataclass(slots=True)
class Role:
    """A process to keep running.

    run: what the child does, given a function to call once it serves; its return is the exit status.
    died: called in the parent when the process is gone, before another is started.
    """

    name: str
    run: Callable[[Callable[[], None]], int]
    died: Callable[[], None] = lambda: None
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    next_start: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Keeps `roles` running until a signal ends it.

    reload: called at SIGHUP with the user id of who sent it; closing: called once before everything is stopped, so that
    the listening sockets go first; report: told of processes that died; changed: called when one started or ended.
    """

    roles: list[Role]
    shutdown_seconds: float
    reload: Callable[[int], None] = lambda _uid: None
    closing: Callable[[], None] = lambda: None
    report: Callable[..., None] = lambda *_args, **_fields: None
    changed: Callable[[list[Role]], None] = lambda _roles: None
    stopping: bool = field(default=False, init=False)
    _ready: tuple[int, int] = field(default_factory=os.pipe, init=False)

    def prepare(self) -> None:
        """Before the first fork: move what is loaded out of the collector's sight, so that children share its pages."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)  # a fifth of the CPU of small IMAP commands went into collections

    def start_all(self) -> None:
        """Start every role once."""
        for role in self.roles:
            self._start(role)

    def wait_ready(self, seconds: float) -> bool:
        """Wait until every role said that it serves; False when one died or the time ran out."""
        waiting, deadline = len(self.roles), time.monotonic() + seconds
        while waiting:
            readable, _, _ = select.select([self._ready[0]], [], [], 0.05)
            if readable:
                waiting -= len(os.read(self._ready[0], waiting))
            self._reap()
            if time.monotonic() > deadline or not all(role.pid for role in self.roles):
                return False
        return True

    def run(self) -> int:
        """Until SIGTERM or SIGINT; gives the exit status."""
        while True:
            arrived = signal.sigtimedwait(SIGNALS, self._pause())
            if arrived is None or arrived.si_signo == signal.SIGCHLD:
                self._reap()
                self._start_due()
            elif arrived.si_signo == signal.SIGHUP:
                self.reload(arrived.si_uid)
            else:
                return self.stop()

    def stop(self) -> int:
        """Ask every process to finish, wait, and kill what is left."""
        self.stopping = True
        self.closing()
        self._tell(signal.SIGTERM)
        deadline = time.monotonic() + self.shutdown_seconds + 1
        while any(role.pid for role in self.roles):
            left = deadline - time.monotonic()
            if left <= 0:
                self._tell(signal.SIGKILL)
                deadline = time.monotonic() + 5
            signal.sigtimedwait([signal.SIGCHLD], max(0.05, min(left, 1.0)))
            self._reap()
        return 0

    def _pause(self) -> float:
        now = time.monotonic()
        waits = [role.next_start - now for role in self.roles if not role.pid]
        return max(0.0, min(waits, default=3600.0))

    def _start_due(self) -> None:
        now = time.monotonic()
        for role in self.roles:
            if not role.pid and role.next_start <= now:
                self._start(role)

    def _start(self, role: Role) -> None:
        role.started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _child(role, lambda: _say_ready(self._ready[1]))
        role.pid = pid
        self.changed(self.roles)

    def _reap(self) -> None:
        for role in self.roles:
            if not role.pid:
                continue
            pid, status = os.waitpid(role.pid, os.WNOHANG)
            if not pid:
                continue
            role.pid = 0
            role.died()
            if not self.stopping:
                self._plan_restart(role, status)
            self.changed(self.roles)

    def _plan_restart(self, role: Role, status: int) -> None:
        now = time.monotonic()
        role.failures = 1 if now - role.started > STABLE_SECONDS else role.failures + 1
        pause = 0.0 if role.failures == 1 else min(LONGEST_PAUSE, 0.25 * 2**role.failures)
        role.next_start = now + pause
        code = os.waitstatus_to_exitcode(status)
        self.report("process.died", name=role.name, status=code, restart_in=pause)

    def _tell(self, number: int) -> None:
        for role in self.roles:
            if role.pid:
                os.kill(role.pid, number)


def _say_ready(pipe: int) -> None:
    with contextlib.suppress(OSError):
        os.write(pipe, b".")


def _child(role: Role, ready: Callable[[], None]) -> None:
    """What the forked process does; never returns."""
    status = 70
    try:
        # the loop that the role starts handles signals itself; the terminal's Ctrl-C is the supervisor's business
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _follow_parent()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        _set_title(role.name)
        status = role.run(ready)
    except BaseException:  # the child must not fall back into the parent's code
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _follow_parent() -> None:
    """End with the supervisor, even when that is killed (prctl(2) PR_SET_PDEATHSIG)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM, 0, 0, 0)


def _set_title(name: str) -> None:
    import setproctitle

    setproctitle.setproctitle(f"postroom: {name}")
