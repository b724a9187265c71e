"""What the configuration was changed to, and by whose order: an audit record at a start and at each reload.

The configuration that was in force last is kept beside the records (data/audit/config.json; it holds no secrets), so
that a change made while the server was down is recorded at the next start. A start that changes nothing is no record.
On failure: an event; the server runs all the same.
"""

from __future__ import annotations

import json
import os
import pwd
import time
from typing import Any

import msgspec

from postroom.config import Config
from postroom.observe.log import Events
from postroom.store.api import NewAct, StoreError
from postroom.store.embedded.audit import EmbeddedAudit
from postroom.store.embedded.layout import Layout


def audit_config(config: Config, act: str, uid: int, events: Events) -> None:
    """Record what changed since the last time. uid: who asked for it."""
    layout = Layout(config.server.data)
    try:
        layout.make()
        path = f"{layout.audit}/config.json"
        before, after = _read(path), flat(config)
        changed = sorted(key for key in {**before, **after} if before.get(key) != after.get(key))
        if not changed and act == "serve":
            return
        new = NewAct(
            time=time.time(),
            who={"uid": uid, "user": _name(uid)},
            act=act,
            on="the configuration",
            before={key: before.get(key) for key in changed} if before else None,
            after={key: after.get(key) for key in changed},
        )
        kept = EmbeddedAudit(layout).keep(new)
        _write(path, after)
    except (StoreError, OSError, ValueError) as fault:
        events("audit.failed", reason=str(fault))
        return
    events("audit.recorded", number=kept.number, hash=kept.hash, act=act, on=kept.on, who=_name(uid))


def flat(config: Config) -> dict[str, Any]:
    """Every option by its key; of lists of tables the whole."""
    found: dict[str, Any] = {}
    for section, value in msgspec.json.decode(msgspec.json.encode(config)).items():
        if isinstance(value, dict):
            found.update({f"{section}.{name}": one for name, one in value.items()})
        else:
            found[section] = value
    return found


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: str, told: dict[str, Any]) -> None:
    file = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as out:
        json.dump(told, out, indent=1, sort_keys=True)
    os.rename(f"{path}.new", path)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
