"""`postroom group`: people who are given rights together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.output import confirm, counted, emit_json, json_option, moment, record, say, table
from postroom.cli.people import directory, named_domain
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:
    from postroom.identity.groups import Groups
    from postroom.store.api import GroupRow, Store


@click.group(short_help="People who are given rights together.")
def command() -> None:
    """People, and other groups, who are given rights together.

    A group is a name that looks like an address; no mail goes there (postroom alias does that). Give it rights with
    postroom share or postroom acl, or in a mail program as group:sales@example.org.
    """


@asynccontextmanager
async def _groups(site: Site, *, changes: bool = False) -> AsyncIterator[tuple[Groups, Store]]:
    from postroom.identity.groups import Groups
    from postroom.values.clock import SystemClock

    async with directory(site, changes=changes) as (_, store):
        yield Groups(store, SystemClock()), store


def _has(row: GroupRow) -> str:
    return f"{row.address} has {counted(len(row.members), 'member')}"


def _plain(row: GroupRow) -> dict[str, Any]:
    return {"address": row.address, "name": row.name, "members": list(row.members), "created": row.created}


def _tell(row: GroupRow, as_json: bool, text: str, **more: Any) -> None:
    if as_json:
        emit_json(**_plain(row), **more)
    else:
        say(text)


@command.command()
@click.argument("group")
@click.argument("members", nargs=-1, metavar="[MEMBER]...")
@click.option("--name", default="", help="What it is called for people.")
@json_option
@config_option
def add(group: str, members: tuple[str, ...], name: str, as_json: bool, config_file: str | None) -> None:
    """Make a group. Members are accounts or other groups, here."""
    site = find_site(config_file)

    async def work() -> GroupRow:
        async with _groups(site, changes=True) as (groups, _):
            return await groups.add(group, members, name=name)

    row = run(work())
    _tell(row, as_json, f"{_has(row)}. Undo: postroom group rm {row.address}")


@command.command("list")
@click.option("--domain", default="", help="Only groups of this domain.")
@json_option
@config_option
def list_(domain: str, as_json: bool, config_file: str | None) -> None:
    """List groups."""
    site = find_site(config_file)

    async def work() -> list[GroupRow]:
        async with directory(site) as (people, store):
            return await store.directory.groups(await named_domain(people, domain))

    rows = run(work())
    if as_json:
        emit_json(groups=[_plain(row) for row in rows])
        return
    table(
        ("GROUP", "NAME", "MEMBERS"),
        [(row.address, row.name or "-", ", ".join(row.members) or "-") for row in rows],
        none="no groups yet; make one: postroom group add sales@example.org ann@example.org",
    )


@command.command()
@click.argument("group")
@json_option
@config_option
def show(group: str, as_json: bool, config_file: str | None) -> None:
    """Show a group, and the accounts that give it rights."""
    site = find_site(config_file)

    async def work() -> tuple[GroupRow, list[str], list[str]]:
        async with _groups(site) as (groups, store):
            row = await groups.group(group)
            shared = await store.directory.sharers(f"group:{row.address}")
            rows = [await store.directory.account(account) for account in shared]
            inside = sorted(await store.directory.groups_of(row.address))
            return row, [one.login for one in rows if one is not None], inside

    row, owners, inside = run(work())
    if as_json:
        emit_json(**_plain(row), shares=owners, groups=inside)
        return
    record([
        ("group", row.address),
        ("name", row.name or "-"),
        ("members", ", ".join(row.members) or "-"),
        ("has rights on mailboxes of", ", ".join(owners) or "-"),
        ("belongs to", ", ".join(inside) or "-"),
        ("since", moment(row.created)),
    ])  # fmt: skip


@command.command()
@click.argument("group")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
@json_option
@config_option
def join(group: str, members: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Add members to a group. They have its rights at once."""
    site = find_site(config_file)

    async def work() -> GroupRow:
        async with _groups(site, changes=True) as (groups, _):
            return await groups.join(group, members)

    row = run(work())
    undo = f"postroom group leave {row.address} {' '.join(members)}"
    _tell(row, as_json, f"{_has(row)} now. Undo: {undo}")


@command.command()
@click.argument("group")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER...")
@json_option
@config_option
def leave(group: str, members: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Take members out of a group. They lose its rights at once."""
    site = find_site(config_file)

    async def work() -> GroupRow:
        async with _groups(site, changes=True) as (groups, _):
            return await groups.leave(group, members)

    row = run(work())
    undo = f"postroom group join {row.address} {' '.join(members)}"
    _tell(row, as_json, f"{_has(row)} now. Undo: {undo}")


@command.command()
@click.argument("group")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def rm(group: str, yes: bool, as_json: bool, config_file: str | None) -> None:
    """Remove a group, and the rights it has on mailboxes."""
    site = find_site(config_file)

    async def work() -> GroupRow:
        async with _groups(site, changes=True) as (groups, _):
            row = await groups.group(group)
            confirm(
                f"Remove {row.address}? Its {counted(len(row.members), 'member')} lose what they have by it.", yes=yes
            )
            return await groups.remove(group)

    row = run(work())
    _tell(row, as_json, f"{row.address} is gone, and its rights with it", removed=True)
