"""`postroom audit`: what administrators did, and whether the record of it is whole."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.amounts import parse_when
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, say
from postroom.cli.site import Site, config_option, find_site, open_store, poke, run

if TYPE_CHECKING:
    from postroom.store.api import Act, Verdict


@click.group(short_help="What administrators did.")
def command() -> None:
    """What administrators did: every change a command made, and every change of the configuration.

    The records are a chain of hashes: one that was changed, removed or put in later is found by verify.
    """


def _plain(act: Act) -> dict[str, Any]:
    return {
        "number": act.number,
        "time": act.time,
        "who": act.who,
        "act": act.act,
        "on": act.on,
        "before": act.before,
        "after": act.after,
        "note": act.note,
        "hash": act.hash,
    }


@command.command("list")
@click.argument("word", default="", metavar="[WORD]")
@click.option("--since", default="", metavar="WHEN", help="Not older than 2h, 30d, or a date like 2026-11-22.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest.")
@json_option
@config_option
def list_(word: str, since: str, limit: int, as_json: bool, config_file: str | None) -> None:
    """List what was done, oldest first. WORD: only what names it, such as an address, a user or a command."""
    site = find_site(config_file)
    start = parse_when(since, time.time(), "--since")

    async def work() -> list[Act]:
        async with open_store(site) as store:
            return await store.audit.acts(start)

    acts = [act for act in run(work()) if word.casefold() in _words(act)]
    left_out, acts = len(acts) - limit, acts[-limit:]
    if as_json:
        emit_json(acts=[_plain(act) for act in acts])
        return
    for act in acts:
        _print(act)
    if left_out > 0:
        say(f"{left_out} older ones are not shown; more with --limit")
    if not acts:
        raise CommandFailed(Exit.NOT_FOUND, f"nothing about {word} is recorded" if word else "nothing is recorded yet")


def _words(act: Act) -> str:
    return f"{act.act} {act.on} {' '.join(map(str, act.who.values()))}".casefold()


def _print(act: Act) -> None:
    user = str(act.who.get("sudo") or act.who.get("login") or act.who.get("user", "?"))
    behind = f" as {act.who['user']}" if act.who.get("user") not in (None, user) else ""
    note = f"  ({act.note})" if act.note else ""
    _line(f"{act.number:>5}  {moment(act.time)}  {user}{behind}  {act.act}  {act.on}{note}")
    for name in {**(act.before or {}), **(act.after or {})}:
        old, new = _value(act.before, name), _value(act.after, name)
        _line(f"       {name}: {old} -> {new}" if act.before is not None else f"       {name}: {new}")


def _value(fields: Mapping[str, Any] | None, name: str) -> str:
    value = (fields or {}).get(name)
    return "-" if value in (None, "") else str(value)


def _line(text: str) -> None:
    click.echo("".join(char if char.isprintable() else "�" for char in text))


async def _verify(site: Site) -> Verdict:
    from postroom.store.api import EventQuery

    async with open_store(site) as store:
        lives = await store.events.find(EventQuery(word="audit.recorded", limit=1_000_000))
        told = [life.events[0].fields for life in lives]
        known = {
            int(fields["number"]): str(fields["hash"])
            for fields in reversed(told)
            if isinstance(fields.get("number"), int) and fields.get("hash")
        }
        return await store.audit.verify(known)


@command.command()
@json_option
@config_option
def verify(as_json: bool, config_file: str | None) -> None:
    """Prove that no record was changed, removed or put in.

    The chain is also compared with what the events of the last weeks tell of it. Exit code 1 when something is wrong.
    Note the last number and hash elsewhere: then nobody can make a whole new chain unseen.
    """
    site = find_site(config_file)
    poke(site, "flush")
    verdict = run(_verify(site))
    if as_json:
        emit_json(ok=not verdict.faults, records=verdict.number, hash=verdict.hash, faults=list(verdict.faults))
    else:
        for fault in verdict.faults:
            click.echo(fault)
        say(f"{verdict.number} records, {'the chain is whole' if not verdict.faults else 'the chain is broken'}")
        if verdict.number and not verdict.faults:
            click.echo(f"{verdict.number} {verdict.hash}")
    if verdict.faults:
        sys.exit(Exit.FAILED)
