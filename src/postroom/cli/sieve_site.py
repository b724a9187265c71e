"""`postroom sieve global`: the administrator's scripts, for people's scripts to include."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, line, moment, octets, say, table
from postroom.cli.sieve_text import SCRIPT_FILE, faults_told, read_file
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:  # --help has 150 ms
    from postroom.mailbox.scripts import SiteScripts
    from postroom.store.api import SiteScriptRow

domain_option = click.option("--domain", default="", metavar="DOMAIN", help="Of this domain, not of the whole server.")


@click.group(name="global", short_help="Scripts of the administrator, for others to include.")
def command() -> None:
    """Scripts that people's own include with :global (RFC 6609). A domain's stand before the server's of that name.

    They sort nothing by themselves, except where sieve.imap_script names one.
    """


@asynccontextmanager
async def _scripts(site: Site, domain: str) -> AsyncIterator[tuple[SiteScripts, str]]:
    """The scripts, and their owner."""
    from postroom.app.sieve import sieve_limits
    from postroom.cli.people import directory, named_domain
    from postroom.mailbox.scripts import BadScriptName, SiteScripts
    from postroom.store.api import NotFound

    async with directory(site, changes=True) as (people, store):
        owner = await named_domain(people, domain)
        try:
            yield SiteScripts(store.directory, sieve_limits(site.config)), owner
        except NotFound as fault:
            raise CommandFailed(Exit.NOT_FOUND, str(fault), "See: postroom sieve global list") from fault
        except BadScriptName as fault:
            raise CommandFailed(Exit.USAGE, str(fault)) from fault


@command.command(short_help="Keep a script.")
@click.argument("name")
@click.argument("file", type=SCRIPT_FILE)
@domain_option
@config_option
@json_option
def put(name: str, file: str, domain: str, as_json: bool, config_file: str | None) -> None:
    """Keep a script under a name, in place of one of this name. A script with faults is not taken."""
    site, text = find_site(config_file), read_file(file)

    async def work() -> None:
        async with _scripts(site, domain) as (scripts, owner):
            await scripts.put(owner, name, text, time.time())

    with faults_told(file, as_json=as_json):
        run(work())
    if as_json:
        emit_json(ok=True, domain=domain, script=name, faults=[])
    else:
        say(f'kept: {name}; people\'s scripts say include :global "{name}";')


@command.command("list", short_help="List the scripts.")
@domain_option
@config_option
@json_option
def list_(domain: str, as_json: bool, config_file: str | None) -> None:
    """List the scripts of the server, or of a domain."""
    site = find_site(config_file)

    async def work() -> Sequence[SiteScriptRow]:
        async with _scripts(site, domain) as (scripts, owner):
            return await scripts.all(owner)

    found = run(work())
    if as_json:
        emit_json(scripts=[{"name": row.name, "size": len(row.text), "changed": row.changed} for row in found])
        return
    table(
        ("SCRIPT", "SIZE", "CHANGED"),
        [(line(row.name), octets(len(row.text)), moment(row.changed)) for row in found],
        none=f"{domain or 'the server'} has no scripts",
    )


@command.command(short_help="Print a script.")
@click.argument("name")
@domain_option
@config_option
@json_option
def show(name: str, domain: str, as_json: bool, config_file: str | None) -> None:
    """Print a script."""
    site = find_site(config_file)

    async def work() -> SiteScriptRow:
        async with _scripts(site, domain) as (scripts, owner):
            return await scripts.get(owner, name)

    text = run(work()).text.decode("utf-8", "replace")
    if as_json:
        emit_json(name=name, domain=domain, text=text)
    else:
        click.echo(text, nl=not text.endswith("\n"))


@command.command(short_help="Remove a script.")
@click.argument("name")
@domain_option
@config_option
@json_option
def rm(name: str, domain: str, as_json: bool, config_file: str | None) -> None:
    """Remove a script. People's scripts that include it fail then, unless they say :optional: their mail is kept."""
    site = find_site(config_file)

    async def work() -> Any:
        async with _scripts(site, domain) as (scripts, owner):
            await scripts.remove(owner, name)

    run(work())
    emit_json(removed=name, domain=domain) if as_json else say(f"removed: {name}")
