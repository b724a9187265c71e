"""`postroom suppress`: outside addresses that nothing is sent to, because their servers call them unknown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.amounts import parse_span
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, operator, say, table
from postroom.cli.site import Site, config_option, find_site, open_store, run
from postroom.values.address import Address, BadAddress

if TYPE_CHECKING:  # --help has 150 ms: rooms are loaded when they are needed
    from postroom.store.api import Suppression


@click.group(short_help="Outside addresses nothing is sent to.")
def command() -> None:
    """Outside addresses that nothing is sent to.

    An address goes on the list when its server refuses it for good as unknown, for relay.suppress_days. Our own people
    are told at once when they write to it, instead of by a report later.
    """


def _key(text: str) -> str:
    try:
        return Address.parse(text).key
    except BadAddress:
        raise click.BadParameter(f"{text!r} is no mail address", param_hint="ADDRESS") from None


async def _list(site: Site) -> list[Suppression]:
    async with open_store(site) as store:
        return store.limits.suppressions(time.time())


async def _add(site: Site, one: Suppression) -> None:
    async with open_store(site) as store:
        await store.limits.suppress(one)


async def _remove(site: Site, address: str) -> bool:
    async with open_store(site) as store:
        return await store.limits.unsuppress(address)


@command.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: str | None) -> None:
    """List the addresses, until when, and why."""
    found = run(_list(find_site(config_file)))
    if as_json:
        emit_json(suppressions=[_plain(one) for one in found])
        return
    rows = [(one.address, moment(one.since), _until(one), one.by or "its server", one.reason) for one in found]
    table(("ADDRESS", "SINCE", "UNTIL", "BY", "REASON"), rows)
    say(f"{len(found)} address{'es' * (len(found) != 1)}")


def _until(one: Suppression) -> str:
    return "for good" if one.until == float("inf") else moment(one.until)


def _plain(one: Suppression) -> dict[str, Any]:
    return {
        "address": one.address,
        "since": one.since,
        "until": None if one.until == float("inf") else one.until,
        "reason": one.reason,
        "by": one.by,
    }


@command.command()
@click.argument("address")
@click.option("--for", "span", default="", metavar="AGE", help="How long: 30m, 4h, 2d. [for good]")
@click.option("--reason", default="an administrator's decision", show_default=True, help="Told to who writes to it.")
@json_option
@config_option
def add(address: str, span: str, reason: str, as_json: bool, config_file: str | None) -> None:
    """Send nothing to an address."""
    now = time.time()
    until = now + parse_span(span) if span else float("inf")
    from postroom.store.api import Suppression

    one = Suppression(address=_key(address), since=now, until=until, reason=reason, by=operator())
    run(_add(find_site(config_file), one))
    if as_json:
        emit_json(**_plain(one))
    else:
        say(f"nothing is sent to {one.address}: {_until(one)}")


@command.command()
@click.argument("address")
@json_option
@config_option
def rm(address: str, as_json: bool, config_file: str | None) -> None:
    """Send to an address again."""
    key = _key(address)
    if not run(_remove(find_site(config_file), key)):
        raise CommandFailed(Exit.NOT_FOUND, f"{key} is not on the list", "See: postroom suppress list")
    if as_json:
        emit_json(address=key)
    else:
        say(f"mail is sent to {key} again")
