"""`postroom domain`: the domains whose mail this server keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from postroom.cli import quotas
from postroom.cli.amounts import parse_limit
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import confirm, counted, emit_json, json_option, limit, moment, octets, record, say, table
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:
    from postroom.store.api import DomainRow, Together


@click.group(short_help="Hosted domains.")
def command() -> None:
    """The domains whose mail this server keeps."""


def _plain(row: DomainRow, accounts: int, aliases: int, held: Together) -> dict[str, Any]:
    return {
        "name": row.name,
        "created": row.created,
        "disabled": row.disabled,
        "receives": row.receives or not row.disabled,
        "alias_of": row.alias_of,
        "catch_all": row.catch_all,
        "separators": row.separators,
        "detail_folders": row.detail_folders,
        "hourly_messages": row.hourly_messages,
        "spoof": row.spoof,
        "batv": row.batv,
        "batv_since": row.batv_since,
        "quota": row.quota,
        "quota_messages": row.quota_messages,
        "account_quota": row.account_quota,
        "account_messages": row.account_messages,
        "most_accounts": row.most_accounts,
        "used": held.octets,
        "messages": held.messages,
        "accounts": accounts,
        "aliases": aliases,
    }


async def _all(site: Site, name: str = "") -> list[dict[str, Any]]:
    async with directory(site) as (people, store):
        rows = [await people.domain(name)] if name else await store.directory.domains()
        return [
            _plain(
                row,
                len(await store.directory.accounts(row.name)),
                len(await store.directory.aliases(row.name)),
                store.usage.domain(row.name),
            )
            for row in rows
        ]


@command.command()
@click.argument("name")
@click.option(
    "--catch-all", default="", help="Address that takes mail for unknown people of the domain. [such mail is refused]"
)
@click.option("--alias-of", default="", metavar="DOMAIN", help="Its addresses are those of this hosted domain.")
@json_option
@config_option
def add(name: str, catch_all: str, alias_of: str, as_json: bool, config_file: str | None) -> None:
    """Host a domain: take in mail for its accounts and aliases."""
    from postroom.identity.rotation import Rotation
    from postroom.values.clock import SystemClock

    site = find_site(config_file)

    async def work() -> DomainRow:
        async with directory(site, changes=True) as (people, store):
            row = await people.add_domain(name, catch_all, alias_of=alias_of)
            await Rotation(store.directory, site.config.signing, SystemClock()).begin(row.name)
            return row

    row = run(work())
    if as_json:
        emit_json(**run(_all(site, row.name))[0])
    else:
        next_step = (
            f"Its addresses are those of {alias_of}." if alias_of else f"Next: postroom user add NAME@{row.name}"
        )
        say(f"{row.name} is hosted. {next_step}")
        say(f"What to publish in the DNS: postroom dns show {row.name}")


@command.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: str | None) -> None:
    """List the hosted domains."""
    rows = run(_all(find_site(config_file)))
    if as_json:
        emit_json(domains=rows)
        return
    table(
        ("DOMAIN", "ACCOUNTS", "USED", "ALIASES", "CATCH-ALL", "STATE"),
        [
            (
                row["name"],
                row["accounts"],
                octets(row["used"]),
                row["aliases"],
                row["catch_all"] or "-",
                _state(row),
            )
            for row in rows
        ],
        none="no domain is hosted yet; add one: postroom domain add example.org",
    )


@command.command()
@click.argument("name")
@json_option
@config_option
def show(name: str, as_json: bool, config_file: str | None) -> None:
    """Show one domain."""
    [row] = run(_all(find_site(config_file), name))
    if as_json:
        emit_json(**row)
    else:
        record([
            ("domain", row["name"]),
            ("state", _state(row)),
            ("catch-all", row["catch_all"] or "-"),
            ("details after", " ".join(row["separators"]) or "nothing: addresses have no detail"),
            ("details name mailboxes", _FOLDERS[row["detail_folders"]]),
            ("limit on sending", _sending(row["hourly_messages"])),
            ("forged mail", _SPOOF[row["spoof"]]),
            ("envelope senders", _tags(row)),
            ("accounts", f"{row['accounts']} of {row['most_accounts'] or 'any number'}"),
            ("aliases", row["aliases"]),
            ("holds", quotas.holds((row["quota"], row["quota_messages"]), row["used"], row["messages"])),
            ("an account may hold", _each(row)),
            ("since", moment(row["created"])),
        ])  # fmt: skip


def _each(row: dict[str, Any]) -> str:
    """What an account may hold that has no quota of its own."""
    messages = row["account_messages"]
    count = "as many messages as configured" if messages < 0 else f"{messages or 'any number of'} messages"
    room = {-1: "as much as configured", 0: "any amount"}.get(row["account_quota"]) or octets(row["account_quota"])
    return f"{room} in {count}"


_FOLDERS = {"off": "no", "existing": "that exist", "create": "which are made"}


def _state(row: dict[str, Any]) -> str:
    if row["disabled"]:
        return "suspended, receives mail" if row["receives"] else "off"
    return f"alias of {row['alias_of']}" if row["alias_of"] else "on"


_SPOOF = {"refuse": "is refused", "junk": "goes to Junk", "mark": "is marked"}


def _tags(row: dict[str, Any]) -> str:
    """What BATV does for it."""
    if row["batv"] == "off":
        return "leave as they are"
    return f"leave with a tag (BATV) since {moment(row['batv_since'])}" + (
        "; other reports are refused" if row["batv"] == "require" else ""
    )


def _sending(hourly: int) -> str:
    return limit(hourly) if hourly < 0 else f"{limit(hourly)} messages an hour"


@command.command("set")
@click.argument("name")
@click.option("--catch-all", default=None, help='Address that takes mail for unknown people; "" refuses such mail.')
@click.option("--on/--off", "enabled", default=None, help="Off: nobody can log in, and mail for it is refused.")
@click.option(
    "--receive/--no-receive", "receives", default=None, help="With --off: take in mail all the same, or refuse it."
)
@click.option("--alias-of", default=None, metavar="DOMAIN", help='Its addresses are those of that one; "" ends it.')
@click.option(
    "--separators",
    default=None,
    metavar="CHARS",
    help='What a detail may stand behind, as in ann+lists@: any of + - _ = # ~, or "" for no details. [+]',
)
@click.option(
    "--detail-folders",
    type=click.Choice(["off", "existing", "create"]),
    default=None,
    help="Whether the detail of an address names the mailbox for new mail: one that exists, or is made. [off]",
)
@click.option(
    "--hourly-messages",
    "hourly",
    default=None,
    metavar="LIMIT",
    help="Messages an hour its people may send to other domains: a number, none, or default.",
)
@click.option(
    "--spoof",
    type=click.Choice(["refuse", "junk", "mark"]),
    default=None,
    help="What becomes of mail from outside that claims to be from the domain and cannot prove it.",
)
@click.option(
    "--batv",
    type=click.Choice(["off", "tag", "require"]),
    default=None,
    help="Tag envelope senders, so that reports about forged mail show; require: they are refused after a while. [off]",
)
@quotas.domain_options
@json_option
@config_option
def set_(name: str, as_json: bool, config_file: str | None, **options: Any) -> None:
    """Change a domain."""
    if all(value is None for value in options.values()):
        raise click.UsageError("Say what to change: one of the options that --help shows.")
    site = find_site(config_file)
    changes = {key: value for key, value in options.items() if value is not None}
    if "enabled" in changes:
        changes["disabled"] = not changes.pop("enabled")
        changes.setdefault("receives", False)
    if "hourly" in changes:
        changes["hourly_messages"] = parse_limit(changes.pop("hourly"))
    quotas.read_quotas(changes)

    async def work() -> None:
        async with directory(site, changes=True) as (people, _):
            await people.set_domain(name, **changes)

    run(work())
    if as_json:
        [row] = run(_all(site, name))
        emit_json(**row)
    else:
        say("changed")


@command.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def rm(name: str, yes: bool, as_json: bool, config_file: str | None) -> None:
    """Stop hosting a domain that has no accounts or aliases any more."""
    site = find_site(config_file)
    [row] = run(_all(site, name))
    if row["accounts"] or row["aliases"]:
        raise CommandFailed(
            Exit.FAILED,
            f"{row['name']} still has {counted(row['accounts'], 'account')} "
            f"and {counted(row['aliases'], 'alias', 'aliases')}",
            f"See: postroom user list --domain {row['name']}",
        )
    confirm(f"Stop hosting {row['name']}?", yes=yes)

    async def work() -> None:
        async with directory(site, changes=True) as (people, _):
            await people.remove_domain(name)

    run(work())
    if as_json:
        emit_json(**row, removed=True)
        return
    say(f"{row['name']} is no longer hosted. Undo: postroom domain add {row['name']}")
