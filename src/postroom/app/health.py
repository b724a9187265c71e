"""Is this server ready for mail? Each part is looked at, and says in words what is wrong.

Ready means: mail that comes now is taken, kept and can be read. What only needs attention soon (a certificate that
ends in ten days, a disk that is getting full) is said, but does not make the server unready.
Owns: nothing; the answer is kept for two seconds, so that whoever asks often costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from postroom.app.metrics import readings
from postroom.observe.meters import Reading
from postroom.servers.http.ops import Check

if TYPE_CHECKING:
    from postroom.app.rooms import Core
    from postroom.config import Config

_KEEP_SECONDS = 2.0
_SILENT_SECONDS = 10.0
#: octets of disk below which mail is refused sooner or later, and share below which somebody should look
_LEAST_FREE = 100 * 1024 * 1024
_LITTLE_FREE = 0.05
_SOON_DAYS = 14


class Health:
    """Looks when it is asked."""

    def __init__(self, core: Core, config: Config) -> None:
        self._core = core
        self._config = config
        self._kept: Sequence[Check] = ()
        self._until = 0.0

    async def checks(self) -> Sequence[Check]:
        """Every part."""
        now = self._core.clock.monotonic()
        if now >= self._until:
            self._kept = await asyncio.to_thread(self._look)
            self._until = now + _KEEP_SECONDS
        return self._kept

    def _look(self) -> list[Check]:
        looks: list[tuple[str, Callable[[], str]]] = [
            ("workers", self._workers),
            ("hashing", self._hashing),
            ("store", self._store),
            ("disk", self._disk),
            ("queue", self._queue),
            ("certificate", self._certificate),
        ]
        found = []
        for name, look in looks:
            try:
                found.append(Check(name, True, look()))
            except _Unwell as fault:
                found.append(Check(name, False, str(fault)))
            except OSError as fault:
                found.append(Check(name, False, f"{fault.filename or name}: {fault.strerror or fault}"))
        return found

    def _workers(self) -> str:
        plan, now = self._core.plan, self._core.clock.now()
        seen = {who: one.time for who, one in readings(plan.meters)}
        silent = [str(slot) for slot in range(plan.workers) if now - seen.get(str(slot), 0.0) > _SILENT_SECONDS]
        if silent:
            raise _Unwell(f"worker {', '.join(silent)} has told nothing for {_SILENT_SECONDS:.0f} seconds")
        return f"{plan.workers} of {plan.workers}"

    def _hashing(self) -> str:
        """Passwords cannot be checked without it."""
        meters = self._core.plan.meters
        told = meters.read(meters.places - 1) or Reading()
        pid = int(told.gauges.get("pid/hashing", 0))
        if pid <= 0 or not Path(f"/proc/{pid}").exists():
            raise _Unwell("the hashing process does not run; it is started again")
        return ""

    def _store(self) -> str:
        """A file can be made, written, synced and removed beside the store's own."""
        path = f"{self._config.server.data}/run/health-{self._core.slot}"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, b"postroom\n" * 100)
                os.fsync(file)
            finally:
                os.close(file)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return ""

    def _disk(self) -> str:
        disk = os.statvfs(self._config.server.data)
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        if free < _LEAST_FREE:
            raise _Unwell(f"only {free >> 20} MiB are free")
        if disk.f_files and disk.f_favail == 0:
            raise _Unwell("no file can be made: all inodes are in use")
        few = "; look after it" if free < size * _LITTLE_FREE else ""
        return f"{free / 2**30:.1f} GiB free{few}"

    def _queue(self) -> str:
        workers = readings(self._core.plan.meters)
        unreadable = [who for who, one in workers if "queue_unreadable" in one.gauges]
        if unreadable:
            raise _Unwell(f"the queue of worker {', '.join(unreadable)} cannot be read")
        return f"{sum(int(one.gauges.get('queue', 0)) for _, one in workers)} messages"

    def _certificate(self) -> str:
        path = self._config.tls.certificate
        if not path:
            return "none configured"
        from cryptography import x509

        try:
            end = x509.load_pem_x509_certificates(Path(path).read_bytes())[0].not_valid_after_utc
        except ValueError as fault:
            raise _Unwell(f"{path} cannot be read: {fault}") from fault
        days = (end - datetime.fromtimestamp(self._core.clock.now(), UTC)).days
        if days < 0:
            raise _Unwell(f"it ended on {end:%Y-%m-%d}: clients refuse it")
        return f"until {end:%Y-%m-%d}" + (", renew it now" if days < _SOON_DAYS else "")


class _Unwell(Exception):
    """Why a part does not work."""
