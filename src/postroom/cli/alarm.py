"""`postroom alarm`: what somebody must look at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, say
from postroom.cli.site import Site, config_option, find_site, open_store, run

if TYPE_CHECKING:
    from postroom.store.api import Alarm


@click.group(short_help="What somebody must look at.")
def command() -> None:
    """What somebody must look at: errors of the server, frozen accounts, lists that do not answer.

    Some end by themselves; the others stay until you say that they are done. The log has all of them.
    """


def plain(alarm: Alarm) -> dict[str, Any]:
    """For JSON."""
    return {
        "id": alarm.id,
        "event": alarm.name,
        "subject": alarm.subject,
        "first": alarm.first,
        "last": alarm.last,
        "count": alarm.count,
        "fields": alarm.fields,
    }


def print_alarms(alarms: list[Alarm]) -> None:
    """One line each; peers' words must not steer a terminal."""
    from postroom.observe.sentences import sentence
    from postroom.values.told import Told

    for alarm in alarms:
        what = sentence(Told(alarm.last, alarm.name, dict(alarm.fields)), moment)
        again = f" ({alarm.count} times since {moment(alarm.first)})" if alarm.count > 1 else ""
        text = f"{alarm.id:>4}  {moment(alarm.last)}  {what}"
        lines = text.splitlines()
        short = lines[0] + (f" … {lines[-1]}" if len(lines) > 1 else "")
        click.echo("".join(char if char.isprintable() else "�" for char in short[:500]) + again)


async def open_alarms(site: Site) -> list[Alarm]:
    """All that are open."""
    async with open_store(site) as store:
        return await store.alarms.open()


@command.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: str | None) -> None:
    """List what is open, the newest last."""
    alarms = run(open_alarms(find_site(config_file)))
    if as_json:
        emit_json(alarms=[plain(alarm) for alarm in alarms])
        return
    print_alarms(alarms)
    say("nothing to look at" if not alarms else "dealt with? postroom alarm done NUMBER, or --all")


@command.command()
@click.argument("numbers", nargs=-1, type=int, metavar="[NUMBER]...")
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@json_option
@config_option
def done(numbers: tuple[int, ...], everything: bool, as_json: bool, config_file: str | None) -> None:
    """Say that somebody has dealt with it. What happens again is listed again."""
    if bool(numbers) == everything:
        raise click.UsageError("Say which: numbers from `postroom alarm list`, or --all.")
    site = find_site(config_file)

    async def work() -> int:
        async with open_store(site) as store:
            ids = [alarm.id for alarm in await store.alarms.open()] if everything else list(numbers)
            return await store.alarms.close(ids)

    closed = run(work())
    if as_json:
        emit_json(closed=closed, time=time.time())
    elif closed:
        say(f"{closed} done")
    if not closed and numbers:
        raise CommandFailed(Exit.NOT_FOUND, "no open alarm has that number", "See: postroom alarm list")
