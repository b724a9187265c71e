"""The page of /metrics: what all processes told of themselves, with the names that Prometheus expects.

Counters carry the worker they come from and only grow while the server runs; docs/operations.md lists them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from postroom import __version__
from postroom.observe.catalogue import CATALOGUE
from postroom.observe.exposition import Page
from postroom.observe.meters import Meters, Reading

if TYPE_CHECKING:
    from postroom.app.rooms import Core
    from postroom.config import Config
    from postroom.store.api import Alarm

#: events that are counted as outcomes of messages
_OUTCOMES = {
    "accepted": "message.accepted",
    "refused": "mail.refused",
    "abandoned": "mail.abandoned",
    "delivered": "message.delivered",
    "quarantined": "message.quarantined",
    "relayed": "message.relayed",
    "deferred": "message.deferred",
    "failed": "message.failed",
    "expired": "message.expired",
}
_STORE_FAULTS = ("queue.unwritten", "queue.unreadable", "delivery.fault", "maildrop.fault", "sweep.failed")

Places = list[tuple[str, Reading]]


def page(core: Core, config: Config, open_alarms: Sequence[Alarm]) -> str:
    """Everything that is known now."""
    meters, text = core.plan.meters, Page()
    workers = readings(meters)
    supervisor = meters.read(meters.places - 1) or Reading()
    text.gauge("postroom_build_info", "The version that runs.", [({"version": __version__}, 1)])
    _messages(text, workers)
    _sessions(text, workers)
    _queue(text, workers, core.clock.now())
    _store(text, workers, config)
    _dns(text, workers)
    _processes(text, workers, supervisor)
    alarms = Counter(alarm.name for alarm in open_alarms)
    text.gauge("postroom_alarms", "Open alarms.", [({"event": name}, count) for name, count in sorted(alarms.items())])
    everybody = [*workers, ("supervisor", supervisor)]
    text.counter(
        "postroom_events_total",
        "Every event of the log, whether it was written or not.",
        [
            ({"event": name, "process": who}, one.counts[name])
            for who, one in everybody
            for name in CATALOGUE
            if name in one.counts
        ],
    )
    return text.text()


def readings(meters: Meters) -> Places:
    """What the workers told, by their slot."""
    found = ((str(slot), meters.read(slot)) for slot in range(meters.places - 1))
    return [(who, one) for who, one in found if one is not None]


def _messages(text: Page, workers: Places) -> None:
    text.counter(
        "postroom_messages_total",
        "What became of messages; refused counts commands and recipients, from delivered on recipients.",
        [
            ({"outcome": outcome, "worker": who}, one.counts.get(event, 0))
            for who, one in workers
            for outcome, event in _OUTCOMES.items()
        ],
    )


def _sessions(text: Page, workers: Places) -> None:
    text.gauge(
        "postroom_sessions",
        "Open connections.",
        [({"service": service, "worker": who}, count) for who, service, count in _gauges(workers, "sessions/")],
    )
    text.counter(
        "postroom_logins_total",
        "Log-ins by their result.",
        [
            ({"result": result, "worker": who}, one.counts.get(f"login.{result}", 0))
            for who, one in workers
            for result in ("succeeded", "failed", "unavailable")
        ],
    )
    text.counter(
        "postroom_connections_refused_total",
        "Connections refused because there were too many.",
        [({"worker": who}, one.counts.get("connection.refused", 0)) for who, one in workers],
    )


def _queue(text: Page, workers: Places, now: float) -> None:
    text.gauge(
        "postroom_queue_messages",
        "Messages that have not reached all their recipients.",
        [({"worker": who}, one.gauges["queue"]) for who, one in workers if "queue" in one.gauges],
    )
    text.gauge(
        "postroom_queue_oldest_seconds",
        "Age of the oldest of them.",
        [
            ({"worker": who}, max(0.0, now - one.gauges["queue_oldest"]) if one.gauges["queue_oldest"] else 0)
            for who, one in workers
            if "queue_oldest" in one.gauges
        ],
    )


def _store(text: Page, workers: Places, config: Config) -> None:
    text.histogram(
        "postroom_commit_seconds",
        "Time of commits that somebody waited for.",
        [({"file": file, "worker": who}, times) for who, one in workers for file, times in one.histograms.items()],
    )
    text.counter(
        "postroom_store_errors_total",
        "What the store could not do.",
        [({"worker": who}, sum(one.counts.get(name, 0) for name in _STORE_FAULTS)) for who, one in workers],
    )
    disk = os.statvfs(config.server.data)
    text.gauge("postroom_disk_free_bytes", "Free on the data folder's disk.", [({}, disk.f_bavail * disk.f_frsize)])
    text.gauge("postroom_disk_size_bytes", "Size of that disk.", [({}, disk.f_blocks * disk.f_frsize)])


def _dns(text: Page, workers: Places) -> None:
    text.counter(
        "postroom_dns_lookups_total",
        "Look-ups by where their answer came from: memory, servers, stale (too old, nobody could be asked), or failed.",
        [
            ({"source": name.removeprefix("dns/"), "worker": who}, count)
            for who, one in workers
            for name, count in one.counts.items()
            if name.startswith("dns/")
        ],
    )


def _processes(text: Page, workers: Places, supervisor: Reading) -> None:
    running = [(who.partition("/")[2], pid) for who, pid in supervisor.gauges.items() if who.startswith("pid/")]
    up = [({"process": who}, float(pid > 0)) for who, pid in running]
    text.gauge("postroom_process_up", "1 while the process runs.", up)
    text.counter(
        "postroom_process_restarts_total",
        "Processes that ended by themselves.",
        [({}, supervisor.counts.get("process.died", 0))],
    )
    for name, key, meaning in (
        ("postroom_worker_loop_lag_seconds", "loop_lag", "How late the event loop was at its last turn."),
        ("postroom_worker_resident_bytes", "resident", "Memory of the worker, shared pages included."),
    ):
        text.gauge(name, meaning, [({"worker": who}, one.gauges[key]) for who, one in workers if key in one.gauges])
    text.gauge(
        "postroom_worker_seen_seconds",
        "Unix time when the worker last told of itself.",
        [({"worker": who}, one.time) for who, one in workers],
    )
    text.gauge("postroom_start_time_seconds", "Unix time when the server was started.", [({}, supervisor.started)])


def _gauges(workers: Places, prefix: str) -> Iterator[tuple[str, str, float]]:
    for who, one in workers:
        for name, value in one.gauges.items():
            if name.startswith(prefix):
                yield who, name.removeprefix(prefix), value
