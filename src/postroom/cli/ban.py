"""`postroom ban`: addresses and networks that may not connect."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.amounts import parse_span
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, operator, say, table
from postroom.cli.site import config_option, find_site, open_store, run

if TYPE_CHECKING:  # --help has 150 ms: rooms are loaded when they are needed
    from postroom.store.api import Ban


@click.group(short_help="Banned addresses.")
def command() -> None:
    """Addresses and networks that are turned away when they connect, by every service.

    The server bans who misbehaves, for ten minutes at first and then longer ([bans] in the configuration); these
    commands show such bans, end them, and make others. Everything acts at once. limits.trusted_networks always pass.
    """


def _plain(ban: Ban) -> dict[str, Any]:
    return {
        "network": ban.network,
        "since": ban.since,
        "until": None if math.isinf(ban.until) else ban.until,
        "times": ban.times,
        "reason": ban.reason,
        "by": ban.by,
    }


def _end(ban: Ban) -> str:
    return "for good" if math.isinf(ban.until) else moment(ban.until)


@command.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: str | None) -> None:
    """List who is banned now."""
    site = find_site(config_file)
    now = time.time()

    async def work() -> list[Ban]:
        async with open_store(site) as store:
            return [ban for ban in store.limits.bans() if ban.until > now]

    bans = sorted(run(work()), key=lambda ban: ban.since)
    if as_json:
        emit_json(bans=[_plain(ban) for ban in bans])
        return
    table(
        ("NETWORK", "SINCE", "UNTIL", "TIMES", "BY", "REASON"),
        [(ban.network, moment(ban.since), _end(ban), ban.times, ban.by or "the server", ban.reason) for ban in bans],
    )
    say(f"{len(bans)} banned")


def _network(text: str) -> str:
    """As it is kept. Raises click.BadParameter."""
    from postroom.policy.networks import prefix_of

    try:
        (_, length, _), printed = prefix_of(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no address or network; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/64"
        ) from None
    if not length:
        raise click.BadParameter(f"{text} is everybody")
    return printed


@command.command()
@click.argument("network", metavar="ADDRESS|NETWORK")
@click.option("--for", "length", default="", metavar="TIME", help="How long: 30m, 12h, 7d. [for good]")
@click.option("--reason", default="banned by the administrator", help="Told to the peer.")
@json_option
@config_option
def add(network: str, length: str, reason: str, as_json: bool, config_file: str | None) -> None:
    """Turn an address or a network away. Connections that stand are not ended."""
    from postroom.store.api import Ban

    site = find_site(config_file)
    printed = _network(network)
    now = time.time()
    until = now + parse_span(length) if length else math.inf

    async def work() -> Ban:
        async with open_store(site) as store:
            return await store.limits.put_ban(
                Ban(network=printed, since=now, until=until, reason=reason, by=operator())
            )

    ban = run(work())
    if as_json:
        emit_json(**_plain(ban))
    else:
        say(f"{printed} may not connect, {'until ' if length else ''}{_end(ban)}. Undo: postroom ban rm {printed}")


@command.command()
@click.argument("network", metavar="ADDRESS|NETWORK")
@json_option
@config_option
def rm(network: str, as_json: bool, config_file: str | None) -> None:
    """End a ban."""
    from postroom.store.api import Ban

    site = find_site(config_file)
    printed = _network(network)
    now = time.time()

    async def work() -> Ban:
        async with open_store(site) as store:
            held = {ban.network: ban for ban in store.limits.bans() if ban.until > now}
            if printed not in held:
                raise CommandFailed(Exit.NOT_FOUND, f"{printed} is not banned", "See: postroom ban list")
            return await store.limits.put_ban(
                Ban(network=printed, since=now, until=now, reason="ended", times=0, by=operator())
            )

    run(work())
    if as_json:
        emit_json(network=printed, removed=True)
    else:
        say(f"{printed} may connect again")
