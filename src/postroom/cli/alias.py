"""`postroom alias`: addresses that stand for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postroom.cli.output import confirm, emit_json, json_option, moment, record, say, table
from postroom.cli.people import directory, named_domain
from postroom.cli.site import config_option, find_site, run

if TYPE_CHECKING:
    from postroom.store.api import AliasRow


@click.group(short_help="Addresses that stand for others.")
def command() -> None:
    """Addresses that stand for other addresses, here or elsewhere."""


def _plain(row: AliasRow) -> dict[str, Any]:
    found = {"address": row.address, "members": list(row.members), "created": row.created}
    return {**found, "disabled": row.disabled, "trap": row.trap}


def _members(row: AliasRow) -> str:
    return "nobody: a spam trap" if row.trap else ", ".join(row.members)


@command.command()
@click.argument("address")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
@json_option
@config_option
def add(address: str, members: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Make an alias. Mail for ADDRESS then goes to each member, here or elsewhere."""
    site = find_site(config_file)

    async def work() -> AliasRow:
        async with directory(site, changes=True) as (people, _):
            return await people.add_alias(address, members)

    row = run(work())
    if as_json:
        emit_json(**_plain(row))
    else:
        say(f"mail for {row.address} goes to {', '.join(row.members)}. Undo: postroom alias rm {row.address}")


@command.command("list")
@click.option("--domain", default="", help="Only aliases of this domain.")
@json_option
@config_option
def list_(domain: str, as_json: bool, config_file: str | None) -> None:
    """List aliases."""
    site = find_site(config_file)

    async def work() -> list[AliasRow]:
        async with directory(site) as (people, store):
            return await store.directory.aliases(await named_domain(people, domain))

    rows = run(work())
    if as_json:
        emit_json(aliases=[_plain(row) for row in rows])
        return
    table(
        ("ALIAS", "MEMBERS"),
        [(row.address, _members(row)) for row in rows],
        none="no aliases yet; make one: postroom alias add info@example.org ann@example.org",
    )


@command.command()
@click.argument("address")
@json_option
@config_option
def show(address: str, as_json: bool, config_file: str | None) -> None:
    """Show one alias."""
    site = find_site(config_file)

    async def work() -> AliasRow:
        async with directory(site) as (people, _):
            return await people.alias(address)

    row = run(work())
    if as_json:
        emit_json(**_plain(row))
    else:
        record([("address", row.address), ("members", _members(row)), ("since", moment(row.created))])


@command.command("set")
@click.argument("address")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
@json_option
@config_option
def set_(address: str, members: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Replace an alias's members."""
    site = find_site(config_file)

    async def work() -> AliasRow:
        async with directory(site, changes=True) as (people, _):
            return await people.set_alias(address, members=members)

    row = run(work())
    if as_json:
        emit_json(**_plain(row))
    else:
        say(f"mail for {row.address} goes to {', '.join(row.members)}")


@command.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def rm(address: str, yes: bool, as_json: bool, config_file: str | None) -> None:
    """Remove an alias; mail for it is refused from then on."""
    site = find_site(config_file)

    async def work() -> AliasRow:
        async with directory(site, changes=True) as (people, _):
            row = await people.alias(address)
            confirm(f"Remove {row.address}? Mail for it will be refused.", yes=yes)
            await people.remove_alias(address)
            return row

    row = run(work())
    if as_json:
        emit_json(**_plain(row), removed=True)
        return
    say(f"{row.address} is gone. Undo: postroom alias add {row.address} {' '.join(row.members)}")
