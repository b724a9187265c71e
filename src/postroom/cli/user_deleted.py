"""`postroom user deleted`: accounts that were removed, and bringing them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postroom.cli.output import confirm, emit_json, json_option, moment, say, table
from postroom.cli.people import directory
from postroom.cli.site import config_option, find_site, run

if TYPE_CHECKING:
    from postroom.store.api import AccountRow, DeletedAccount


@click.group(short_help="Accounts that were removed.")
def deleted() -> None:
    """Accounts that were removed. Their mail is kept for retention.accounts_days; mail for them is refused."""


def _plain(gone: DeletedAccount, days: float) -> dict[str, Any]:
    return {
        "login": gone.row.login,
        "id": gone.row.id,
        "name": gone.row.name,
        "deleted": gone.deleted,
        "kept_until": gone.deleted + days * 86_400,
        "aliases": list(gone.aliases),
        "groups": list(gone.groups),
    }


@deleted.command("list")
@click.option("--domain", default="", help="Only accounts of this domain.")
@json_option
@config_option
def list_(domain: str, as_json: bool, config_file: str | None) -> None:
    """List removed accounts, the last removed first."""
    site = find_site(config_file)
    days = site.config.retention.accounts_days

    async def work() -> list[DeletedAccount]:
        async with directory(site) as (_, store):
            return await store.directory.deleted_accounts(domain.lower())

    rows = [_plain(gone, days) for gone in run(work())]
    if as_json:
        emit_json(users=rows)
        return
    table(
        ("ADDRESS", "NAME", "REMOVED", "KEPT UNTIL", "ID"),
        [
            (row["login"], row["name"] or "-", moment(row["deleted"]), moment(row["kept_until"]), row["id"])
            for row in rows
        ],
        none=f"no account was removed within {days:g} days",
    )


@deleted.command(short_help="Bring a removed account back.")
@click.argument("who", metavar="ADDRESS|ID")
@click.option("--as", "login", default="", metavar="ADDRESS", help="Under this address instead of the one it had.")
@json_option
@config_option
def restore(who: str, login: str, as_json: bool, config_file: str | None) -> None:
    """Bring a removed account back: its mail, password, tokens, places in aliases and groups, and what it shared."""
    site = find_site(config_file)

    async def work() -> AccountRow:
        async with directory(site, changes=True) as (people, _):
            return await people.restore_account(who, login)

    row = run(work())
    if as_json:
        emit_json(login=row.login, id=row.id, restored=True)
    else:
        say(f"{row.login} is back. Undo: postroom user rm {row.login}")


@deleted.command()
@click.argument("who", metavar="ADDRESS|ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def purge(who: str, yes: bool, as_json: bool, config_file: str | None) -> None:
    """Remove the mail of a removed account now, for good."""
    site = find_site(config_file)

    async def work() -> DeletedAccount:
        async with directory(site) as (people, _):
            gone = await people.deleted_account(who)
            confirm(f"Remove all mail of {gone.row.login} for good?", yes=yes)
            return await people.purge_account(gone.row.id)

    gone = run(work())
    if as_json:
        emit_json(login=gone.row.login, id=gone.row.id, purged=True)
    else:
        say(f"the mail of {gone.row.login} is gone for good")
