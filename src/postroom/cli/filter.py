"""`postroom filter`: what domains and people want of the spam filter, its rules, and what it has learned."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.filter_learn import command as learn_command
from postroom.cli.filter_learn import progress
from postroom.cli.filter_rules import command as rules_command
from postroom.cli.filter_scanners import command as scanners_command
from postroom.cli.filter_trap import command as trap_command
from postroom.cli.output import confirm, emit_json, json_option, say, table
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, open_store, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from postroom.store.api import FilterRow, Store


@click.group(short_help="The spam filter.")
def command() -> None:
    """The spam filter: thresholds, senders that are always or never wanted, rules, training.

    OWNER is a domain, or the log-in of a person; a person's wishes stand over those of the domain.
    """


command.add_command(learn_command)
command.add_command(rules_command)
command.add_command(scanners_command)
command.add_command(trap_command)


async def _row(site: Site, owner: str) -> FilterRow:
    """What there is for an owner that exists. Raises CommandFailed."""
    from postroom.store.api import FilterRow

    async with directory(site) as (people, store):
        name = (await people.account(owner)).login if "@" in owner else (await people.domain(owner)).name
        return await store.directory.wishes(name) or FilterRow(owner=name)


async def _put(site: Site, row: FilterRow) -> None:
    async with open_store(site) as store:
        await store.directory.put_wishes(row)


#: scores of FilterRow, and what they are called for people
_SCORES = {
    "junk": "junk",
    "quarantine": "quarantined",
    "refuse": "refused",
    "flag": "sent mail flagged",
    "hold": "sent mail held",
    "refuse_sent": "sent mail refused",
}


#: where the configuration has another name for one
_CONFIGURED = {"flag": "flag_sent", "hold": "hold_sent"}


def _plain(row: FilterRow) -> dict[str, Any]:
    return {
        "owner": row.owner,
        "off": row.off,
        **{name: None if (value := getattr(row, name)) < 0 else value for name in _SCORES},
        "digest": row.digest or None,
        "allow": list(row.allow),
        "block": list(row.block),
    }


@command.command(short_help="The wishes of one domain or person, or of all.")
@click.argument("owner", required=False, default="")
@json_option
@config_option
def show(owner: str, as_json: bool, config_file: str | None) -> None:
    """Show the wishes of one domain or person, or of all that have any."""
    site = find_site(config_file)
    rows = [run(_row(site, owner))] if owner else run(_all(site))
    given = site.config.filter
    if as_json:
        bounds = {name: getattr(given, _CONFIGURED.get(name, name)) for name in _SCORES}
        digest = site.config.quarantine.digest
        emit_json(enabled=given.enabled, **bounds, digest=digest, wishes=[_plain(row) for row in rows])
        return
    state = f"junk from {given.junk:g}, refused from {given.refuse:g}" if given.enabled else "off (filter.enabled)"
    if given.enabled and given.quarantine:
        state += f", quarantined from {given.quarantine:g}"
    say(f"the filter is {'on: ' if given.enabled else ''}{state}")
    told = [
        (
            row.owner, "off" if row.off else "on", _bound(row.junk), _bound(row.quarantine), _bound(row.refuse),
            row.digest or "as configured", len(row.allow), len(row.block),
        )
        for row in rows
    ]  # fmt: skip
    if told:
        table(("OWNER", "FILTER", "JUNK", "QUARANTINE", "REFUSE", "DIGEST", "ALLOW", "BLOCK"), told)
    sent = [(row.owner, _bound(row.flag), _bound(row.hold), _bound(row.refuse_sent)) for row in rows if _of_sent(row)]
    if sent:
        click.echo()
        table(("WHAT THEY SEND", "FLAGGED", "HELD", "REFUSED"), sent)
    if owner:
        lists = [("always", one) for one in rows[0].allow] + [("never", one) for one in rows[0].block]
        if lists:
            click.echo()
            table(("WANTED", "SENDER"), lists)


def _of_sent(row: FilterRow) -> bool:
    return any(value >= 0 for value in (row.flag, row.hold, row.refuse_sent))


async def _all(site: Site) -> list[FilterRow]:
    async with open_store(site) as store:
        return await store.directory.all_wishes()


def _bound(value: float) -> str:
    return "as configured" if value < 0 else ("never" if value == 0 else f"{value:g}")


def _points(_context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    if text is None:
        return None
    if text == "default":
        return -1.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1000:
        raise click.BadParameter(f"{text!r} is no score: give a number, 0 for never, or 'default'", param=parameter)
    return value


def _digest(_context: click.Context, parameter: click.Parameter, text: str | None) -> str | None:
    import re

    if text is None or text == "off" or re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", text):
        return text
    if text == "default":
        return ""
    raise click.BadParameter(f"{text!r} is no time: give HH:MM, off, or default", param=parameter)


@command.command("set", short_help="Change thresholds and digest, or switch it off.")
@click.argument("owner")
@click.option("--junk", callback=_points, metavar="SCORE", help="Junk from this score on; 0: never; default.")
@click.option("--quarantine", callback=_points, metavar="SCORE", help="Kept apart from it on; 0: never; default.")
@click.option("--refuse", callback=_points, metavar="SCORE", help="Refused from it on; 0: never; default.")
@click.option("--flag", callback=_points, metavar="SCORE", help="What they send is an alarm from it on; 0: never.")
@click.option("--hold", callback=_points, metavar="SCORE", help="What they send is kept apart from it on; 0: never.")
@click.option(
    "--refuse-sent", callback=_points, metavar="SCORE", help="What they send is refused from it on; 0: never."
)
@click.option(
    "--digest", callback=_digest, metavar="HH:MM", help="When they are told of their quarantine; off; default."
)
@click.option("--on/--off", "wanted", default=None, help="Judge their mail, or let all of it through.")
@json_option
@config_option
def set_(owner: str, wanted: bool | None, as_json: bool, config_file: str | None, **given: Any) -> None:
    """Change thresholds and the digest, or switch the filter on or off.

    A message gets the strictest that its score reaches: refused, kept in quarantine, or Junk.
    """
    from dataclasses import replace

    changes = {name: value for name, value in given.items() if value is not None}
    if wanted is not None:
        changes["off"] = not wanted
    if not changes:
        raise click.UsageError("Say what to change: --junk, --quarantine, --refuse, --digest, --on or --off, …")
    site = find_site(config_file)
    row = replace(run(_row(site, owner)), **changes)
    _in_order(row)
    run(_put(site, row))
    _told(row, as_json)


def _in_order(row: FilterRow) -> None:
    """Raises CommandFailed for a threshold that no score could reach before a stricter one."""
    for kinds in (("junk", "quarantine", "refuse"), ("flag", "hold", "refuse_sent")):
        given = [(name, value) for name in kinds if (value := getattr(row, name)) > 0]
        for (milder, more), (stricter, less) in pairwise(given):
            if less < more:
                options = f"--{milder.replace('_', '-')} below --{stricter.replace('_', '-')}"
                raise CommandFailed(
                    Exit.USAGE,
                    f"nothing would be {_SCORES[milder]} from {more:g} on: from {less:g} on it is {_SCORES[stricter]}",
                    f"Give {options}, or 0 for never.",
                )


def _told(row: FilterRow, as_json: bool) -> None:
    if as_json:
        emit_json(**_plain(row))
        return
    bounds = ", ".join(
        f"{words} {_bound(getattr(row, name))}"
        for name, words in _SCORES.items()
        if name in ("junk", "refuse") or getattr(row, name) >= 0
    )
    digest = f", digest {row.digest}" if row.digest else ""
    lists = f"{len(row.allow)} allowed, {len(row.block)} blocked"
    say(f"{row.owner}: filter {'off' if row.off else 'on'}, {bounds}{digest}, {lists}")


def _patterns(given: Sequence[str]) -> list[str]:
    from postroom.filter.wishes import network_of
    from postroom.values.address import Address, BadAddress, parse_domain

    found = []
    for text in given:
        try:
            if text.startswith("@"):
                found.append("@" + parse_domain(text[1:]))
            elif network_of(text) is not None:
                found.append(str(network_of(text)))
            else:
                found.append(Address.parse(text).key if "@" in text else parse_domain(text))
        except BadAddress:
            raise click.BadParameter(
                f"{text!r} is no address, domain, @domain, or IP network", param_hint="PATTERN"
            ) from None
    return found


def _listed(owner: str, patterns: Sequence[str], allowed: bool, as_json: bool, config_file: str | None) -> None:
    """Into one list, out of the other."""
    from dataclasses import replace

    wanted = _patterns(patterns)
    site = find_site(config_file)
    row = run(_row(site, owner))
    allow = tuple(one for one in row.allow if one not in wanted)
    block = tuple(one for one in row.block if one not in wanted)
    if allowed:
        row = replace(row, allow=(*allow, *wanted), block=block)
    else:
        row = replace(row, allow=allow, block=(*block, *wanted))
    run(_put(site, row))
    _told(row, as_json)


@command.command()
@click.argument("owner")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@json_option
@config_option
def allow(owner: str, patterns: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Always want mail from these senders.

    PATTERN is an address, exactly @domain, a domain with its subdomains, or an IP address or network. The narrowest
    pattern that fits counts, in this order; a person's before those of the domain.

    Only mail that proves its author (SPF, DKIM, DMARC) is let through.
    """
    _listed(owner, patterns, True, as_json, config_file)


