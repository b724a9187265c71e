"""Making and removing an account's folder in one step each: it is there whole, or not at all.

A new folder is set up under a name that starts with a dot and then renamed; one that goes is renamed first. What a
crash leaves under such a name is removed by the next sweep.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time

from postroom.store.embedded import schema
from postroom.store.embedded.database import OpenOptions, open_database, set_up
from postroom.store.embedded.disk import Disk
from postroom.store.embedded.layout import AccountLayout, Layout


def make_account_folder(layout: Layout, account: AccountLayout, disk: Disk, options: OpenOptions) -> None:
    """Make the folder with an empty database unless it is there. Raises OSError, apsw.Error."""
    if os.path.exists(account.database):
        return
    shard = os.path.dirname(account.folder)
    disk.make_folder(shard)
    disk.sync_folder(layout.accounts)
    new = AccountLayout(f"{shard}/.new-{secrets.token_hex(8)}")
    disk.make_folder(new.folder)
    disk.make_folder(new.bodies)
    database = open_database(new.database, options, cache_kib=options.reader_cache_kib, create=True)
    try:
        set_up(database, schema.ACCOUNT, schema.ACCOUNT_VERSION)
    finally:
        database.close()
    disk.sync_folder(new.folder)
    try:
        disk.rename(new.folder, account.folder)
    except OSError as fault:
        shutil.rmtree(new.folder, ignore_errors=True)
        if fault.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process was faster
            raise
    disk.sync_folder(shard)


def remove_account_folder(account: AccountLayout, disk: Disk) -> None:
    """Take the folder away for good. Raises OSError; nothing happens when it is not there."""
    shard = os.path.dirname(account.folder)
    gone = f"{shard}/.gone-{secrets.token_hex(8)}"
    try:
        disk.rename(account.folder, gone)
    except FileNotFoundError:
        return
    disk.sync_folder(shard)
    shutil.rmtree(gone, ignore_errors=True)


def sweep_account_folders(layout: Layout, grace: float) -> None:
    """Remove folders half made or half removed, unless they changed within `grace` seconds."""
    horizon = time.time() - grace
    for path in layout.half_made():
        with contextlib.suppress(OSError):
            if os.stat(path).st_ctime <= horizon:
                shutil.rmtree(path, ignore_errors=True)
