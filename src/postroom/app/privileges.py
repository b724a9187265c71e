"""Becoming the system user that the server runs as.

The supervisor does it once the ports are bound; commands do it before they touch the store, so that what they make
belongs to the server.
On failure: ConfigError when there is no such user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path

from postroom.app.runfolder import SUPERVISOR_LOCK
from postroom.config import Config, ConfigError


def become_user(config: Config) -> None:
    """Become server.user, when we are root and one is named; the data folder then belongs to it."""
    if not config.server.user or os.geteuid() != 0:
        return
    try:
        person = pwd.getpwnam(config.server.user)
    except KeyError:
        raise ConfigError(f"server.user: there is no system user {config.server.user!r}") from None
    for path in (Path(config.server.data), Path(config.server.data) / "run"):
        os.chown(path, person.pw_uid, person.pw_gid)
    with contextlib.suppress(FileNotFoundError):
        os.chown(Path(config.server.data) / "run" / SUPERVISOR_LOCK, person.pw_uid, person.pw_gid)
    os.initgroups(config.server.user, person.pw_gid)
    os.setgid(person.pw_gid)
    os.setuid(person.pw_uid)