@command.command()
@click.argument("owner")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@json_option
@config_option
def block(owner: str, patterns: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Never want mail from these senders.

    PATTERN is an address, exactly @domain, a domain with its subdomains, or an IP address or network. The narrowest
    pattern that fits counts, in this order; a person's before those of the domain.
    """
    _listed(owner, patterns, False, as_json, config_file)


@command.command()
@click.argument("owner")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@json_option
@config_option
def unlist(owner: str, patterns: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """Take senders out of both lists."""
    from dataclasses import replace

    wanted = _patterns(patterns)
    site = find_site(config_file)
    row = run(_row(site, owner))
    if not set(wanted) & {*row.allow, *row.block}:
        raise CommandFailed(Exit.NOT_FOUND, f"{', '.join(wanted)}: not listed", f"See: postroom filter show {owner}")
    row = replace(
        row,
        allow=tuple(one for one in row.allow if one not in wanted),
        block=tuple(one for one in row.block if one not in wanted),
    )
    run(_put(site, row))
    _told(row, as_json)


@command.command()
@click.argument("login", metavar="LOGIN")
@click.option("--spam", "unwanted", multiple=True, metavar="MAILBOX", help="Unwanted mail; may be repeated.")
@click.option("--ham", "wanted", multiple=True, metavar="MAILBOX", help="Wanted mail; may be repeated.")
@json_option
@config_option
def train(
    login: str, unwanted: tuple[str, ...], wanted: tuple[str, ...], as_json: bool, config_file: str | None
) -> None:
    """Learn all mail of mailboxes.

    It counts for the person and for everybody. Learning a message twice changes nothing.
    """
    if not (unwanted or wanted):
        raise click.UsageError("Name mailboxes: --spam Junk, --ham Archive.")
    learned = run(
        _train(
            find_site(config_file), login, [*((name, True) for name in unwanted), *((name, False) for name in wanted)]
        )
    )
    if as_json:
        emit_json(login=login, learned=learned)
    else:
        say(f"{learned} message{'s' * (learned != 1)} learned that were not known before")


async def _train(site: Site, login: str, wanted: Sequence[tuple[str, bool]]) -> int:
    from postroom.cli.people import mail_of
    from postroom.filter.training import Trainer
    from postroom.values.clock import SystemClock

    learned = 0
    async with mail_of(site, login) as (row, mail), open_store(site) as store:
        trainer = Trainer(store, SystemClock(), _unheard, site.config.server.hostname)
        for name, spam in wanted:
            info = await mail.mailbox(name)
            if info is None:
                raise CommandFailed(
                    Exit.NOT_FOUND, f"{login} has no mailbox {name}", "See: postroom user show " + login
                )
            snapshot = await mail.snapshot(info.id)
            uids: list[int] = [uid for page in snapshot.pages for uid in page.uids]
            for number, uid in enumerate(uids, 1):
                learned += await trainer.learn(row.id, info.id, [uid], spam)
                progress(name, number, len(uids))
    return learned


def _unheard(name: str, /, **fields: object) -> None:
    """Faults of a command are raised."""


@command.command()
@click.argument("login", required=False, default="")
@json_option
@config_option
def status(login: str, as_json: bool, config_file: str | None) -> None:
    """How much was learned, of everybody or of a person."""
    spam, ham = run(_learned(find_site(config_file), login))
    if as_json:
        emit_json(login=login or None, spam=spam, ham=ham)
    else:
        who = login or "everybody"
        say(f"learned of {who}: {spam} unwanted and {ham} wanted messages")


async def _learned(site: Site, login: str) -> tuple[int, int]:
    async with directory(site) as (people, store):
        found = store.training.learned(await _account(people, login), [])
    return found.spam, found.ham


async def _account(people: Any, login: str) -> str:
    return (await people.account(login)).id if login else ""


@command.command()
@click.argument("login", required=False, default="")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@config_option
def forget(login: str, yes: bool, as_json: bool, config_file: str | None) -> None:
    """Forget what was learned, of everybody or of a person."""
    who = login or "everybody"
    confirm(f"Forget all that was learned of {who}?", yes=yes)
    run(_forget(find_site(config_file), login))
    if as_json:
        emit_json(login=login or None)
    else:
        say(f"forgotten: {who}")


async def _forget(site: Site, login: str) -> None:
    async with directory(site) as (people, store):
        account = await _account(people, login)
        await _unlearn(store, account)


async def _unlearn(store: Store, account: str) -> None:
    await store.training.unlearn(account)
