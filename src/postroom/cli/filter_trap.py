"""`postroom filter trap`: addresses of nobody, which only senders of spam know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, say, table
from postroom.cli.people import directory, named_domain
from postroom.cli.site import config_option, find_site, run

if TYPE_CHECKING:
    from postroom.store.api import AliasRow


@click.group("trap", short_help="Addresses that only senders of spam know.")
def command() -> None:
    """Addresses of nobody, which only senders of spam know.

    Mail to them reaches nobody: everybody's filter learns it as unwanted, and who sent it stands worse. Where
    it also goes to people, it speaks against it. Publish them where only programs look, or take addresses that have
    been dead for a year.
    """


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@config_option
def add(addresses: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Make traps of addresses that nobody has."""
    site = find_site(config_file)

    async def work() -> list[AliasRow]:
        async with directory(site, changes=True) as (people, _):
            return [await people.add_trap(address) for address in addresses]

    made = [row.address for row in run(work())]
    if as_json:
        emit_json(traps=made)
    else:
        say(f"{', '.join(made)}: mail is learned as unwanted now. Undo: postroom filter trap rm {' '.join(made)}")


@command.command("list")
@click.option("--domain", default="", help="Only traps of this domain.")
@json_option
@config_option
def list_(domain: str, as_json: bool, config_file: str | None) -> None:
    """List traps."""
    site = find_site(config_file)

    async def work() -> list[AliasRow]:
        async with directory(site) as (people, store):
            return [row for row in await store.directory.aliases(await named_domain(people, domain)) if row.trap]

    rows = run(work())
    if as_json:
        emit_json(traps=[{"address": row.address, "created": row.created} for row in rows])
        return
    table(
        ("TRAP", "SINCE"),
        [(row.address, moment(row.created)) for row in rows],
        none="no traps yet; make one: postroom filter trap add ADDRESS",
    )


@command.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
@json_option
@config_option
def rm(addresses: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Remove traps; mail for them is refused from then on."""
    site = find_site(config_file)

    async def work() -> None:
        async with directory(site, changes=True) as (people, _):
            rows = [await people.alias(address) for address in addresses]
            for row in rows:
                if not row.trap:
                    raise CommandFailed(Exit.NOT_FOUND, f"{row.address} is no trap", "See: postroom filter trap list")
            for row in rows:
                await people.remove_alias(row.address)

    run(work())
    if as_json:
        emit_json(removed=list(addresses))
    else:
        say(f"{', '.join(addresses)}: no trap any more, mail for it is refused")
