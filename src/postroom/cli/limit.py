"""`postroom limit`: how much of our own people's mail may leave, and accounts that may not send."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from postroom.cli.amounts import parse_span
from postroom.cli.codes import CommandFailed, Exit
from postroom.cli.output import emit_json, json_option, moment, operator, record, say, table
from postroom.cli.people import directory
from postroom.cli.site import Site, config_option, find_site, run

if TYPE_CHECKING:  # --help has 150 ms: rooms are loaded when they are needed
    from postroom.identity.directory import Directory
    from postroom.store.api import AccountRow, Charge, DomainRow, Freeze, Store

LONGEST_LIFT = 86400.0
_SHOWN = 10


@click.group(short_help="Limits on outgoing mail.")
def command() -> None:
    """How much mail may leave for other domains: per hosted domain and hour, per account and day.

    An account that behaves as if it were stolen is frozen: it may not send until it is let go. The limits themselves
    are in the configuration ([sending]), and for single domains and accounts in `postroom domain set` and `user set`.
    """


def _use(store: Store, charges: tuple[Charge, ...], now: float) -> dict[str, dict[str, Any]]:
    """What was used of each limit."""
    found = {}
    for charge in charges:
        used = store.limits.used(charge, now, 1)
        found[charge.kind] = {"used": used.used, "limit": charge.limit, "free_at": used.frees or None}
    return found


def _frozen(freeze: Freeze | None) -> dict[str, Any] | None:
    if freeze is None:
        return None
    return {"since": freeze.since, "score": freeze.score, "reasons": list(freeze.reasons), "by": freeze.by}


def _domain(site: Site, store: Store, row: DomainRow, now: float) -> dict[str, Any]:
    from postroom.policy.outgoing import domain_charges

    lift = store.limits.rules().lifts.get(row.name)
    return {
        "domain": row.name,
        "hour": _use(store, domain_charges(site.config.sending, row.name, row.hourly_messages), now),
        "lifted_until": lift.until if lift is not None and lift.until > now else None,
    }


def _account(site: Site, store: Store, row: AccountRow, now: float) -> dict[str, Any]:
    from postroom.policy.outgoing import account_charges

    rules = store.limits.rules()
    lift = rules.lifts.get(row.id)
    return {
        "login": row.login,
        "day": _use(store, account_charges(site.config.sending, row), now),
        "lifted_until": lift.until if lift is not None and lift.until > now else None,
        "frozen": _frozen(rules.frozen.get(row.id)),
    }


async def _everything(site: Site) -> dict[str, Any]:
    now = time.time()
    async with directory(site) as (_, store):
        domains = [_domain(site, store, row, now) for row in await store.directory.domains()]
        accounts = [_account(site, store, row, now) for row in await store.directory.accounts()]
    busy = [
        one
        for one in accounts
        if one["frozen"] or one["lifted_until"] or any(kind["used"] for kind in one["day"].values())
    ]
    return {"domains": domains, "accounts": busy}


async def _one(site: Site, name: str) -> dict[str, Any]:
    from postroom.policy.suspicion import signs_of

    now = time.time()
    async with directory(site) as (people, store):
        if "@" not in name:
            return _domain(site, store, await people.domain(name), now)
        row = await people.account(name)
        domain = await store.directory.domain(row.login.rpartition("@")[2])
        latest = store.limits.correspondents(row.id, _SHOWN)
        found = _account(site, store, row, now)
        if domain is not None:
            found["hour"] = _domain(site, store, domain, now)["hour"]
        signs = signs_of(store.limits, site.config.sending, row.id, now)
        return {
            **found,
            "freeze_score": site.config.sending.freeze_score,
            "signs": [{"points": round(sign.points), "reason": sign.reason} for sign in signs],
            "latest_recipients": [{"address": address, "since": since} for address, since in latest],
        }


def _share(kind: dict[str, Any]) -> str:
    return f"{kind['used']} of {kind['limit'] or 'any number'}"


def _state(one: dict[str, Any]) -> str:
    if one.get("frozen"):
        return "frozen"
    return f"lifted until {moment(one['lifted_until'])}" if one["lifted_until"] else "-"


@command.command()
@click.argument("name", metavar="[DOMAIN|LOGIN]", default="")
@json_option
@config_option
def show(name: str, as_json: bool, config_file: str | None) -> None:
    """Show what was sent and what may be.

    Without a name: every domain, and every account that sent lately or is frozen.
    """
    site = find_site(config_file)
    found = run(_one(site, name) if name else _everything(site))
    if as_json:
        emit_json(**found)
    elif not name:
        _print_all(found)
    elif "domain" in found:
        record([
            ("domain", found["domain"]),
            ("messages, last hour", _share(found["hour"]["messages"])),
            ("state", _state(found)),
        ])  # fmt: skip
    else:
        _print_account(found)


def _print_all(found: dict[str, Any]) -> None:
    table(
        ("DOMAIN", "MESSAGES, LAST HOUR", "STATE"),
        [(one["domain"], _share(one["hour"]["messages"]), _state(one)) for one in found["domains"]],
    )
    if found["accounts"]:
        click.echo()
    table(
        ("ACCOUNT", "MESSAGES, LAST DAY", "RECIPIENTS", "NEW ONES", "STATE"),
        [
            (one["login"], *(_share(one["day"][kind]) for kind in ("messages", "recipients", "new")), _state(one))
            for one in found["accounts"]
        ],
    )


def _print_account(found: dict[str, Any]) -> None:
    day, frozen = found["day"], found["frozen"]
    record([
        ("account", found["login"]),
        ("messages, last day", _share(day["messages"])),
        ("recipients, last day", _share(day["recipients"])),
        ("new recipients, last day", _share(day["new"])),
        *([("its domain, last hour", _share(found["hour"]["messages"]))] if "hour" in found else []),
        ("state", _state(found)),
    ])  # fmt: skip
    if frozen:
        click.echo(f"\nfrozen since {moment(frozen['since'])}" + (f" by {frozen['by']}" if frozen["by"] else ""))
        for reason in frozen["reasons"]:
            click.echo(f"  {reason}")
        say(f"Change its password, then: postroom limit unfreeze {found['login']}")
    elif found["signs"]:
        click.echo(f"\nsigns of theft (the account is frozen at {found['freeze_score'] or 'no score'}):")
        for sign in found["signs"]:
            click.echo(f"  {sign['points']:3}  {sign['reason']}")
    if found["latest_recipients"]:
        click.echo()
        table(
            ("FIRST WRITTEN TO", "AT"), [(one["address"], moment(one["since"])) for one in found["latest_recipients"]]
        )


async def _key(people: Directory, name: str) -> tuple[str, str]:
    """(name in the store, name for people). Raises NoSuchDomain, NoSuchAccount."""
    if "@" in name:
        row = await people.account(name)
        return row.id, row.login
    domain = (await people.domain(name)).name
    return domain, domain


@command.command()
@click.argument("name", metavar="DOMAIN|LOGIN")
@click.option("--for", "length", default="1h", metavar="TIME", help="How long: 30m, 1h, at most 24h; 0 ends it. [1h]")
@json_option
@config_option
def lift(name: str, length: str, as_json: bool, config_file: str | None) -> None:
    """Let a domain or account send without limit.

    For a while; what it sends then is not counted.
    """
    site = find_site(config_file)
    from postroom.store.api import Lift

    seconds = parse_span(length)
    if seconds > LONGEST_LIFT:
        raise click.BadParameter(
            "at most 24h; for longer raise the limit: postroom domain set, user set", param_hint="--for"
        )
    now = time.time()

    async def work() -> str:
        async with directory(site) as (people, store):
            key, told = await _key(people, name)
            await store.limits.lift(Lift(name=key, since=now, until=now + seconds, by=operator()))
            return told

    told = run(work())
    if as_json:
        emit_json(name=told, lifted_until=now + seconds if seconds else None)
    elif seconds:
        say(f"{told} may send without limit until {moment(now + seconds)}. Undo: postroom limit lift {told} --for 0")
    else:
        say(f"the limits of {told} hold again")


@command.command()
@click.argument("login", metavar="LOGIN")
@json_option
@config_option
def unfreeze(login: str, as_json: bool, config_file: str | None) -> None:
    """Let a frozen account send again.

    Change its password first; what was held against it is forgotten.
    """
    site = find_site(config_file)

    async def work() -> str:
        async with directory(site) as (people, store):
            row = await people.account(login)
            if not await store.limits.unfreeze(row.id):
                raise CommandFailed(Exit.NO_CHANGE, f"{row.login} is not frozen")
            return row.login

    told = run(work())
    if as_json:
        emit_json(login=told, frozen=None)
    else:
        say(f"{told} may send again. Its held messages, if any: postroom queue list --state held --sender {told}")


@command.command()
@click.argument("login", metavar="LOGIN")
@click.option("--reason", default="by the administrator", help="Told to the user's mail program.")
@json_option
@config_option
def freeze(login: str, reason: str, as_json: bool, config_file: str | None) -> None:
    """Stop an account from sending. It can still log in and read."""
    from postroom.store.api import Freeze

    site = find_site(config_file)

    async def work() -> tuple[str, Freeze]:
        async with directory(site) as (people, store):
            row = await people.account(login)
            made = Freeze(account=row.id, since=time.time(), score=0, reasons=(reason,), by=operator())
            if not await store.limits.freeze(made):
                raise CommandFailed(Exit.NO_CHANGE, f"{row.login} is frozen already")
            return row.login, made

    told, made = run(work())
    if as_json:
        emit_json(login=told, frozen=_frozen(made))
    else:
        say(f"{told} may not send any more. Undo: postroom limit unfreeze {told}")
