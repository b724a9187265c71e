"""Which events an administrator must see: every error, and the warnings named here, until they are over or dealt with.

An alarm is told apart from others of its name by its subject, the value of one of its fields. `note` gives events on to
whoever keeps alarms (store.api.alarms).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from postroom.observe.catalogue import CATALOGUE

#: warnings that are alarms
_WARNINGS: Final = frozenset({"blocklist.ignored", "bounces.flood", "mail.flagged", "scanner.failed"})
#: the field whose value is the subject
_SUBJECTS: Final = {
    "process.died": "name",
    "session.fault": "service",
    "store.damaged": "login",
    "blocklist.ignored": "zone",
    "blocklist.restored": "zone",
    "scanner.failed": "scanner",
    "scanner.answers": "scanner",
    "account.frozen": "login",
    "account.unfrozen": "login",
    "mail.flagged": "login",
    "bounces.flood": "recipient",
    "webhook.failing": "hook",
    "webhook.recovered": "hook",
    "webhook.dropped": "hook",
    "reports.failed": "kind",
    "reports.finished": "kind",
}
#: event: the alarms that are over with it, those with its subject
ENDED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "server.started": ("server.failed",),
    "config.reloaded": ("config.refused", "config.unheard"),
    "blocklist.restored": ("blocklist.ignored",),
    "scanner.answers": ("scanner.failed",),
    "account.unfrozen": ("account.frozen",),
    "webhook.recovered": ("webhook.failing",),
    "reports.finished": ("reports.failed",),
}

#: keeps an alarm: its time, name, subject and fields
Note = Callable[[float, str, str, Mapping[str, Any]], None]
#: ends alarms: their names and subject
End = Callable[[Collection[str], str], None]


def is_alarm(name: str) -> bool:
    """True for an event that somebody must see."""
    kind = CATALOGUE.get(name)
    return name in _WARNINGS or (kind is not None and kind.level == "error")


def watch(time: float, name: str, fields: Mapping[str, Any], note: Note, end: End) -> None:
    """Note the event if it is an alarm, and end what is over with it."""
    subject = str(fields.get(_SUBJECTS.get(name, ""), ""))
    if is_alarm(name):
        note(time, name, subject, fields)
    ended = ENDED_BY.get(name)
    if ended:
        end(ended, subject)
