"""Work of one worker for all: dropping what is old, turning DKIM keys, renewing MTA-STS policies.

Whoever holds the lock does it; when that worker dies another takes over at its next look.
On failure: told as an event, tried again at the next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postroom.app.outside import mta_sts
from postroom.app.quarantine import sweep as sweep_quarantine
from postroom.app.rooms import Core
from postroom.app.runfolder import SWEEPER_LOCK, RunFolder
from postroom.app.usage import UsageWatch
from postroom.config import Config
from postroom.identity.deleted import purge_older
from postroom.identity.rotation import Rotation
from postroom.relay.protection import StrictTls
from postroom.store.api import StoreError
from postroom.values.dns import Dns

FIRST_SECONDS = 60.0
TURN_SECONDS = 3600.0
DAY = 86400.0


class Housekeeping:
    """A loop that runs while its worker does."""

    def __init__(
        self, core: Core, usage: UsageWatch, config: Callable[[], Config], folder: RunFolder, dns: Callable[[], Dns]
    ) -> None:
        """config, dns: give what is in force, and whoever answers questions, now."""
        self._store = core.store
        self._usage = usage
        self._lock = folder.lock(SWEEPER_LOCK)
        self._config = config
        self._events = core.events
        self._clock = core.clock
        self._dns = dns
        self._policies = mta_sts(core, StrictTls(config().relay.authorities or None))

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_SECONDS
        try:
            while True:
                await asyncio.sleep(pause)
                pause = TURN_SECONDS
                if self._lock.take():
                    await self.turn()
        finally:
            self._lock.release()

    async def turn(self) -> None:
        """All of it once."""
        await self._sweep()
        await self._usage.look_at_old()
        await self._renew_policies()
        signing = self._config().signing
        if signing.enabled:
            await self._turn_keys(Rotation(self._store.directory, signing, self._clock))

    async def _renew_policies(self) -> None:
        try:
            await self._policies.renew()
        except StoreError as fault:
            self._events("sts.unkept", domain="", reason=str(fault))

    async def _turn_keys(self, rotation: Rotation) -> None:
        try:
            for domain in await self._store.directory.domains():
                turned = await rotation.turn(domain.name, self._dns())
                if turned is not None:
                    self._events("key.turned", domain=domain.name, act=turned.act, selectors=list(turned.selectors))
        except StoreError as fault:
            self._events("key.unturned", reason=str(fault))

    async def _sweep(self) -> None:
        try:
            now, retention = self._clock.now(), self._config().retention
            gone = await self._store.sweep(now, retention.expunged_days * DAY)
            await self._store.events.sweep(now - retention.events_days * DAY)
            await self._store.reports.sweep(now - retention.reports_days * DAY)
            for purged in await purge_older(self._store, now - retention.accounts_days * DAY):
                self._events("account.purged", login=purged.row.login, deleted=purged.deleted)
            await self._store.training.sweep(now)
            await sweep_quarantine(self._store, now, self._events)
        except StoreError as fault:
            self._events("sweep.failed", reason=str(fault))
        else:
            self._events("sweep.done", messages=gone)
