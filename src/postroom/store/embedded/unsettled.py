"""Deliveries that may not have reached the disk yet, and what makes them safe all the same.

A message that came from the queue is committed to its account without a sync: the queue's entry is on the disk, and it
stays there until the account's file has been synced (`settle`). So a delivery costs no sync of its own, and power loss
only brings it back. What a client may have seen of it then must never mean another message: an account remembers in
which run of the machine it got such deliveries, and who writes to it in a later run first skips more UIDs, MODSEQs and
message ids than can have been lost (account_restart).
Owns: the paths of files to sync. Used by all committer threads.
On failure: StoreUnavailable from `settle`; the entries stay in the queue, and the sync is tried again.
"""

from __future__ import annotations

import threading
from typing import Final

from postroom.store.api.errors import StoreUnavailable
from postroom.store.embedded.disk import Disk

_BOOT: Final = "/proc/sys/kernel/random/boot_id"


def this_boot() -> str:
    """What names this run of the machine, "" where nothing does: then nothing is left unsynced."""
    try:
        with open(_BOOT, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


class Unsettled:
    """The files of one process. boot: see `this_boot`."""

    __slots__ = ("_disk", "_lock", "_paths", "boot")

    def __init__(self, disk: Disk, boot: str) -> None:
        self.boot = boot
        self._disk = disk
        self._paths: set[str] = set()
        self._lock = threading.Lock()

    def add(self, path: str) -> None:
        """A commit was written to this file and not synced, or may have been by a process that is gone."""
        with self._lock:
            self._paths.add(path)

    def settle(self) -> None:
        """Sync them all; what was committed before this call survives power loss when it returns."""
        with self._lock:
            paths, self._paths = self._paths, set()
        while paths:
            path = paths.pop()
            try:
                self._disk.sync_path(path)
            except FileNotFoundError:
                continue  # the account was removed
            except OSError as fault:
                with self._lock:
                    self._paths |= paths | {path}
                raise StoreUnavailable(f"{path} cannot be synced: {fault}") from fault
