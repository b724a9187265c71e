"""`postroom status`."""

from __future__ import annotations

import time
from collections import Counter

import click

from postroom.cli.alarm import open_alarms, plain, print_alarms
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import counted, emit_json, json_option, moment, octets, record, say, table
from postroom.cli.site import Site, config_option, find_site, open_store, poke, run

_FULL, _NEAR = 100, 90  # percent of a quota
_ALARMS = 10  # shown; all of them: postroom alarm list


@click.command()
@json_option
@config_option
def command(as_json: bool, config_file: str | None) -> None:
    """Say what the running server does.

    Processes, open sessions, events since the start (the names are those of the log), what waits in the queue.
    What somebody must look at comes first. Exit code 69 when no server runs.
    """
    from postroom.app.runfolder import RunFolder

    site = find_site(config_file)
    pid = RunFolder(site.data).server_pid()
    workers = poke(site, "status") if pid else []
    if not workers:
        raise CommandFailed(
            Exit.UNREACHABLE,
            f"no server runs on {site.data}" if not pid else f"process {pid} does not answer",
            f"Start it: postroom serve --config {site.path}",
        )
    totals: Counter[str] = Counter()
    for worker in workers:
        totals.update(worker["counters"])
    try:
        alarms = run(open_alarms(site))
    except CommandFailed as fault:
        say(f"open alarms cannot be read: {fault.text}")
        alarms = []
    held = run(_held(site))
    if as_json:
        emit_json(pid=pid, workers=workers, counters=totals, alarms=[plain(alarm) for alarm in alarms], mailboxes=held)
        return
    waiting = sum(worker["queue"] for worker in workers)
    since = min(worker["started"] for worker in workers)
    up = _span(time.time() - since)
    record([
        ("server", f"process {pid}, {counted(len(workers), 'worker')}, since {moment(since)} ({up})"),
        ("data", site.data),
        ("queue", f"{counted(waiting, 'message')} waiting or held"),
        ("mailboxes", _fullness(held)),
        ("may not send", ", ".join(workers[0]["frozen"]) or "-"),
        ("banned", f"{counted(max(worker['banned'] for worker in workers), 'network')}"),
    ])  # fmt: skip
    if alarms:
        click.echo()
        click.echo(f"To look at (postroom alarm list): {len(alarms)}")
        print_alarms(alarms[-_ALARMS:])
    click.echo()
    names = sorted({name for worker in workers for name in worker["sessions"]})
    table(
        ("WORKER", "PID", "UP", *(name.upper() for name in names)),
        [
            (
                worker["slot"],
                worker["pid"],
                _span(time.time() - worker["started"]),
                *(worker["sessions"].get(name, 0) for name in names),
            )
            for worker in workers
        ],
    )
    click.echo()
    record([(name, count) for name, count in sorted(totals.items())])


async def _held(site: Site) -> dict[str, int]:
    """What all accounts hold, and how many have no room left, or little."""
    async with open_store(site) as store:
        every = store.usage.all()
        return {
            "accounts": len(every),
            "octets": sum(one.octets for one in every),
            "messages": sum(one.messages for one in every),
            "full": sum(one.percent >= _FULL for one in every),
            "near": sum(_NEAR <= one.percent < _FULL for one in every),
        }


def _fullness(held: dict[str, int]) -> str:
    found = (
        f"{octets(held['octets'])} in {counted(held['messages'], 'message')} of {counted(held['accounts'], 'account')}"
    )
    if held["full"] or held["near"]:
        found += f"; {held['full']} full, {held['near']} above {_NEAR} % (postroom user list)"
    return found


def _span(seconds: float) -> str:
    """A duration for people."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
